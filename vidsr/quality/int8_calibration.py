"""Networks made ready for int8: ranges from small planes, and what each precision loses on others."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from vidsr.arrays import Luma
from vidsr.engine import Engine
from vidsr.engine.activation_ranges import measure_ranges
from vidsr.engine.precision import MAX_WEIGHT
from vidsr.metrics import psnr
from vidsr.model.calibration import Calibration
from vidsr.model.weights import Weights
from vidsr.quality.imresize import imresize
from vidsr.quality.upscalers import by_network, in_bytes, reducible

_SIDE = 128  # of the planes that ranges are measured on: much of a picture, and 32 of them still fit into memory
_LOSSY = (*MAX_WEIGHT, "bf16")
_PLENTY_DB = 50.0  # what comes nearer is as good: a black frame, which f32 may give exactly, says nothing of losses

Item = TypeVar("Item")
Judge = tuple[Luma, Luma]
"""A small plane, as it comes in, and the (scale*H, scale*W) that it should become."""


def calibrated(weights: Weights, planes: Iterable[Luma], judges: Sequence[Judge]) -> Weights:
    """The weights with ranges from the middles of some small (H, W) `planes`, and their losses on the `judges`.

    Integers are simulated, so that what they lose is known for every CPU; bf16 has no loss where it cannot be
    computed. Without judges nothing has one.
    """
    ranges = measure_ranges(weights, [_middle(plane) for plane in planes])
    losses = _losses(replace(weights, calibration=Calibration(ranges=ranges)), judges) if judges else {}
    return replace(weights, calibration=Calibration(ranges=ranges, losses=losses))


def judge_of(picture: Luma, scale: int) -> Judge:
    """The picture, cropped to a multiple of the scale, behind its antialiased bicubic reduction in bytes."""
    large = reducible(picture, scale)
    return in_bytes(imresize(large, 1 / scale)), large


def spread(items: Sequence[Item], count: int) -> Sequence[Item]:
    """So many of them at the most, from the whole length."""
    return items[:: -(-len(items) // count) or 1]


def _middle(plane: Luma) -> Luma:
    top, left = (max(0, (length - _SIDE) // 2) for length in plane.shape)
    return plane[top : top + _SIDE, left : left + _SIDE]


def _losses(weights: Weights, judges: Sequence[Judge]) -> dict[str, float]:
    """In dB, by precision."""
    engines = {name: Engine(weights, precision=name, simulated=name in MAX_WEIGHT) for name in ("f32", *_LOSSY)}
    scores = {name: _score(engine, judges) for name, engine in engines.items() if engine.precision == name}
    return {name: round(scores["f32"] - scores[name], 4) for name in _LOSSY if name in scores}


def _score(engine: Engine, judges: Sequence[Judge]) -> float:
    """The mean PSNR."""
    enlarge = by_network(engine)
    inner = (slice(engine.scale, -engine.scale),) * 2
    return float(np.mean([min(_PLENTY_DB, psnr(large[inner], enlarge(small)[inner])) for small, large in judges]))
