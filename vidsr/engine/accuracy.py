"""Whether a compiled graph computes what f32 computes, on a plane made here: edges, texture, flat parts, extremes.

A kernel may be wrong on one CPU, in one shape, in one version, and paint wrong frames silently (oneDNN's int8
convolutions of 32 channels with a stride of 4 on AMX). So each graph that is not f32 proves itself before its first
use, at its own shape. The plane repeats every `PERIOD` pixels, so f32 has to compute one period only.
"""

import math
from collections.abc import Callable, Iterator
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Plane
from vidsr.cpu import this_cpu
from vidsr.engine.autotune_cache import load_verdict, save_verdict
from vidsr.model.weights import Weights, weights_hash

PERIOD = 128
"""Pixels, down and across, after which the test plane repeats itself."""
MORE_LOSS_DB = 0.1
"""PSNR on photographs that a graph may lose beyond what its weight file records."""
UNKNOWN_LOSS_DB = 0.5
"""The loss that is taken to be recorded where none is."""
MAX_ERROR = 32.0
"""Grey levels of 255 that a single pixel may differ by: networks that ship differ by up to 10."""
MAX_WINDOWS = 64
"""Windows of the pattern that a graph is compared on; all of it, from 16x16 pixels on."""
_MAX_LOSS_DB = 60.0  # recorded losses beyond it would leave nothing to compare
_PHOTO_PSNR = {2: 33.3, 3: 30.0, 4: 28.4}  # of fsrcnn-narrow on Kodak, by scale

Shape = tuple[int, int, int]
Upscale = Callable[[Plane, int], Plane]
"""(N, scale*H, scale*W) from (N, H + 2*halo, W + 2*halo) and the bits in use."""


class AccuracyCheck:
    """The check of one network's graphs against its graph in f32; verdicts are kept for the next start.

    `reference` computes the network in f32.
    """

    def __init__(self, weights: Weights, reference: Upscale) -> None:
        self._weights, self._reference = weights, reference
        self._expected: dict[tuple[np.dtype[np.generic], int], Plane] = {}

    @cached_property
    def _digest(self) -> str:
        return weights_hash(self._weights)[:16]

    def find_fault(
        self, upscale: Upscale, shape: Shape, dtype: np.dtype[np.generic], depth: int, *, precision: str, graph: str
    ) -> str:
        """A sentence that says how a graph is wrong; "" where it is accurate.

        `shape` is (N, H, W), without halo. `graph` is its precision and all else that decides which kernels it takes.
        """
        key = f"{graph}, {'x'.join(map(str, shape))}, {dtype} of {depth} bits, {self._digest}"
        found = load_verdict(key)
        if found is None:
            found = self._measure(upscale, shape, dtype, depth, precision=precision, graph=graph)
            save_verdict(key, found)
        return found

    def _measure(
        self, upscale: Upscale, shape: Shape, dtype: np.dtype[np.generic], depth: int, *, precision: str, graph: str
    ) -> str:
        architecture, (_, rows, columns) = self._weights.architecture, shape
        scale, peak = architecture.scale, 2**depth - 1
        pattern, expected = _pattern_of(depth, dtype), self._expected_pattern(depth, dtype)
        squares, largest, count = 0.0, 0.0, 0
        for origins in _origins(shape):
            result = upscale(_windows(pattern, origins, (rows, columns), margin=architecture.halo), depth)
            right = _windows(expected, origins * scale, (rows * scale, columns * scale))
            error = np.subtract(result, right, dtype=np.float32) * np.float32(255 / peak)
            squares += float(np.sum(np.square(error), dtype=np.float64))
            largest = max(largest, float(np.abs(error).max()))
            count += error.size
        level = 255 / peak  # of a plane of few bits: one of these is rounding
        mse, allowed = squares / count, allowed_mse(self._weights, precision) + level**2 / 12
        if mse <= allowed and largest <= max(MAX_ERROR, 1.5 * level):
            return ""
        return (
            f"{architecture} in {graph}, differs from f32 on {this_cpu()} by more than its recorded loss allows: PSNR "
            f"between them is {_psnr(mse):.2f} dB at {columns}x{rows}, {_psnr(allowed):.2f} is needed, and up to "
            f"{largest:.0f} of 255 grey levels"
        )

    def _expected_pattern(self, depth: int, dtype: np.dtype[np.generic]) -> Plane:
        """(scale*PERIOD, scale*PERIOD) by f32."""
        if (dtype, depth) not in self._expected:
            margin = self._weights.architecture.halo
            period = _windows(_pattern_of(depth, dtype), np.zeros((1, 2), int), (PERIOD, PERIOD), margin=margin)
            self._expected[dtype, depth] = self._reference(period, depth)[0]
        return self._expected[dtype, depth]


def allowed_mse(weights: Weights, precision: str) -> float:
    """The mean square of the distance to f32, in grey levels of 255, up to which a graph is accurate.

    Added to the network's own error on photographs it costs `MORE_LOSS_DB` more than the recorded loss.
    """
    losses = weights.calibration.losses if weights.calibration else {}
    loss_db = min(max(0.0, losses.get(precision, UNKNOWN_LOSS_DB)), _MAX_LOSS_DB) + MORE_LOSS_DB
    own_mse = 255**2 * 10 ** (-_PHOTO_PSNR[weights.architecture.scale] / 10)
    return float(own_mse * (10 ** (loss_db / 10) - 1))


@cache
def natural_pattern() -> Floats:
    """(PERIOD, PERIOD) grey levels, 0 to 255: a period of the plane that graphs are compared on."""
    side = 4 * PERIOD  # averaged to PERIOD, so that edges are as soft as a camera's
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequencies[0, 0] = np.inf
    noise = np.random.default_rng(0).standard_normal((side, side))
    texture = np.fft.ifft2(np.fft.fft2(noise) / frequencies**1.4).real  # falls off as that of photographs
    texture /= texture.std()
    y, x = np.mgrid[:side, :side] / side
    distance = np.hypot(x - 0.25, y - 0.25)
    plane = 110 + 22 * texture + 30 * np.sin(2 * np.pi * x)
    plane = np.where(distance < 0.17, 205 + 8 * texture, plane)
    plane = np.where(distance < 0.06, 0, plane)
    plane = np.where(_box(x, y, 0.25, 0.75), np.where((x + y) * 24 % 1 < 0.5, 60, 180), plane)
    plane = np.where(_box(x, y, 0.75, 0.75), 255, plane)
    plane = np.where(_box(x, y, 0.75, 0.2), np.where((x + 2 * y) % 1 > 0.5, 235, 16), plane)
    period: Floats = np.clip(plane, 0, 255).reshape(PERIOD, 4, PERIOD, 4).mean(axis=(1, 3))
    for axis in (0, 1):
        period = (np.roll(period, 1, axis) + 2 * period + np.roll(period, -1, axis)) / 4
    return period


def _box(x: Floats, y: Floats, centre_x: float, centre_y: float) -> NDArray[np.bool_]:
    return (np.abs(x - centre_x) < 0.16) & (np.abs(y - centre_y) < 0.12)


def _pattern_of(depth: int, dtype: np.dtype[np.generic]) -> Plane:
    plane: Plane = np.round(natural_pattern() * ((2**depth - 1) / 255)).astype(dtype)
    return plane


def _origins(shape: Shape) -> Iterator[NDArray[np.int64]]:
    """(N, 2) rows and columns at which the windows of each call begin: together they cover the pattern.

    Windows of few pixels are spread over it, `MAX_WINDOWS` at the most.
    """
    count, *lengths = shape
    grid = [range(0, PERIOD, min(length, PERIOD)) for length in lengths]
    origins = np.array([(row, column) for row in grid[0] for column in grid[1]])
    origins = origins[:: -(-len(origins) // MAX_WINDOWS)]
    for begin in range(0, len(origins), count):
        yield origins[np.arange(begin, begin + count) % len(origins)]


def _windows(pattern: Plane, origins: NDArray[np.int64], size: tuple[int, int], *, margin: int = 0) -> Plane:
    """(N, H + 2*margin, W + 2*margin) of a pattern that repeats itself, from (N, 2) rows and columns on."""
    rows, columns = (
        (begin[:, None] + np.arange(-margin, length + margin)) % len(pattern)
        for begin, length in zip(origins.T, size, strict=True)
    )
    windows: Plane = pattern[rows[:, :, None], columns[:, None, :]]
    return windows


def _psnr(mse: float) -> float:
    return 10 * math.log10(255**2 / mse) if mse else math.inf
