"""int8 calibration: activation ranges from some images and a line drawing, and the loss of each precision on others.

Black lines on white reach further than nearly all of a photograph: with the ranges of photographs alone, text loses 0.2
to 1 dB in int8. Ranges that hold all of it make the steps coarser, by which photographs lose up to 0.06 dB. So
the ranges go as far towards those of the drawing as photographs allow.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from vidsr.arrays import Luma
from vidsr.engine import Engine
from vidsr.engine.activation_ranges import measure_ranges
from vidsr.engine.precision import MAX_LOSS_DB, MAX_WEIGHT
from vidsr.model.calibration import Calibration, Ranges
from vidsr.model.weights import Weights
from vidsr.psnr_ssim import psnr
from vidsr.quality.imresize import imresize
from vidsr.quality.upscalers import crop_to_multiple, network_upscaler, to_uint8

_SIDE = 128  # pixels: a good part of an image, and the maps of 32 such planes still fit into memory
_CELL = 16  # pixels per side of a glyph of the drawing
_DRAWING_SHARES = (1, 0.75, 0.5, 0.25, 0)
_LOSSY = (*MAX_WEIGHT, "bf16")
_MAX_DB = 50.0  # PSNR is capped here: a black frame, which f32 may reproduce exactly, would dominate the loss

Item = TypeVar("Item")
ValidationPair = tuple[Luma, Luma]
"""An (H, W) LR plane and its (scale*H, scale*W) original."""


def calibrate(weights: Weights, planes: Iterable[Luma], pairs: Sequence[ValidationPair]) -> Weights:
    """The weights with ranges from a line drawing and the centres of some LR (H, W) `planes`, and losses on `pairs`.

    Integer precisions are simulated, so their losses are known for every CPU; bf16 has no loss on a CPU without it.
    Without pairs there are no losses.
    """
    centres = [_centre(plane) for plane in planes]
    natural = measure_ranges(weights, centres)
    drawn = measure_ranges(weights, [*centres, line_drawing(weights.architecture.scale)])
    losses: dict[str, float] = {}
    for share in _DRAWING_SHARES if pairs else _DRAWING_SHARES[:1]:
        calibration = Calibration(ranges=_between(natural, drawn, share))
        losses = _losses(replace(weights, calibration=calibration), pairs) if pairs else {}
        if all(losses.get(precision, 0) <= MAX_LOSS_DB for precision in MAX_WEIGHT):
            break
    return replace(weights, calibration=replace(calibration, losses=losses))


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


def _centre(plane: Luma) -> Luma:
    top, left = (max(0, (length - _SIDE) // 2) for length in plane.shape)
    return plane[top : top + _SIDE, left : left + _SIDE]


def _between(natural: Ranges, drawn: Ranges, share: float) -> Ranges:
    return {name: ends + np.float32(share) * (drawn[name] - ends) for name, ends in natural.items()}


def _losses(weights: Weights, pairs: Sequence[ValidationPair]) -> dict[str, float]:
    """In dB, by precision."""
    engines = {name: Engine(weights, precision=name, simulated=name in MAX_WEIGHT) for name in ("f32", *_LOSSY)}
    scores = {name: _mean_psnr(engine, pairs) for name, engine in engines.items() if engine.precision == name}
    return {name: round(scores["f32"] - scores[name], 4) for name in _LOSSY if name in scores}


def _mean_psnr(engine: Engine, pairs: Sequence[ValidationPair]) -> float:
    upscale = network_upscaler(engine)
    inner = (slice(engine.scale, -engine.scale),) * 2
    return float(np.mean([min(_MAX_DB, psnr(hr[inner], upscale(lr)[inner])) for lr, hr in pairs]))
