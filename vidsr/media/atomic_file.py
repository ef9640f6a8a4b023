"""Atomic file writes: a file appears under its name complete, or not at all."""

import errno
import hashlib
import io
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from vidsr.errors import TargetError
from vidsr.media.error_text import target_errors

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}  # the file system has none: CIFS, some of FUSE
_NAME_MAX = 255  # bytes


class AtomicFile:
    """A part file beside the target that takes the target's name on `commit`; write into `file`.

    The part file has a name that only vidsr gives: `part_path(target)` unless `part` is given. One that an
    interrupted run left is replaced. Raises TargetError before any work when the target exists and `overwrite` is
    False, is `source` itself (by any name), or cannot be created.
    """

    def __init__(self, target: Path, *, source: Path | None, overwrite: bool, part: Path | None = None) -> None:
        self.target = target
        with target_errors(target):
            if source:
                refuse_source(target, source)
            if target.is_dir():
                raise TargetError(f"{target}: is a folder")
            self.part = part or part_path(target)
            if target.exists() and not overwrite:
                raise TargetError(f"{target}: exists already (--overwrite replaces it)")
            if source:
                refuse_source(self.part, source)
            self.part.unlink(missing_ok=True)  # left by an interrupted run, or a link that must not be followed
            self.file = FullWriteFile(self.part, "x+b")
            self._identity = os.fstat(self.file.fileno())

    def commit(self) -> None:
        """Flush the part file to disk and rename it to the target. After a TargetError the part file stays."""
        with target_errors(self.target):
            _fsync(self.file.fileno())
            self.file.close()
            if not self.owns_part():
                raise TargetError(f"{self.part}: another run writes the same file")
            os.replace(self.part, self.target)
        fsync_dir(self.target.parent)

    def discard(self) -> None:
        """Close and delete the part file; does nothing after `commit`."""
        self.file.close()
        if self.owns_part():
            self.part.unlink()

    def owns_part(self) -> bool:
        """Whether the part file is still the one created here: another run for the same target replaces it."""
        return self.part.exists() and os.path.samestat(self._identity, os.lstat(self.part))


def refuse_source(target: Path, source: Path) -> None:
    """Raises TargetError for a target that is the source itself, by any name, and OSError."""
    if target.exists() and os.path.samefile(target, source):
        raise TargetError(f"{target}: is the source itself")


class FullWriteFile(io.FileIO):
    """A raw file without short writes: on a full disk FileIO writes a part and reports the error one call later."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write all bytes; returns their number."""
        whole = rest = memoryview(data).cast("B")
        while rest:
            rest = rest[super().write(rest) :]
        return whole.nbytes


@contextmanager
def atomic_write(target: Path, *, source: Path | None = None, overwrite: bool = False) -> Generator[BinaryIO]:
    """A binary file that takes the name `target` when the block ends, and is deleted when the block raises.

    Raises TargetError as AtomicFile does, and for any OSError or FFmpegError in the block.
    """
    output = AtomicFile(target, source=source, overwrite=overwrite)
    try:
        with target_errors(target):
            yield cast(BinaryIO, output.file)
        output.commit()
    except BaseException:
        output.discard()
        raise


def part_path(target: Path) -> Path:
    """The path of a file while it is being written; a name that would be too long is cut and gets a hash."""
    suffix = ".vidsr.part"
    try:
        longest = os.pathconf(target.parent, "PC_NAME_MAX")
    except OSError:
        longest = _NAME_MAX
    name = os.fsencode(target.name)
    if len(name) + len(suffix) <= longest:
        return target.with_name(target.name + suffix)
    suffix = f".{hashlib.sha256(name).hexdigest()[:16]}{suffix}"
    return target.with_name(name[: longest - len(suffix)].decode(errors="ignore") + suffix)


def fsync_dir(path: Path) -> None:
    """Flush the entries of a directory to disk, where that is possible: not every file system or user may."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _fsync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
