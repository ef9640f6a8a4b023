"""How a file comes to stand under its name: whole, or not at all."""

import os
from pathlib import Path

from vidsr.errors import TargetError


class Landing:
    """A part file beside the target that takes the target's name when it is done.

    Raises TargetError before any work when the target is there and may not be replaced, is `source` itself (by any
    name), or cannot be created where it should stand.
    """

    def __init__(self, target: Path, *, source: Path, overwrite: bool) -> None:
        self.target = target
        self.part = target.with_name(target.name + ".part")
        try:
            if target.exists() and os.path.samefile(target, source):
                raise TargetError(f"{target}: is the source itself")
            if target.is_dir():
                raise TargetError(f"{target}: is a folder")
            if target.exists() and not overwrite:
                raise TargetError(f"{target}: exists already (--overwrite replaces it)")
            if self.part.exists() and os.path.samefile(self.part, source):
                raise TargetError(f"{self.part}: is the source itself")
            self.part.unlink(missing_ok=True)  # what an interrupted run left, or a link somebody laid
            with open(self.part, "xb"):
                pass
        except OSError as error:
            raise TargetError(f"{target}: {error.strerror}") from error

    def land(self) -> None:
        """Bring the part to the disk, then under the target's name."""
        try:
            _sync(self.part)
            os.replace(self.part, self.target)
            _sync(self.target.parent)
        except OSError as error:
            self.abandon()
            raise TargetError(f"{self.target}: {error.strerror}") from error

    def abandon(self) -> None:
        """Leave nothing behind."""
        self.part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
