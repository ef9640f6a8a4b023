"""The ways to enlarge a plane that are measured side by side: networks, by the engine that ships, and two filters.

Planes hold grey levels 0 to 255.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.engine import Engine
from vidsr.engine.change_detection import ReusingEngine, TilingCost
from vidsr.quality.imresize import CUBIC, LANCZOS3, Kernel, imresize

FINE = 257  # steps of uint16 in one of uint8
BASELINE = "lanczos"  # the honest one: what a good player does without a network

Small = NDArray[np.uint8] | NDArray[np.float64]
Enlarge = Callable[[Small], Luma]
"""From a small (H, W) plane, in bytes or not rounded at all, to the enlarged one."""


def methods(engines: dict[str, Engine], scale: int) -> dict[str, Enlarge]:
    """Bicubic, Lanczos, and the networks of that scale under their names."""
    return {
        "bicubic": by_filter(CUBIC, scale),
        BASELINE: by_filter(LANCZOS3, scale),
        **{name: by_network(engine) for name, engine in engines.items() if engine.scale == scale},
    }


def reusing(engines: dict[str, Engine], scale: int, tolerance: int) -> dict[str, ReusingEngine]:
    """For one clip: the networks of that scale, each enlarging again only what differs by more than so many levels.

    Each is under the name that `reusing_name` makes of it. They do so from the second plane on, as `upscale`
    does once it has paid for tiles: what a few planes lose is what a long film loses.
    """
    return {
        reusing_name(name, tolerance): ReusingEngine(
            engine, tolerance=tolerance, cost=replace(TilingCost.of(engine.weights.architecture), min_saved_pixels=0)
        )
        for name, engine in engines.items()
        if engine.scale == scale
    }


def reusing_name(name: str, tolerance: int) -> str:
    """What a network is called that does so."""
    return f"{name} --reuse {tolerance}"


def by_network(engine: Engine | ReusingEngine) -> Enlarge:
    """The network; what is not rounded goes in as uint16, to within 1/514 of a grey level of its value."""

    def enlarge(small: Small) -> Luma:
        if small.dtype == np.uint8:
            return engine(in_bytes(small)).astype(np.uint8, copy=False)
        fine = np.clip(np.round(small * FINE), 0, 255 * FINE)
        return np.round(engine(fine.astype(np.uint16, order="C")) / FINE).astype(np.uint8)

    return enlarge


def by_filter(kernel: Kernel, scale: int) -> Enlarge:
    """The filter, as `imresize` applies it."""
    return lambda small: in_bytes(imresize(small, scale, kernel))


def in_bytes(plane: Small) -> Luma:
    """The plane rounded and clipped, row by row in memory."""
    whole: Luma = np.clip(np.round(plane), 0, 255).astype(np.uint8, order="C")
    return whole


def reducible(plane: Luma, scale: int) -> Luma:
    """The upper left part of the plane that is a multiple of the scale."""
    height, width = (length - length % scale for length in plane.shape)
    return plane[:height, :width]
