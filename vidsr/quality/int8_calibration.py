"""int8 calibration: activation ranges from some images and a line drawing, and the loss of each precision on others.

Black lines on white reach further than nearly all of a photograph does: with the ranges of photographs alone, text
loses 0.2 to 1 dB in int8. Ranges that hold all of it make the steps coarser, by which photographs lose up to 0.1 dB.
So the ranges go as far towards those of the drawing as photographs allow.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from vidsr.arrays import Luma
from vidsr.engine import Engine
from vidsr.engine.activation_ranges import measure_ranges
from vidsr.engine.precision import MAX_LOSS_DB, MAX_WEIGHT
from vidsr.model.weights import Calibration, Weights
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import psnr
from vidsr.quality.upscalers import center_crop, crop_to_multiple, network_upscaler, to_uint8

_SIDE = 128  # pixels: a good part of an image, and the maps of 32 such planes still fit into memory
_CELL = 16  # pixels per side of a glyph of the drawing
_PHOTOS_LOSE_DB = {"int8": 0.035, "int7": MAX_LOSS_DB}  # at most, unless they lose more with ranges of their own
_SHARES = 8  # how finely the ranges are tried between photographs and drawing
_MAX_DB = 50.0  # PSNR is capped here: a black frame, which f32 may reproduce exactly, would dominate the loss

Item = TypeVar("Item")
ValidationPair = tuple[Luma, Luma]
"""An (H, W) LR plane and its (scale*H, scale*W) original."""


def calibrate(weights: Weights, planes: Iterable[Luma], pairs: Sequence[ValidationPair]) -> Weights:
    """The weights with ranges from a line drawing and the centres of some LR (H, W) `planes`, and losses on `pairs`.

    Integer precisions are simulated, so their losses are known for every CPU; bf16 has no loss on a CPU without it.
    Without pairs there are no losses.
    """
    centres = [center_crop(plane, _SIDE) for plane in planes]
    natural = measure_ranges(weights, centres)
    drawn = measure_ranges(weights, [*centres, line_drawing(weights.architecture.scale)])
    drawing_only = replace(weights, calibration=Calibration(ranges=drawn))
    if not pairs:
        return drawing_only
    f32_db = _mean_psnr(Engine(drawing_only, precision="f32"), pairs)
    for share in np.linspace(1, 0, _SHARES + 1, dtype=np.float32):
        ranges = {name: ends + share * (drawn[name] - ends) for name, ends in natural.items()}
        ready = replace(weights, calibration=Calibration(ranges=ranges))
        losses = {name: f32_db - _mean_psnr(_simulated(ready, name), pairs) for name in MAX_WEIGHT}
        if all(loss <= _PHOTOS_LOSE_DB[name] for name, loss in losses.items()):
            break
    engine = Engine(ready, precision="bf16")
    if engine.precision == "bf16":
        losses["bf16"] = f32_db - _mean_psnr(engine, pairs)
    rounded = {name: round(loss, 4) for name, loss in losses.items()}
    return replace(weights, calibration=Calibration(ranges=ranges, losses=rounded))


def line_drawing(scale: int, seed: int = 0) -> Luma:
    """An LR (128, 128) plane of glyphs: strokes of up to 3 pixels, black on white or white on black."""
    rng = np.random.default_rng(seed)
    side, cell = _SIDE * scale, _CELL * scale
    drawing = np.empty((side, side), np.uint8)
    for top, left in np.ndindex(side // cell, side // cell):
        paper = rng.choice([0, 255])
        glyph = drawing[top * cell : (top + 1) * cell, left * cell : (left + 1) * cell]
        glyph[:] = paper
        for _ in range(rng.integers(1, 5)):
            start, (first, last) = rng.integers(cell), sorted(rng.integers(cell, size=2))
            stroke = glyph if rng.random() < 0.5 else glyph.T  # a horizontal or a vertical one
            stroke[start : start + rng.integers(1, 3 * scale), first : last + 1] = 255 - paper
    return to_uint8(imresize(drawing, 1 / scale))


def validation_pair(luma: Luma, scale: int) -> ValidationPair:
    """The antialiased bicubic reduction of the image, in bytes, and the image cropped to a multiple of the scale."""
    hr = crop_to_multiple(luma, scale)
    return to_uint8(imresize(hr, 1 / scale)), hr


def sample_evenly(items: Sequence[Item], count: int) -> Sequence[Item]:
    """At most `count` items at equal distances."""
    return items[:: -(-len(items) // count) or 1]


def _simulated(weights: Weights, precision: str) -> Engine:
    return Engine(weights, precision=precision, simulated=True)


def _mean_psnr(engine: Engine, pairs: Sequence[ValidationPair]) -> float:
    upscale = network_upscaler(engine)
    inner = (slice(engine.scale, -engine.scale),) * 2
    return float(np.mean([min(_MAX_DB, psnr(hr[inner], upscale(lr)[inner])) for lr, hr in pairs]))
