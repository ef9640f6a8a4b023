"""How a file comes to stand under its name: whole, or not at all."""

import io
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from vidsr.errors import TargetError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Landing:
    """A part file beside the target that takes the target's name when it is done; `file` is where it is written.

    Raises TargetError before any work when the target is there and may not be replaced, is `source` itself (by any
    name), or cannot be created where it should stand.
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
            self.part.unlink(missing_ok=True)  # what an interrupted run left, or a link somebody laid
            self.file = _WholeFile(self.part, "x+b")
            self._identity = os.fstat(self.file.fileno())
        except OSError as error:
            raise TargetError(f"{target}: {error.strerror}") from error

    def land(self) -> None:
        """Bring the part to the disk, then under the target's name."""
        try:
            os.fsync(self.file.fileno())
            self.file.close()
            if not self._is_there():
                raise TargetError(f"{self.part}: another run writes the same file")
            os.replace(self.part, self.target)
            sync_folder(self.target.parent)
        except OSError as error:
            self.abandon()
            raise TargetError(f"{self.target}: {error.strerror}") from error

    def abandon(self) -> None:
        """Leave nothing behind."""
        self.file.close()
        if self._is_there():
            self.part.unlink()

    def _is_there(self) -> bool:
        """Whether the part is the one that was made here: another run for the same target would have replaced it."""
        return self.part.exists() and os.path.samestat(self._identity, os.lstat(self.part))


class _WholeFile(io.FileIO):
    """A file whose `write` writes everything: where a disk runs full, others stop halfway and say so the next time."""

    def write(self, data: "ReadableBuffer", /) -> int:
        whole = left = memoryview(data)
        while left:
            left = left[super().write(left) :]
        return whole.nbytes


@contextmanager
def whole_file(target: Path, *, source: Path | None = None, overwrite: bool = False) -> Generator[BinaryIO]:
    """A file to write, which takes its name when the block ends, and of which nothing is left when it fails.

    Raises TargetError as Landing does, and for whatever the system refuses in the block.
    """
    landing = Landing(target, source=source, overwrite=overwrite)
    try:
        yield cast(BinaryIO, landing.file)
    except OSError as error:
        landing.abandon()
        raise TargetError(f"{target}: {error.strerror or error}") from error
    except BaseException:
        landing.abandon()
        raise
    landing.land()


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
