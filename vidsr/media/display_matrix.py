"""Display matrices: how a player rotates or mirrors frames, and the FFmpeg filters that do the same."""

from fractions import Fraction

import numpy as np
from av import VideoFrame

from vidsr.media.filters import Filter
from vidsr.media.side_data import FrameKind, side_data

Matrix = tuple[int, ...]

FLIP: tuple[Filter, ...] = (("vflip", ""), ("copy", ""))  # vflip alone gives a negative line size

_FILTERS: dict[tuple[int, ...], tuple[Filter, ...]] = {
    # by the signs of a, b, c, d where x' = a*x + c*y and y' = b*x + d*y
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): FLIP,
    (-1, 0, 0, -1): (*FLIP, ("hflip", "")),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}


def display_matrix(frame: VideoFrame) -> Matrix | None:
    """The nine numbers of the frame's display matrix; None for no matrix or the identity."""
    data = side_data(frame, FrameKind.DISPLAYMATRIX)
    if data is None:
        return None
    matrix = tuple(int(number) for number in np.frombuffer(data, np.int32)[:9])
    return None if _signs(matrix) == (1, 0, 0, 1) else matrix


def upright_filters(matrix: Matrix) -> tuple[Filter, ...]:
    """The filters that apply the matrix to a frame; () for angles other than multiples of 90 degrees."""
    return _FILTERS.get(_signs(matrix), ())


def swaps_axes(matrix: Matrix) -> bool:
    """Whether applying the matrix swaps width and height."""
    return _signs(matrix)[0] == 0


def scale_matrix(matrix: Matrix, factors: tuple[Fraction, Fraction]) -> Matrix:
    """The matrix for a frame resized by `factors`, (horizontal, vertical): its translation is in pixels."""
    *linear, x, y, last = matrix
    horizontal, vertical = reversed(factors) if swaps_axes(matrix) else factors
    return (*linear, round(x * horizontal), round(y * vertical), last)


def _signs(matrix: Matrix) -> tuple[int, ...]:
    a, b, _, c, d, *_ = matrix
    return tuple((number > 0) - (number < 0) for number in (a, b, c, d))
