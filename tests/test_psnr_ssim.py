"""PSNR and SSIM, against values computed by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsr.quality.metrics import psnr, ssim


def noise(shape: tuple[int, int] = (24, 30), seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_equal_planes_have_infinite_psnr_and_ssim_1() -> None:
    assert psnr(noise(), noise()) == math.inf
    assert ssim(noise(), noise()) == pytest.approx(1)


@pytest.mark.parametrize(("step", "decibels"), [(1, 48.1308), (5, 34.1514), (255, 0.0)])
def test_a_constant_error_gives_the_psnr_of_its_square(step: int, decibels: float) -> None:
    black = np.zeros((8, 8), np.uint8)
    assert psnr(black, black + np.uint8(step)) == pytest.approx(decibels, abs=1e-4)


def test_one_wrong_pixel_of_many_is_averaged() -> None:
    reference = np.zeros((10, 10), np.uint8)
    candidate = reference.copy()
    candidate[0, 0] = 10  # a mean square of 1
    assert psnr(reference, candidate) == pytest.approx(48.1308, abs=1e-4)


def test_the_difference_of_unsigned_planes_does_not_wrap() -> None:
    black, white = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert psnr(black, white) == psnr(white, black) == 0


def test_the_peak_is_that_of_the_depth() -> None:
    deep = np.zeros((4, 4), np.uint16)
    assert psnr(deep, deep + 1023, peak=1023) == pytest.approx(0)


@pytest.mark.parametrize(("low", "high"), [(100, 110), (0, 255), (50, 60)])
def test_two_flat_planes_differ_in_luminance_alone(low: int, high: int) -> None:
    c1 = (0.01 * 255) ** 2
    expected = (2 * low * high + c1) / (low**2 + high**2 + c1)
    assert ssim(np.full((16, 16), low), np.full((16, 16), high)) == pytest.approx(expected)


def test_on_one_window_ssim_is_its_formula_over_a_gaussian() -> None:
    x, y = noise((11, 11)).astype(float), noise((11, 11), seed=1).astype(float)
    at = np.arange(11) - 5
    weight = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    weight /= weight.sum()
    mean_x, mean_y = (weight * x).sum(), (weight * y).sum()
    var_x, var_y = (weight * (x - mean_x) ** 2).sum(), (weight * (y - mean_y) ** 2).sum()
    covariance = (weight * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    assert ssim(x, y) == pytest.approx(luminance * structure)


def test_ssim_is_the_mean_over_every_whole_window() -> None:
    x, y = noise((12, 13)), noise((12, 13), seed=1)
    windows = [np.s_[top : top + 11, left : left + 11] for top in range(2) for left in range(3)]
    assert ssim(x, y) == pytest.approx(np.mean([ssim(x[window], y[window]) for window in windows]))


def test_planes_of_two_shapes_are_refused_even_where_numpy_broadcasts() -> None:
    for measure in (psnr, ssim):
        with pytest.raises(ValueError, match="cannot be compared"):
            measure(noise((16, 16)), noise((16, 1)))


def test_a_plane_smaller_than_the_window_has_no_ssim() -> None:
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(noise((10, 30)), noise((10, 30)))
