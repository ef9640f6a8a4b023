"""The upscaling methods that are compared: networks, run by the engine, and two resampling filters.

Planes hold grey levels 0 to 255.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.engine import Engine
from vidsr.engine.change_detection import TilingCost
from vidsr.engine.reusing_engine import ReusingEngine
from vidsr.quality.matlab import CUBIC, LANCZOS3, imresize

FINE = 257  # uint16 steps per uint8 step
BASELINE = "lanczos"  # the best that players do without a network

LrPlane = NDArray[np.uint8] | NDArray[np.float64]
"""A low-resolution (H, W) plane, rounded to bytes or not rounded."""
Upscaler = Callable[[LrPlane], Luma]
"""From (H, W) to (scale*H, scale*W)."""


def make_upscalers(engines: dict[str, Engine], scale: int) -> dict[str, Upscaler]:
    """Upscalers by name: bicubic, Lanczos, and those `engines` that have this scale."""
    return {
        "bicubic": lambda lr: to_uint8(imresize(lr, scale, CUBIC)),
        BASELINE: lambda lr: to_uint8(imresize(lr, scale, LANCZOS3)),
        **{name: network_upscaler(engine) for name, engine in engines.items() if engine.scale == scale},
    }


def reusing_engines(engines: dict[str, Engine], scale: int, tolerance: int) -> dict[str, ReusingEngine]:
    """For one clip: the engines of this scale, which recompute only regions that differ by more than `tolerance`.

    Keys come from `reuse_label`. Reuse begins with the second plane, without the warm-up of `upscale`, so that the
    loss on a short clip equals the loss on a long one.
    """
    return {
        reuse_label(name, tolerance): ReusingEngine(
            engine, tolerance=tolerance, cost=replace(TilingCost.of(engine.weights.architecture), min_saved_pixels=0)
        )
        for name, engine in engines.items()
        if engine.scale == scale
    }


def reuse_label(name: str, tolerance: int) -> str:
    """The method name of a network with `--reuse`."""
    return f"{name} --reuse {tolerance}"


def network_upscaler(engine: Engine | ReusingEngine) -> Upscaler:
    """The network; planes that are not rounded are quantized to uint16, within 1/514 of a grey level."""

    def upscale(lr: LrPlane) -> Luma:
        if lr.dtype == np.uint8:
            return engine(to_uint8(lr)).astype(np.uint8, copy=False)
        fine = np.clip(np.round(lr * FINE), 0, 255 * FINE)
        return np.round(engine(fine.astype(np.uint16, order="C")) / FINE).astype(np.uint8)

    return upscale


def to_uint8(plane: LrPlane) -> Luma:
    """The plane rounded and clipped, C-contiguous."""
    rounded: Luma = np.clip(np.round(plane), 0, 255).astype(np.uint8, order="C")
    return rounded


def center_crop(plane: Luma, side: int) -> Luma:
    """The middle of the plane, `side` pixels per side where it is larger."""
    top, left = (max(0, length - side) // 2 for length in plane.shape)
    return plane[top : top + side, left : left + side]


def crop_to_multiple(plane: Luma, scale: int) -> Luma:
    """The upper left part of the plane whose sides are multiples of the scale."""
    height, width = (length - length % scale for length in plane.shape)
    return plane[:height, :width]
