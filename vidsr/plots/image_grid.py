"""Parts of pictures side by side, pixel by pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

_DPI = 100
_GAP, _LINE = 10, 26  # pixels between tiles, and of a line of text
_FONT_PX, _LETTER_PX = 15, 9  # a letter is narrower on average
_WIDEST_PX = 320  # of a tile: as many times as large as fits, so that a screen does not blur it again


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A part of a picture, (H, W, 3) uint8 RGB, with a line above and one below."""

    image: NDArray[np.uint8]
    title: str = ""
    caption: str = ""


def before_after(rows: Sequence[Sequence[Tile]], file: Path | BinaryIO) -> None:
    """Draw the rows as a PNG; each pixel becomes a square of whole pixels, tiles of one row have one size."""
    times = max(1, _WIDEST_PX // max(tile.image.shape[1] for row in rows for tile in row))
    width = times * max(tile.image.shape[1] for row in rows for tile in row)
    heights = [times * row[0].image.shape[0] + 2 * _LINE for row in rows]
    size = (max(map(len, rows)) * (width + _GAP) + _GAP, sum(heights) + _GAP)
    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    top = size[1]
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            left, shown = _GAP + column * (width + _GAP), tile.image.repeat(times, axis=0).repeat(times, axis=1)
            figure.figimage(shown, left, top - _LINE - len(shown), origin="upper")
            for text, y in ((tile.title, top - _LINE / 2), (tile.caption, top - height + _LINE / 2)):
                figure.text(
                    left / size[0],
                    y / size[1],
                    text[: width // _LETTER_PX],
                    fontsize=_FONT_PX * 72 / _DPI,
                    va="center",
                )
        top -= height
    figure.savefig(file, format="png", pil_kwargs={"optimize": True})
