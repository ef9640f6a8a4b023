"""PSNR and SSIM of planes."""

import numpy as np
from numpy.typing import NDArray

AnyPlane = NDArray[np.generic]


def psnr(reference: AnyPlane, candidate: AnyPlane, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio of two (H, W) planes of one shape in dB; infinity when they are the same."""
    _check_shapes(reference, candidate)
    error = np.mean((reference.astype(np.float64) - candidate.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(reference: AnyPlane, candidate: AnyPlane, peak: float = 255.0) -> float:
    """Mean structural similarity: Gaussian 11×11, σ 1.5, K = .01 and .03, valid region (Wang et al. 2004).

    The planes are of one shape, 11 pixels a side at the least.
    """
    _check_shapes(reference, candidate)
    if min(reference.shape) < 11:
        raise ValueError(f"SSIM needs 11 pixels a side, not {reference.shape}")
    x, y = reference.astype(np.float64), candidate.astype(np.float64)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float(np.mean(luminance * structure))


def _check_shapes(reference: AnyPlane, candidate: AnyPlane) -> None:
    if reference.shape != candidate.shape:
        raise ValueError(f"planes of {reference.shape} and {candidate.shape} cannot be compared")


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    for _ in range(2):  # down the columns, then, turned, along the rows
        plane = sum(weight * plane[i : len(plane) - 10 + i] for i, weight in enumerate(kernel)).T
    return plane
