"""PNG files that a command draws: asked for before any work, there whole or not at all."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from vidsr.cli.messages import UsageError
from vidsr.media.atomic_file import atomic_write


@contextmanager
def png_file(target: Path, *, source: Path, overwrite: bool) -> Generator[BinaryIO]:
    """What to draw into; it stands under the target's name when `with` ends well.

    Raises UsageError when nothing can be drawn here, TargetError for a target that is in the way or not writable.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("drawing needs matplotlib: pip install 'vidsr[plot]'")
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: the name of a drawing ends in .png")
    with atomic_write(target, source=source, overwrite=overwrite) as file:
        yield file
