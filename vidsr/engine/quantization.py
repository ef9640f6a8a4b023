"""A network in 8-bit integers: the same network with its channels equalized, and the steps that every layer rounds to.

A layer has one step for all its input channels, and one for the weights of each output. PReLU commutes with every
positive factor, so a factor per channel may be taken out before it and put into the next layer's weights: channels of
a smaller range than others are scaled up, and lose less by the common step.
"""

from dataclasses import dataclass

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from numpy.typing import NDArray
from openvino import opset15 as ops

from vidsr.model.architecture import Architecture
from vidsr.model.weights import Weights, input_widths

_End = float | NDArray[np.float32]

_LEVELS = 256
_WEIGHT_LEVELS = 255  # of the constant that OpenVINO takes for int8, -127 to 127, however few of them are used
_BALANCE = 0.75  # the share of the inputs' range in a factor; the rest is the weights'. Measured on Kodak
_LEAST = 1e-4  # of the largest channel: channels that are hardly ever other than 0 are not scaled up to it


@dataclass(frozen=True, kw_only=True)
class QuantParams:
    """The rounding of all layers but the first."""

    ranges: dict[str, tuple[float, float]]
    """The lowest and the highest value of a layer's inputs, by its name."""
    max_weight: int
    """The largest weight as an integer."""


def equalize_channels(weights: Weights, *, max_weight: int) -> tuple[Weights, QuantParams]:
    """A network that computes the same, and its rounding. The weights must be calibrated.

    What a long skip adds has the factors of that to which it is added.
    """
    assert weights.calibration
    architecture, tensors, ranges = weights.architecture, dict(weights.tensors), {}
    factors_of = {name: _input_factors(weights, name) for name in input_widths(architecture)}
    if architecture.long_skip:
        first, last = next(iter(factors_of)), architecture.tail.name
        factors_of[first] = factors_of[last] = np.sqrt(factors_of[first] * factors_of[last])
    for before, (name, factors) in zip(architecture.body, factors_of.items(), strict=True):
        ends, own = weights.calibration.ranges[name], _along_inputs(architecture, name)
        tensors[f"{before.name}.weight"] = tensors[f"{before.name}.weight"] / factors.reshape(-1, 1, 1, 1)
        tensors[f"{before.name}.bias"] = tensors[f"{before.name}.bias"] / factors
        tensors[f"{name}.weight"] = tensors[f"{name}.weight"] * factors.reshape(own)
        ranges[name] = (float((ends[0] / factors).min()), float((ends[1] / factors).max()))
    params = QuantParams(ranges=ranges, max_weight=max_weight)
    return Weights(architecture=architecture, tensors=tensors), params


def quantize_input(x: ov.Node, ends: tuple[float, float]) -> ov.Node:
    """The values in 256 steps over a range, which is moved a little so that 0 is one of them."""
    step = (ends[1] - ends[0]) / (_LEVELS - 1)
    below = round(-ends[0] / step)
    return _fake(x, -below * step, (_LEVELS - 1 - below) * step, levels=_LEVELS)


def quantize_weights(weight: NDArray[np.float32], max_weight: int) -> ov.Node:
    """Weights, (outputs, ...), as integers up to `max_weight` times a step per output."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1).reshape(-1, 1, 1, 1)
    step = np.where(largest > 0, largest, 1) / max_weight
    end = (step * (_WEIGHT_LEVELS // 2)).astype(np.float32)
    return _fake(ops.constant((np.round(weight / step) * step).astype(np.float32)), -end, end, levels=_WEIGHT_LEVELS)


def _input_factors(weights: Weights, name: str) -> NDArray[np.float32]:
    """The factors of the inputs of a layer."""
    assert weights.calibration
    others = tuple(np.flatnonzero(np.array(_along_inputs(weights.architecture, name)) > 0))
    return _factors(weights.calibration.ranges[name], np.abs(weights.tensors[f"{name}.weight"]).max(axis=others))


def _along_inputs(architecture: Architecture, name: str) -> tuple[int, ...]:
    """The shape that lays a number per input along those of the layer's weights."""
    return (-1, 1, 1, 1) if name == architecture.tail.name else (1, -1, 1, 1)


def _factors(ends: NDArray[np.float32], largest: NDArray[np.float32]) -> NDArray[np.float32]:
    """The divisor of each input channel: near 1 in the mean, from its range and the largest of its weights."""
    least = np.finfo(np.float32).tiny
    inputs, outputs = (np.maximum(size, _LEAST * size.max() + least) for size in (np.abs(ends).max(axis=0), largest))
    powers = np.log(inputs) * _BALANCE - np.log(outputs) * (1 - _BALANCE)
    factors: NDArray[np.float32] = np.exp(powers - powers.mean()).astype(np.float32)
    return factors


def _fake(x: ov.Node, low: _End, high: _End, *, levels: int) -> ov.Node:
    ends = [ops.constant(np.asarray(end, np.float32)) for end in (low, high)]
    return ops.fake_quantize(x, *ends, *ends, levels)
