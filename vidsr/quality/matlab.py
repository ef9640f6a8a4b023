"""The functions of MATLAB by which the papers measure: `imresize`, antialiased when it reduces, and `rgb2ycbcr`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats
from vidsr.model.subpixel import cubic

_MATRIX = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
_OFFSET = np.array([16.0, 128.0, 128.0])


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """The weight of a pixel by its distance; 0 beyond `width / 2`."""

    weight: Callable[[Floats], Floats]
    width: float


def _lanczos3(x: Floats) -> Floats:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


CUBIC = Kernel(weight=cubic, width=4)
LANCZOS3 = Kernel(weight=_lanczos3, width=6)


def imresize(plane: NDArray[np.generic], scale: float, kernel: Kernel = CUBIC) -> Floats:
    """The (H, W) plane at ceil(scale * size), in float64, neither rounded nor clipped."""
    rows = _resize_rows(plane.astype(np.float64), scale, kernel)
    return _resize_rows(rows.T, scale, kernel).T


def _resize_rows(plane: Floats, scale: float, kernel: Kernel) -> Floats:
    centres: Floats = (np.arange(math.ceil(len(plane) * scale), dtype=np.float64) + 0.5) / scale - 0.5
    index, weight = contributions(centres, len(plane), min(scale, 1.0), kernel)
    result = np.zeros((index.shape[0], plane.shape[1]))
    for tap in range(index.shape[1]):
        result += weight[:, tap, None] * plane[index[:, tap]]
    return result


def contributions(centres: Floats, length: int, antialias: float, kernel: Kernel) -> tuple[NDArray[np.int64], Floats]:
    """The input pixels that contribute to positions on an axis, and their weights, both (positions, taps).

    Position 0 is the centre of the first of `length` pixels; edges are mirrored; the kernel is widened by 1/antialias.
    """
    width = kernel.width / antialias
    index = np.floor(centres - width / 2).astype(np.int64)[:, None] + np.arange(math.ceil(width) + 2)
    weight = kernel.weight((centres[:, None] - index) * antialias)
    weight /= weight.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    return mirrored[index % (2 * length)], weight


def studio_luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) luma: MATLAB's `rgb2ycbcr` of an (H, W, 3) image, range 16 to 235; an (H, W) image is unchanged."""
    if image.ndim == 2:
        return image
    luma: NDArray[np.uint8] = np.round(image @ _MATRIX[0] + _OFFSET[0]).astype(np.uint8)
    return luma


def studio_chroma(image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Cb and Cr of an (H, W, 3) image, both (H, W), range 16 to 240, not rounded."""
    return [image @ weights + 128 for weights in _MATRIX[1:]]


def studio_rgb(luma: NDArray[np.uint8], chroma: Sequence[NDArray[np.generic]]) -> NDArray[np.uint8]:
    """The (H, W, 3) image of studio-range luma and chroma."""
    planes = np.stack([luma, *chroma], axis=-1) - _OFFSET
    image: NDArray[np.uint8] = np.clip(np.round(planes @ np.linalg.inv(_MATRIX).T), 0, 255).astype(np.uint8)
    return image
