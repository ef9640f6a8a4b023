"""Bicubic resizing as MATLAB's `imresize` does it: antialiased when it shrinks, edges mirrored."""

import math

import numpy as np
from numpy.typing import NDArray

from vidsr.model.subpixel import cubic


def imresize(plane: NDArray[np.generic], scale: float) -> NDArray[np.float64]:
    """The (H, W) plane at ceil(scale * size), in float64, neither rounded nor clipped."""
    rows = _resize_rows(plane.astype(np.float64), scale)
    return _resize_rows(rows.T, scale).T


def _resize_rows(plane: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    index, weight = _contributions(plane.shape[0], scale)
    result = np.zeros((index.shape[0], plane.shape[1]))
    for tap in range(index.shape[1]):
        result += weight[:, tap, None] * plane[index[:, tap]]
    return result


def _contributions(length: int, scale: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which input pixels make an output pixel, and with what weight: both (outputs, taps)."""
    stretch = min(scale, 1.0)
    width = 4.0 / stretch
    centre = (np.arange(math.ceil(length * scale)) + 0.5) / scale - 0.5
    first = np.floor(centre - width / 2).astype(np.int64)
    index = first[:, None] + np.arange(math.ceil(width) + 2)
    weight = cubic((centre[:, None] - index) * stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    return mirrored[index % (2 * length)], weight
