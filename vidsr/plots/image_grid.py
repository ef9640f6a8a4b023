"""A grid of images, pixel by pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

_DPI = 100
_GAP_PX, _LINE_PX = 10, 26  # between cells; height of a line of text
_FONT_PX, _LETTER_PX = 15, 9  # a letter is narrower on average
_MAX_WIDTH_PX = 320  # of a cell: images are magnified up to this, or a screen would blur them


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """An (H, W, 3) uint8 RGB image with a line of text above and one below."""

    image: NDArray[np.uint8]
    title: str = ""
    caption: str = ""


def draw_image_grid(rows: Sequence[Sequence[GridCell]], file: Path | BinaryIO) -> None:
    """Draw the rows as a PNG; all images of a row have one size, and each pixel becomes a square of whole pixels."""
    factor = max(1, _MAX_WIDTH_PX // max(cell.image.shape[1] for row in rows for cell in row))
    width = factor * max(cell.image.shape[1] for row in rows for cell in row)
    heights = [factor * row[0].image.shape[0] + 2 * _LINE_PX for row in rows]
    size = (max(map(len, rows)) * (width + _GAP_PX) + _GAP_PX, sum(heights) + _GAP_PX)
    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    top = size[1]
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            left = _GAP_PX + column * (width + _GAP_PX)
            image = cell.image.repeat(factor, axis=0).repeat(factor, axis=1)
            figure.figimage(image, left, top - _LINE_PX - len(image), origin="upper")
            for text, y in ((cell.title, top - _LINE_PX / 2), (cell.caption, top - height + _LINE_PX / 2)):
                figure.text(
                    left / size[0],
                    y / size[1],
                    text[: width // _LETTER_PX],
                    fontsize=_FONT_PX * 72 / _DPI,
                    va="center",
                )
        top -= height
    figure.savefig(file, format="png", pil_kwargs={"optimize": True})
