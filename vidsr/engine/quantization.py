"""A network in 8-bit integers: the same network with its channels balanced, and what every layer rounds to.

A layer has one step for all its input channels, and one for the weights of each output. PReLU commutes with every
positive factor, so that a factor for each channel may be taken out before it and put into the next layer's weights:
channels that reach less far than others are enlarged, and lose less by the common step.
"""

from dataclasses import dataclass

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from numpy.typing import NDArray
from openvino import opset15 as ops

from vidsr.model.calibration import input_widths
from vidsr.model.weights import Weights

_End = float | NDArray[np.float32]

_LEVELS = 256
_WEIGHT_LEVELS = 255  # of the constant that OpenVINO takes for int8, -127 to 127, however few of them are used
_BALANCE = 0.75  # how much of it goes by the reach of the inputs; the rest by that of the weights. Measured on Kodak
_LEAST = 1e-4  # of the largest channel: what hardly ever differs from 0 is not blown up


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How the layers but the first are rounded."""

    spans: dict[str, tuple[float, float]]
    """The lowest and the highest value of what goes into a layer, by its name."""
    top: int
    """The largest weight as an integer."""


def balanced(weights: Weights, *, top: int) -> tuple[Weights, Steps]:
    """A network that computes the same, and how to round it. The weights must be calibrated."""
    assert weights.calibration
    tensors, spans = dict(weights.tensors), {}
    layers = weights.architecture.body
    for before, name in zip(layers, input_widths(weights.architecture), strict=True):
        ends, kernel = weights.calibration.ranges[name], tensors[f"{name}.weight"]
        own = (-1, 1, 1, 1) if name == weights.architecture.tail.name else (1, -1, 1, 1)  # where its inputs lie
        factors = _factors(ends, np.abs(kernel).max(axis=tuple(np.flatnonzero(np.array(own) > 0))))
        tensors[f"{before.name}.weight"] = tensors[f"{before.name}.weight"] / factors.reshape(-1, 1, 1, 1)
        tensors[f"{before.name}.bias"] = tensors[f"{before.name}.bias"] / factors
        tensors[f"{name}.weight"] = kernel * factors.reshape(own)
        spans[name] = (float((ends[0] / factors).min()), float((ends[1] / factors).max()))
    return Weights(architecture=weights.architecture, tensors=tensors), Steps(spans=spans, top=top)


def rounded_input(x: ov.Node, span: tuple[float, float]) -> ov.Node:
    """The values in 256 steps over the span, which is moved a little so that 0 is one of them."""
    step = (span[1] - span[0]) / (_LEVELS - 1)
    below = round(-span[0] / step)
    return _fake(x, -below * step, (_LEVELS - 1 - below) * step, levels=_LEVELS)


def rounded_weights(weight: NDArray[np.float32], top: int) -> ov.Node:
    """Weights, (outputs, ...), as integers of at most `top` times a step for each output."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1).reshape(-1, 1, 1, 1)
    step = np.where(largest > 0, largest, 1) / top
    end = (step * (_WEIGHT_LEVELS // 2)).astype(np.float32)
    return _fake(ops.constant((np.round(weight / step) * step).astype(np.float32)), -end, end, levels=_WEIGHT_LEVELS)


def _factors(ends: NDArray[np.float32], reach: NDArray[np.float32]) -> NDArray[np.float32]:
    """By what each input channel is divided: near 1 in the mean, from its range and the largest of its weights."""
    least = np.finfo(np.float32).tiny
    inputs, outputs = (np.maximum(size, _LEAST * size.max() + least) for size in (np.abs(ends).max(axis=0), reach))
    powers = np.log(inputs) * _BALANCE - np.log(outputs) * (1 - _BALANCE)
    factors: NDArray[np.float32] = np.exp(powers - powers.mean()).astype(np.float32)
    return factors


def _fake(x: ov.Node, low: _End, high: _End, *, levels: int) -> ov.Node:
    ends = [ops.constant(np.asarray(end, np.float32)) for end in (low, high)]
    return ops.fake_quantize(x, *ends, *ends, levels)
