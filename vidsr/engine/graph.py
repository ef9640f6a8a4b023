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

from vidsr.model.subpixel import bicubic_kernels, phase_kernels
from vidsr.model.weights import Weights

Kernel = NDArray[np.float32]

_TYPES = {np.dtype(np.uint8): ov.Type.u8, np.dtype(np.uint16): ov.Type.u16}


def band_model(weights: Weights, shape: tuple[int, int], *, dtype: np.dtype[np.generic], peak: int) -> ov.Model:
    """The network for bands of (rows, columns) output places, columns a multiple of `group_size`.

    In: (rows + 2*halo, columns + 2*halo) grey levels of `dtype`, 0 to `peak`.
    Out: (1, rows, columns / group, scale * group * scale): for each place its high-resolution pixels, row by row.
    """
    architecture, tensors = weights.architecture, weights.tensors
    halo, group = architecture.halo, group_size(architecture.scale)
    rows, columns = (length + 2 * halo for length in shape)
    band = ops.parameter([rows, columns], _TYPES[dtype], "band")
    x = source = ops.convert(ops.reshape(band, np.array([1, 1, rows, columns]), False), "f32")
    for number, layer in enumerate(architecture.body):
        weight = tensors[f"{layer.name}.weight"] / np.float32(peak if number == 0 else 1)
        x = _convolution(x, weight, tensors[f"{layer.name}.bias"])
        x = ops.prelu(x, ops.constant(tensors[f"{layer.name}.slope"]))
    tail = architecture.tail.name
    kernels = peak * phase_kernels(tensors[f"{tail}.weight"], architecture.scale)
    x = _neighbours(x, kernels, float(peak * tensors[f"{tail}.bias"][0]), shape, group)
    x = ops.add(x, _neighbours(source, bicubic_kernels(architecture.scale), 0.0, shape, group))
    x = ops.round(ops.clamp(x, 0.0, float(peak)), "half_to_even")
    result = ops.transpose(ops.convert(x, _TYPES[dtype].to_string()), np.array([0, 2, 3, 1]))
    return ov.Model([result], [band], str(architecture))


def group_size(scale: int) -> int:
    """How many neighbouring low-resolution pixels the tail computes at once.

    More fill more vector lanes and multiply more zeros. Measured at 640x360, ms for 2, 4 and 8: at x2 69, 62 and 72
    (two threads), at x3 124, 134 and 146, at x4 125, 145 and 187 (one thread); AVX-512.
    """
    return 4 if scale == 2 else 2


def _convolution(x: ov.Node, weight: Kernel, bias: NDArray[np.float32], stride: int = 1) -> ov.Node:
    none = [0, 0]
    x = ops.convolution(x, ops.constant(weight.astype(np.float32)), [1, stride], none, none, [1, 1])
    return ops.add(x, ops.constant(bias.reshape(1, -1, 1, 1).astype(np.float32)))


def _neighbours(x: ov.Node, kernels: Kernel, bias: float, shape: tuple[int, int], group: int) -> ov.Node:
    """(1, scale*group*scale, rows, columns/group): the s² `kernels` at `group` places at once, `x` trimmed to fit."""
    grouped = _grouped(kernels, group)
    reach = kernels.shape[-1] // 2
    surplus = (x.output(0).partial_shape[2].get_length() - shape[0]) // 2 - reach
    if surplus:
        low, high = np.array([surplus] * 2), np.array([-surplus] * 2)
        x = ops.slice(x, low, high, np.array([1, 1]), np.array([2, 3]))
    return _convolution(x, grouped, np.full(len(grouped), bias, np.float32), stride=group)


def _grouped(kernels: Kernel, group: int) -> Kernel:
    """(s*group*s, inputs, K, K + group - 1), ordered by row of the phase, place in the group, column of the phase."""
    phases, inputs, size, _ = kernels.shape
    scale = round(phases**0.5)
    kernels = kernels.reshape(scale, scale, inputs, size, size)
    grouped = np.zeros((scale, group, scale, inputs, size, size + group - 1), np.float32)
    for place in range(group):
        grouped[:, place, ..., place : place + size] = kernels
    return grouped.reshape(scale * group * scale, inputs, size, size + group - 1)
