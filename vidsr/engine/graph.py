"""An architecture and its weights as an OpenVINO graph that takes whole bands of rows.

Three things make it fast, and change nothing of what it computes:

- The deconvolution is s² sub-pixel convolutions (`model.subpixel`).
- Those have so few output channels that most vector lanes would stay empty, so `group` horizontal neighbours
  are computed at once: stride (1, group), a kernel wider by group - 1, group times the channels.
- Grey levels enter and leave as they lie in memory: conversion, scaling, clamping and rounding are in the graph.
"""

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from numpy.typing import NDArray
from openvino import opset15 as ops

from vidsr.engine.quantised import Steps, rounded_input, rounded_weights
from vidsr.model.architecture import Architecture
from vidsr.model.subpixel import bicubic_kernels, phase_kernels
from vidsr.model.weights import Weights

Kernel = NDArray[np.float32]

_TYPES = {np.dtype(np.uint8): ov.Type.u8, np.dtype(np.uint16): ov.Type.u16}


def band_model(
    weights: Weights, shape: tuple[int, int], *, dtype: np.dtype[np.generic], peak: int, steps: Steps | None = None
) -> ov.Model:
    """The network for bands of (rows, columns) output places, columns a multiple of `group_size`.

    In: (rows + 2*halo, columns + 2*halo) grey levels of `dtype`, 0 to `peak`.
    Out: (1, places down, places across / group, stride * group * stride), `stride` that of the last layer and
    places those on which it works: for each place its high-resolution pixels, row by row.
    With `steps` the convolutions but the first and the residual are to be computed in integers. The convolution of
    each layer has its name.
    """
    architecture, tensors = weights.architecture, weights.tensors
    scale, group = architecture.scale, group_size(architecture)
    rows, columns = (length + 2 * architecture.halo for length in shape)
    band = ops.parameter([rows, columns], _TYPES[dtype], "band")
    x = source = ops.convert(ops.reshape(band, np.array([1, 1, rows, columns]), False), "f32")
    places = shape
    if architecture.enlarges_first:
        x = source = _enlarged(source, scale)
        places = (shape[0] * scale, shape[1] * scale)
    x = _trimmed(x, places, architecture.reach)
    for number, layer in enumerate(architecture.body):
        weight = tensors[f"{layer.name}.weight"] / np.float32(peak if number == 0 else 1)
        x = _convolution(x, weight, tensors[f"{layer.name}.bias"], name=layer.name, steps=steps)
        x = ops.prelu(x, ops.constant(tensors[f"{layer.name}.slope"]))
    tail = architecture.tail
    kernels = peak * phase_kernels(tensors[f"{tail.name}.weight"], tail.stride, tail.padding)
    bias = float(peak * tensors[f"{tail.name}.bias"][0])
    x = _neighbours(x, kernels, bias, places, group, name=tail.name, steps=steps)
    if architecture.residual:
        base = np.ones((1, 1, 1, 1), np.float32) if architecture.enlarges_first else bicubic_kernels(scale)
        x = ops.add(x, _neighbours(source, base, 0.0, places, group, name="residual"))
    x = ops.round(ops.clamp(x, 0.0, float(peak)), "half_to_even")
    result = ops.transpose(ops.convert(x, _TYPES[dtype].to_string()), np.array([0, 2, 3, 1]))
    return ov.Model([result], [band], str(architecture))


def group_size(architecture: Architecture) -> int:
    """How many neighbouring places the tail computes at once.

    More fill more vector lanes and multiply more zeros. Measured at 640x360, ms for 2, 4 and 8: at x2 69, 62 and 72
    (two threads), at x3 124, 134 and 146, at x4 125, 145 and 187 (one thread); AVX-512.
    """
    return {1: 8, 2: 4}.get(architecture.tail.stride, 2)


def _enlarged(x: ov.Node, scale: int) -> ov.Node:
    """(1, 1, scale*H, scale*W): the bicubic enlargement of what lies two pixels inside of (1, 1, H + 4, W + 4)."""
    none = [0, 0]
    phases = ops.convolution(x, ops.constant(bicubic_kernels(scale)), [1, 1], none, none, [1, 1])
    return ops.depth_to_space(phases, "blocks_first", scale)


def _trimmed(x: ov.Node, places: tuple[int, int], reach: int) -> ov.Node:
    """What lies no further than `reach` from the `places` in the middle."""
    surplus = (x.output(0).partial_shape[2].get_length() - places[0]) // 2 - reach
    if not surplus:
        return x
    low, high = np.array([surplus] * 2), np.array([-surplus] * 2)
    return ops.slice(x, low, high, np.array([1, 1]), np.array([2, 3]))


def _convolution(
    x: ov.Node, weight: Kernel, bias: NDArray[np.float32], *, name: str, steps: Steps | None = None, stride: int = 1
) -> ov.Node:
    kernel, none = ops.constant(weight.astype(np.float32)), [0, 0]
    if steps and name in steps.spans:
        x, kernel = rounded_input(x, steps.spans[name]), rounded_weights(weight, steps.top)
    x = ops.convolution(x, kernel, [1, stride], none, none, [1, 1])
    x.set_friendly_name(name)
    return ops.add(x, ops.constant(bias.reshape(1, -1, 1, 1).astype(np.float32)))


def _neighbours(
    x: ov.Node,
    kernels: Kernel,
    bias: float,
    places: tuple[int, int],
    group: int,
    *,
    name: str,
    steps: Steps | None = None,
) -> ov.Node:
    """(1, s*group*s, rows, columns/group): the s² `kernels` at `group` places at once."""
    grouped = _grouped(kernels, group)
    x = _trimmed(x, places, kernels.shape[-1] // 2)
    biases = np.full(len(grouped), bias, np.float32)
    return _convolution(x, grouped, biases, name=name, steps=steps, stride=group)


def _grouped(kernels: Kernel, group: int) -> Kernel:
    """(s*group*s, inputs, K, K + group - 1), ordered by row of the phase, place in the group, column of the phase."""
    phases, inputs, size, _ = kernels.shape
    scale = round(phases**0.5)
    kernels = kernels.reshape(scale, scale, inputs, size, size)
    grouped = np.zeros((scale, group, scale, inputs, size, size + group - 1), np.float32)
    for place in range(group):
        grouped[:, place, ..., place : place + size] = kernels
    return grouped.reshape(scale * group * scale, inputs, size, size + group - 1)
