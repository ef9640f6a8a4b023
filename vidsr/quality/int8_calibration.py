"""int8 calibration: activation ranges from some images, and the loss of each precision on others."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from vidsr.arrays import Luma
from vidsr.engine import Engine
from vidsr.engine.activation_ranges import measure_ranges
from vidsr.engine.precision import MAX_WEIGHT
from vidsr.model.weights import Calibration, Weights
from vidsr.psnr_ssim import psnr
from vidsr.quality.matlab import imresize
from vidsr.quality.upscalers import crop_to_multiple, network_upscaler, to_uint8

_SIDE = 128  # pixels: a good part of an image, and the maps of 32 such planes still fit into memory
_LOSSY = (*MAX_WEIGHT, "bf16")
_MAX_DB = 50.0  # PSNR is capped here: a black frame, which f32 may reproduce exactly, would dominate the loss

Item = TypeVar("Item")
ValidationPair = tuple[Luma, Luma]
"""An (H, W) LR plane and its (scale*H, scale*W) original."""


def calibrate(weights: Weights, planes: Iterable[Luma], pairs: Sequence[ValidationPair]) -> Weights:
    """The weights with ranges from the centres of some LR (H, W) `planes`, and their losses on the `pairs`.

    Integer precisions are simulated, so their losses are known for every CPU; bf16 has no loss on a CPU without it.
    Without pairs there are no losses.
    """
    ranges = measure_ranges(weights, [_centre(plane) for plane in planes])
    losses = _losses(replace(weights, calibration=Calibration(ranges=ranges)), pairs) if pairs else {}
    return replace(weights, calibration=Calibration(ranges=ranges, losses=losses))


def validation_pair(luma: Luma, scale: int) -> ValidationPair:
    """The antialiased bicubic reduction of the image, in bytes, and the image cropped to a multiple of the scale."""
    hr = crop_to_multiple(luma, scale)
    return to_uint8(imresize(hr, 1 / scale)), hr


def sample_evenly(items: Sequence[Item], count: int) -> Sequence[Item]:
    """At most `count` items at equal distances."""
    return items[:: -(-len(items) // count) or 1]


def _centre(plane: Luma) -> Luma:
    top, left = (max(0, (length - _SIDE) // 2) for length in plane.shape)
    return plane[top : top + _SIDE, left : left + _SIDE]


def _losses(weights: Weights, pairs: Sequence[ValidationPair]) -> dict[str, float]:
    """In dB, by precision."""
    engines = {name: Engine(weights, precision=name, simulated=name in MAX_WEIGHT) for name in ("f32", *_LOSSY)}
    scores = {name: _mean_psnr(engine, pairs) for name, engine in engines.items() if engine.precision == name}
    return {name: round(scores["f32"] - scores[name], 4) for name in _LOSSY if name in scores}


def _mean_psnr(engine: Engine, pairs: Sequence[ValidationPair]) -> float:
    upscale = network_upscaler(engine)
    inner = (slice(engine.scale, -engine.scale),) * 2
    return float(np.mean([min(_MAX_DB, psnr(hr[inner], upscale(lr)[inner])) for lr, hr in pairs]))
