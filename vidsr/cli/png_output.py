"""PNG files that a command draws: checked before any work, complete or absent."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from vidsr.cli.messages import UsageError
from vidsr.media.atomic_file import atomic_write


@contextmanager
def png_file(target: Path, *, source: Path, overwrite: bool) -> Generator[BinaryIO]:
    """The file to draw into; it gets the target's name when `with` ends well.

    Raises UsageError without matplotlib, TargetError for a target that exists already or is not writable.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("drawing needs matplotlib: pip install 'vidsr[plot]'")
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: the name of a drawing ends in .png")
    with atomic_write(target, source=source, overwrite=overwrite) as file:
        yield file
