"""Whether a compiled graph computes what f32 computes, on a plane made here: edges, texture, flat parts, extremes.

A kernel may be wrong on one CPU, in one shape, in one version, and paint wrong frames silently (oneDNN's int8
convolutions of 32 channels with a stride of 4 on AMX). So each graph that is not f32 proves itself before its first
use, at its own shape. The plane repeats every `PERIOD` pixels, so f32 has to compute one period only.
"""

import hashlib
import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Plane
from vidsr.cpu import this_cpu
from vidsr.engine.autotune_cache import keep_verdict, verdict
from vidsr.model.weights import Weights

PERIOD = 128
"""Pixels, down and across, after which the test plane repeats itself."""
MORE_LOSS_DB = 0.1
"""PSNR on photographs that a graph may lose beyond what its weight file records."""
UNKNOWN_LOSS_DB = 0.5
"""The loss that is taken to be recorded where none is."""
MAX_ERROR = 32.0
"""Grey levels of 255 that a single pixel may differ by: networks that ship differ by up to 10."""
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

    def fault(
        self, upscale: Upscale, shape: Shape, dtype: np.dtype[np.generic], depth: int, *, precision: str, graph: str
    ) -> str:
        """A sentence that says how a graph is wrong; "" where it is accurate.

        `shape` is (N, H, W), without halo. `graph` is its precision and all else that decides which kernels it takes.
        """
        key = f"{graph}, {'x'.join(map(str, shape))}, {dtype} of {depth} bits, {_digest(self._weights)}"
        found = verdict(key)
        if found is None:
            found = self._measure(upscale, shape, dtype, depth, precision=precision, graph=graph)
            keep_verdict(key, found)
        return found

    def _measure(
        self, upscale: Upscale, shape: Shape, dtype: np.dtype[np.generic], depth: int, *, precision: str, graph: str
    ) -> str:
        architecture = self._weights.architecture
        halo, scale = architecture.halo, architecture.scale
        result = upscale(_repeated(_pattern_of(depth, dtype), shape, margin=halo), depth)
        if (dtype, depth) not in self._expected:
            period = _repeated(_pattern_of(depth, dtype), (1, PERIOD, PERIOD), margin=halo)
            self._expected[dtype, depth] = self._reference(period, depth)[0]
        count, rows, columns = shape
        expected = _repeated(self._expected[dtype, depth], (count, rows * scale, columns * scale))
        error = np.subtract(result, expected, dtype=np.float32) * np.float32(255 / (2**depth - 1))
        mse, largest = float(np.mean(np.square(error))), float(np.abs(error).max())
        allowed = allowed_mse(self._weights, precision)
        if mse <= allowed and largest <= MAX_ERROR:
            return ""
        return (
            f"{architecture} in {graph}, is wrong on {this_cpu()}: at {columns}x{rows} it is {_psnr(mse):.1f} dB from "
            f"f32, at least {_psnr(allowed):.1f} is right, and {largest:.0f} of 255 grey levels at most"
        )


def allowed_mse(weights: Weights, precision: str) -> float:
    """The mean square of the distance to f32, in grey levels of 255, up to which a graph is accurate.

    Added to the network's own error on photographs it costs `MORE_LOSS_DB` more than the recorded loss.
    """
    losses = weights.calibration.losses if weights.calibration else {}
    loss_db = max(0.0, losses.get(precision, UNKNOWN_LOSS_DB)) + MORE_LOSS_DB
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


def _repeated(period: Plane, shape: Shape, *, margin: int = 0) -> Plane:
    """(N, H + 2*margin, W + 2*margin): the period, beginning at `margin`, each of the N at another part of it."""
    count, *lengths = shape
    begin = np.arange(count) * (len(period) // count)
    rows, columns = ((begin[:, None] + np.arange(-margin, length + margin)) % len(period) for length in lengths)
    plane: Plane = period[rows[:, :, None], columns[:, None, :]]
    return plane


def _psnr(mse: float) -> float:
    return 10 * math.log10(255**2 / mse) if mse else math.inf


def _digest(weights: Weights) -> str:
    """A short hash of all numbers that a graph is made of."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.tobytes())
    if weights.calibration:
        for _, ends in sorted(weights.calibration.ranges.items()):
            digest.update(ends.tobytes())
        digest.update(repr(sorted(weights.calibration.losses.items())).encode())
    return digest.hexdigest()[:16]
