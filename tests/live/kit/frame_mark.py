"""The reader of the numbers that pattern.py draws into frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kit.pattern import COLUMNS, DARK, LIGHT, ROWS, STRIP, checksum


@dataclass(frozen=True)
class Mark:
    """The camera and the number of a frame."""

    camera: int
    number: int


def read_mark(plane: NDArray[np.uint8]) -> Mark | None:
    """The mark of an (H, W) luma plane of any size; None if unreadable, or if top and bottom differ."""
    height = len(plane) // STRIP
    top, bottom = _strip(plane[:height]), _strip(plane[len(plane) - height :])
    return top if top == bottom else None


def _strip(strip: NDArray[np.uint8]) -> Mark | None:
    """The mark in a strip, read from the middle of each cell, which blocks and upscaling leave unblended."""
    height, width = strip.shape
    word = 0
    for place in range(COLUMNS * ROWS):
        row, column = divmod(place, COLUMNS)
        above, below = (row + 0.3) * height / ROWS, (row + 0.7) * height / ROWS
        left, right = (column + 0.3) * width / COLUMNS, (column + 0.7) * width / COLUMNS
        cell = strip[int(above) : int(below) + 1, int(left) : int(right) + 1]
        word = word << 1 | bool(cell.mean() > (DARK + LIGHT) / 2)
    number, camera = word >> 16, word >> 8 & 255
    return Mark(camera, number) if checksum(camera, number) == word & 255 else None
