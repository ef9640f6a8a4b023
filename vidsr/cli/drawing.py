"""PNG files that a command draws: asked for before any work, there whole or not at all."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from vidsr.cli.exits import UsageError
from vidsr.errors import TargetError
from vidsr.media.landing import Landing


@contextmanager
def png_file(target: Path, *, source: Path, overwrite: bool) -> Generator[BytesIO]:
    """What to draw into; it stands under the target's name when `with` ends well.

    Raises UsageError when nothing can be drawn here, TargetError for a target that is in the way or not writable.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("drawing needs matplotlib: pip install 'vidsr[plot]'")
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: the name of a drawing ends in .png")
    landing = Landing(target, source=source, overwrite=overwrite)
    drawing = BytesIO()
    try:
        yield drawing
        landing.file.write(drawing.getvalue())
        landing.land()
    except BaseException as error:
        landing.abandon()
        if isinstance(error, OSError):
            raise TargetError(f"{target}: {error.strerror}") from error
        raise
