"""What a lens, a sensor and a camera's processor do to luma: planes (H, W) of grey levels 0 to 255, not rounded.

Nothing here moves the picture: pixel centres lie where `imresize` has them.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats
from vidsr.quality.imresize import CUBIC, LANCZOS3, Kernel, imresize

BLACK, WHITE = 16, 235
_READ_SHARE = 0.25  # of the variance at white that is there in the dark, too
_HALO = 1.0  # pixels: sigma of the blur whose difference sharpens
_NEAR = 2  # pixels on every side that smooth one

AREA = Kernel(weight=lambda x: ((x >= -0.5) & (x < 0.5)).astype(float), width=1)
BILINEAR = Kernel(weight=lambda x: np.maximum(1 - np.abs(x), 0), width=2)


def reduce(plane: NDArray[np.generic], scale: int, name: str) -> Floats:
    """The plane `scale` times smaller, by the kernel of that name in DegradeSettings."""
    kernels = {"bicubic": CUBIC, "area": AREA, "bilinear": BILINEAR, "lanczos": LANCZOS3, "plain": _plain(scale)}
    return imresize(plane, 1 / scale, kernels[name])


def _plain(scale: int) -> Kernel:
    """Cubic interpolation at the centre of each pixel, which aliases: narrowed by what `imresize` widens it."""
    return replace(CUBIC, weight=lambda x: CUBIC.weight(x * scale), width=CUBIC.width / scale)


def blur(plane: NDArray[np.generic], sigma: float) -> Floats:
    """The plane blurred by a Gaussian, its edge repeated."""
    reach = max(1, round(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps /= taps.sum()
    blurred = np.pad(plane.astype(np.float64), reach, mode="edge")
    for _ in range(2):  # down the columns, then, turned, along the rows
        blurred = weighted_rows(blurred, taps, len(blurred) - 2 * reach).T
    return blurred


def weighted_rows(plane: Floats, weights: Floats, count: int) -> Floats:
    """So many rows, each the weighted sum of as many that follow each other from there on as there are weights."""
    result = np.zeros((count, plane.shape[1]))
    for first, weight in enumerate(weights):
        result += weight * plane[first : first + count]
    return result


def sharpen(plane: Floats, amount: float) -> Floats:
    """The plane with so many times its difference from its blur added."""
    return plane + amount * (plane - blur(plane, _HALO))


def denoise(plane: Floats, levels: float) -> Floats:
    """The plane with each pixel averaged with those near it, by how little they differ (a bilateral filter)."""
    height, width = plane.shape
    padded = np.pad(plane, _NEAR, mode="edge")
    total, weights = np.zeros_like(plane), np.zeros_like(plane)
    for top in range(2 * _NEAR + 1):
        for left in range(2 * _NEAR + 1):
            other = padded[top : top + height, left : left + width]
            weight = np.exp(-0.5 * ((other - plane) / levels) ** 2)
            total += weight * other
            weights += weight
    return total / weights


def add_noise(plane: Floats, sigma: float, random: np.random.Generator) -> Floats:
    """The plane with the noise of light and sensor: sigma in grey levels at white, half of it at black."""
    light = np.clip((plane - BLACK) / (WHITE - BLACK), 0, 1)
    return plane + sigma * np.sqrt(_READ_SHARE + (1 - _READ_SHARE) * light) * random.standard_normal(plane.shape)
