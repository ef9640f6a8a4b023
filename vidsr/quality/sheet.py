"""Parts of pictures drawn side by side; whoever imports this needs matplotlib, which is an extra."""

from collections.abc import Sequence
from io import BytesIO

from vidsr.plots import Tile, before_after
from vidsr.quality.crops import Part


def sheet_of(rows: Sequence[Sequence[Part]]) -> bytes:
    """A PNG with a row for each crop; below each part stands its PSNR, below the original where the crop lies."""
    file = BytesIO()
    before_after([[_tile(part) for part in row] for row in rows], file)
    return file.getvalue()


def _tile(part: Part) -> Tile:
    caption = str(part.crop) if part.psnr is None else f"{part.psnr:.2f} dB"
    return Tile(image=part.image, title=part.label, caption=caption)
