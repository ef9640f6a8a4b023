"""Atomic file writes: a file appears under its name complete, or not at all."""

import io
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from vidsr.errors import TargetError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class AtomicFile:
    """A part file beside the target that takes the target's name on `commit`; write into `file`.

    Raises TargetError before any work when the target exists and `overwrite` is False, is `source` itself (by any
    name), or cannot be created.
    """

    def __init__(self, target: Path, *, source: Path | None, overwrite: bool) -> None:
        self.target = target
        self.part = target.with_name(target.name + ".part")
        try:
            if source and target.exists() and os.path.samefile(target, source):
                raise TargetError(f"{target}: is the source itself")
            if target.is_dir():
                raise TargetError(f"{target}: is a folder")
            if target.exists() and not overwrite:
                raise TargetError(f"{target}: exists already (--overwrite replaces it)")
            if source and self.part.exists() and os.path.samefile(self.part, source):
                raise TargetError(f"{self.part}: is the source itself")
            self.part.unlink(missing_ok=True)  # left by an interrupted run, or a link that must not be followed
            self.file = _FullWriteFile(self.part, "x+b")
            self._identity = os.fstat(self.file.fileno())
        except OSError as error:
            raise TargetError(f"{target}: {error.strerror}") from error

    def commit(self) -> None:
        """Flush the part file to disk and rename it to the target. Raises TargetError."""
        try:
            os.fsync(self.file.fileno())
            self.file.close()
            if not self._owns_part():
                raise TargetError(f"{self.part}: another run writes the same file")
            os.replace(self.part, self.target)
            fsync_dir(self.target.parent)
        except OSError as error:
            self.discard()
            raise TargetError(f"{self.target}: {error.strerror}") from error

    def discard(self) -> None:
        """Close and delete the part file; does nothing after `commit`."""
        self.file.close()
        if self._owns_part():
            self.part.unlink()

    def _owns_part(self) -> bool:
        """Whether the part file is still the one created here: another run for the same target replaces it."""
        return self.part.exists() and os.path.samestat(self._identity, os.lstat(self.part))


class _FullWriteFile(io.FileIO):
    """A raw file without short writes: on a full disk FileIO writes a part and reports the error one call later."""

    def write(self, data: "ReadableBuffer", /) -> int:
        whole = rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) :]
        return whole.nbytes


@contextmanager
def atomic_write(target: Path, *, source: Path | None = None, overwrite: bool = False) -> Generator[BinaryIO]:
    """A binary file that takes the name `target` when the block ends, and is deleted when the block raises.

    Raises TargetError as AtomicFile does, and for any OSError in the block.
    """
    output = AtomicFile(target, source=source, overwrite=overwrite)
    try:
        yield cast(BinaryIO, output.file)
    except OSError as error:
        output.discard()
        raise TargetError(f"{target}: {error.strerror or error}") from error
    except BaseException:
        output.discard()
        raise
    output.commit()


def fsync_dir(path: Path) -> None:
    """Flush the entries of a directory to disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
