"""The effects of a lens, a sensor and a camera's processor on luma: (H, W) grey levels 0 to 255, not rounded.

No effect shifts the image: pixel centres lie where `imresize` puts them.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats
from vidsr.quality.matlab import CUBIC, LANCZOS3, Kernel, imresize

BLACK, WHITE = 16, 235
_READ_NOISE_SHARE = 0.25  # of the variance at white: read noise, independent of light
_SHARPEN_SIGMA = 1.0  # pixels, of the unsharp mask
_DENOISE_RADIUS = 2  # pixels

AREA = Kernel(weight=lambda x: ((x >= -0.5) & (x < 0.5)).astype(float), width=1)
BILINEAR = Kernel(weight=lambda x: np.maximum(1 - np.abs(x), 0), width=2)


def downscale(plane: NDArray[np.generic], scale: int, name: str) -> Floats:
    """The plane `scale` times smaller, by a kernel named as in DegradeSettings."""
    kernels = {"bicubic": CUBIC, "area": AREA, "bilinear": BILINEAR, "lanczos": LANCZOS3, "plain": _plain(scale)}
    return imresize(plane, 1 / scale, kernels[name])


def _plain(scale: int) -> Kernel:
    """Cubic interpolation without antialiasing: narrowed by the factor by which `imresize` widens it."""
    return replace(CUBIC, weight=lambda x: CUBIC.weight(x * scale), width=CUBIC.width / scale)


def blur(plane: NDArray[np.generic], sigma: float) -> Floats:
    """The plane blurred by a Gaussian, its edge repeated."""
    radius = max(1, round(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    blurred = np.pad(plane.astype(np.float64), radius, mode="edge")
    for _ in range(2):  # the transpose filters the other axis
        blurred = filter_rows(blurred, taps, len(blurred) - 2 * radius).T
    return blurred


def filter_rows(plane: Floats, weights: Floats, n_rows: int) -> Floats:
    """`n_rows` rows: row i is the weighted sum of the rows from i on, one per weight."""
    result = np.zeros((n_rows, plane.shape[1]))
    for first, weight in enumerate(weights):
        result += weight * plane[first : first + n_rows]
    return result


def sharpen(plane: Floats, amount: float) -> Floats:
    """The plane sharpened by an unsharp mask: `amount` times the difference from its blur is added."""
    return plane + amount * (plane - blur(plane, _SHARPEN_SIGMA))


def denoise(plane: Floats, sigma: float) -> Floats:
    """The plane after a bilateral filter; `sigma` is in grey levels."""
    height, width = plane.shape
    padded = np.pad(plane, _DENOISE_RADIUS, mode="edge")
    total, weights = np.zeros_like(plane), np.zeros_like(plane)
    for top in range(2 * _DENOISE_RADIUS + 1):
        for left in range(2 * _DENOISE_RADIUS + 1):
            neighbour = padded[top : top + height, left : left + width]
            weight = np.exp(-0.5 * ((neighbour - plane) / sigma) ** 2)
            total += weight * neighbour
            weights += weight
    return total / weights


def add_noise(plane: Floats, sigma: float, random: np.random.Generator) -> Floats:
    """The plane with shot and read noise; `sigma` is in grey levels at white, half of that at black."""
    light = np.clip((plane - BLACK) / (WHITE - BLACK), 0, 1)
    return plane + sigma * np.sqrt(_READ_NOISE_SHARE + (1 - _READ_NOISE_SHARE) * light) * random.standard_normal(
        plane.shape
    )
