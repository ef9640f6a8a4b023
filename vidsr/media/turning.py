"""Display matrices: how a player turns a picture, and the FFmpeg filters that do it at once."""

import numpy as np
from av import VideoFrame

Matrix = tuple[int, ...]

_FILTERS = {  # by the signs of a, b, c, d where x' = a*x + c*y and y' = b*x + d*y
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}


def display_matrix(picture: VideoFrame) -> Matrix | None:
    """The nine numbers of a frame's display matrix, None when it changes nothing."""
    data = picture.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    matrix = tuple(int(number) for number in np.frombuffer(data, np.int32)[:9])
    return None if _signs(matrix) == (1, 0, 0, 1) else matrix


def upright_filters(matrix: Matrix) -> tuple[tuple[str, str], ...]:
    """The filters, as (name, arguments), that turn a picture as the matrix says; none for odd angles."""
    return _FILTERS.get(_signs(matrix), ())


def _signs(matrix: Matrix) -> tuple[int, ...]:
    a, b, _, c, d, *_ = matrix
    return tuple((number > 0) - (number < 0) for number in (a, b, c, d))
