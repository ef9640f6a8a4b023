"""Display matrices: how a player turns a picture, and the FFmpeg filters that do it at once."""

from fractions import Fraction

import numpy as np
from av import VideoFrame

from vidsr.media.filters import Filter
from vidsr.media.side_data import side_data

Matrix = tuple[int, ...]

_UPSIDE_DOWN: tuple[Filter, ...] = (("vflip", ""), ("copy", ""))  # alone it only counts the rows backwards in memory

_FILTERS: dict[tuple[int, ...], tuple[Filter, ...]] = {
    # by the signs of a, b, c, d where x' = a*x + c*y and y' = b*x + d*y
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): _UPSIDE_DOWN,
    (-1, 0, 0, -1): (*_UPSIDE_DOWN, ("hflip", "")),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}


def display_matrix(picture: VideoFrame) -> Matrix | None:
    """The nine numbers of a frame's display matrix, None when it changes nothing."""
    data = side_data(picture, "DISPLAYMATRIX")
    if data is None:
        return None
    matrix = tuple(int(number) for number in np.frombuffer(data, np.int32)[:9])
    return None if _signs(matrix) == (1, 0, 0, 1) else matrix


def upright_filters(matrix: Matrix) -> tuple[Filter, ...]:
    """The filters that turn a picture as the matrix says; none for odd angles."""
    return _FILTERS.get(_signs(matrix), ())


def lies_on_its_side(matrix: Matrix) -> bool:
    """Whether turning it upright swaps width and height."""
    return _signs(matrix)[0] == 0


def enlarged(matrix: Matrix, by: tuple[Fraction, Fraction]) -> Matrix:
    """The matrix for a picture so many times as wide and high: it also moves the picture, by pixels."""
    *turn, x, y, last = matrix
    horizontal, vertical = reversed(by) if lies_on_its_side(matrix) else by
    return (*turn, round(x * horizontal), round(y * vertical), last)


def _signs(matrix: Matrix) -> tuple[int, ...]:
    a, b, _, c, d, *_ = matrix
    return tuple((number > 0) - (number < 0) for number in (a, b, c, d))
