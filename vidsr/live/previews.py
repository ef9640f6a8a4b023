"""The files of previews: a frame before and after upscaling, of the same moment."""

import re
from pathlib import Path

KEPT = 5
"""The number of newest pairs that are kept."""
_BEFORE = re.compile(r"(\d+)-before\.jpg")


def preview_path(folder: Path, moment: int, which: str) -> Path:
    """The path of a preview; `which` is before or after, and higher moments are later."""
    return folder / f"{moment}-{which}.jpg"


def preview_moments(folder: Path) -> list[int]:
    """The moments with both files, in order. Raises OSError."""
    return sorted(int(found[1]) for path in folder.iterdir() if (found := _BEFORE.fullmatch(path.name)))
