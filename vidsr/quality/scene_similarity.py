"""Whether two views are of one scene: thumbnails are compared in blocks, at small shifts.

Thumbnails are compared in 16 blocks by correlation with the same block of the other one, which tolerates changes of
light; the median block counts, which tolerates moving objects.
"""

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.media.thumbnails import HEIGHT, WIDTH

SHAPE = HEIGHT, WIDTH
"""(48, 64), of a thumbnail for any aspect ratio of the frames."""
_ONE_SCENE = 0.45  # one road camera over six weeks measured 0.41 at most, another one 0.57 and more
_SHIFTS = [(rows, columns) for rows in range(-8, 9, 2) for columns in range(-12, 13, 2)]  # of thumbnails
_NOISE_LEVELS = 2.0  # grey levels: noise floor of a flat block
_GRID = 4  # blocks per side


def thumbnail_of(plane: Luma) -> Luma:
    """The plane at (48, 64); each pixel is the mean of those that it covers."""
    shrunk = plane.astype(np.float64)
    for length in SHAPE:  # the transpose reduces the other axis
        edges = np.linspace(0, len(shrunk), length + 1).astype(int)
        sums = np.add.reduceat(shrunk, edges[:-1], axis=0)
        shrunk = (sums / np.maximum(np.diff(edges), 1)[:, None]).T
    return np.round(shrunk).astype(np.uint8)


def one_scene(first: Luma, second: Luma) -> bool:
    """Whether two thumbnails show one scene, in any light and at any small shift."""
    if dissimilarity(first, second) <= _ONE_SCENE:
        return True
    return any(dissimilarity(*_overlap(first, second, shift)) <= _ONE_SCENE for shift in _SHIFTS)


def dissimilarity(first: Luma, second: Luma) -> float:
    """The dissimilarity of thumbnails of one shape: 0 for the same view in any light, about 1 for unrelated views."""
    one, other = _blocks(first), _blocks(second)
    covariance = (one * other).mean(axis=1) + _NOISE_LEVELS**2
    deviations = np.sqrt(((one**2).mean(axis=1) + _NOISE_LEVELS**2) * ((other**2).mean(axis=1) + _NOISE_LEVELS**2))
    return float(1 - np.median(covariance / deviations))


def _overlap(first: Luma, second: Luma, shift: tuple[int, int]) -> tuple[Luma, Luma]:
    """The parts of two thumbnails that show the same if the second is shifted by (rows, columns)."""
    for _ in range(2):  # the transpose cuts the other axis
        rows, shift = shift[0], shift[::-1]
        length = len(first) - abs(rows)
        first, second = first[max(rows, 0) :][:length].T, second[max(-rows, 0) :][:length].T
    return first, second


def _blocks(luma: Luma) -> NDArray[np.float64]:
    """(blocks, pixels): the grey levels of each block, mean removed."""
    height, width = (length // _GRID for length in luma.shape)
    blocks = luma[: _GRID * height, : _GRID * width].reshape(_GRID, height, _GRID, width).swapaxes(1, 2)
    levels = blocks.reshape(_GRID**2, -1).astype(np.float64)
    levels -= levels.mean(axis=1, keepdims=True)
    return levels
