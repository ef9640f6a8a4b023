"""An architecture and its weights as an OpenVINO graph that takes whole bands of rows.

Three things make it fast, and change nothing of what it computes:

- The deconvolution is s² sub-pixel convolutions (`model.subpixel`).
- Those have so few output channels that many vector lanes would stay empty, so a block of neighbours may be computed
  at once (`engine.blocking`).
- Grey levels enter and leave as they lie in memory: conversion, scaling, clamping and rounding are in the graph.
"""

import math

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from numpy.typing import NDArray
from openvino import opset15 as ops

from vidsr.engine.blocking import OutputBlocking
from vidsr.engine.quantization import QuantParams, quantize_input, quantize_weights
from vidsr.model.subpixel import bicubic_kernels, phase_kernels
from vidsr.model.weights import Weights

Kernel = NDArray[np.float32]
Block = tuple[int, int]

_TYPES = {np.dtype(np.uint8): ov.Type.u8, np.dtype(np.uint16): ov.Type.u16}


def band_model(
    weights: Weights,
    shape: tuple[int, int],
    *,
    dtype: np.dtype[np.generic],
    peak: int,
    blocking: OutputBlocking = OutputBlocking(),
    quantization: QuantParams | None = None,
    count: int = 1,
) -> ov.Model:
    """The network for `count` bands of (rows, columns) low-resolution pixels, whole blocks.

    In: (count, rows + 2*halo, columns + 2*halo) grey levels of `dtype`, 0 to `peak`.
    Out: the input of `depth_to_space`. Of each convolution (count, blocks down, blocks across, pixels of a block row
    by row); the last layer works on the low-resolution pixels of a block. With `split_last_phase` the first has blocks
    of one pixel and all its phases but the last, the second that phase alone.
    With `quantization` the convolutions but the first and the residual are computed in integers. The convolution of
    each layer has its name.
    """
    architecture, tensors = weights.architecture, weights.tensors
    scale = architecture.scale
    rows, columns = (length + 2 * architecture.halo for length in shape)
    bands = ops.parameter([count, rows, columns], _TYPES[dtype], "bands")
    x = source = ops.convert(ops.reshape(bands, np.array([count, 1, rows, columns]), False), "f32")
    places = shape
    if architecture.upscales_first:
        x = source = _bicubic(source, scale)
        places = (shape[0] * scale, shape[1] * scale)
    x = _body(_trimmed(x, places, architecture.reach), weights, peak=peak, quantization=quantization)
    tail = architecture.tail
    kernels = peak * phase_kernels(tensors[f"{tail.name}.weight"], tail.stride, tail.padding)
    bias = float(peak * tensors[f"{tail.name}.bias"][0])
    base = np.ones((1, 1, 1, 1), np.float32) if architecture.upscales_first else bicubic_kernels(scale)
    results = []
    for phases, block in _convolutions(blocking, tail.stride):
        y = _in_blocks(x, kernels[phases], bias, places, block, name=tail.name, quantization=quantization)
        if architecture.residual:
            y = ops.add(y, _in_blocks(source, base[phases], 0.0, places, block, name="residual"))
        results.append(_levels(y, dtype, peak))
    return ov.Model(results, [bands], str(architecture))


def _body(x: ov.Node, weights: Weights, *, peak: int, quantization: QuantParams | None) -> ov.Node:
    """The input of the last layer."""
    architecture, tensors, features = weights.architecture, weights.tensors, x
    for number, layer in enumerate(architecture.body):
        weight = tensors[f"{layer.name}.weight"] / np.float32(peak if number == 0 else 1)
        x = _convolution(x, weight, tensors[f"{layer.name}.bias"], name=layer.name, quantization=quantization)
        x = ops.prelu(x, ops.constant(tensors[f"{layer.name}.slope"]))
        if number == 0:
            features = x
    if architecture.long_skip:
        _, _, rows, columns = x.output(0).shape
        x = ops.add(x, _trimmed(features, (rows, columns), 0))
    return x


def _levels(y: ov.Node, dtype: np.dtype[np.generic], peak: int) -> ov.Node:
    """Whole grey levels, the pixels of a block side by side."""
    y = ops.round(ops.clamp(y, 0.0, float(peak)), "half_to_even")
    return ops.transpose(ops.convert(y, _TYPES[dtype].to_string()), np.array([0, 2, 3, 1]))


def _convolutions(blocking: OutputBlocking, stride: int) -> list[tuple[slice, Block]]:
    """The convolutions that make the last layer: its phases, and the (rows, columns) of their blocks."""
    block, last = (blocking.rows, blocking.columns), stride**2 - 1
    return [(slice(last), (1, 1)), (slice(last, None), block)] if blocking.split_last_phase else [(slice(None), block)]


def _bicubic(x: ov.Node, scale: int) -> ov.Node:
    """(count, 1, scale*H, scale*W): the bicubic upscaling of what lies two pixels inside of H + 4 and W + 4."""
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
    x: ov.Node,
    weight: Kernel,
    bias: NDArray[np.float32],
    *,
    name: str,
    quantization: QuantParams | None = None,
    stride: Block = (1, 1),
) -> ov.Node:
    kernel, none = ops.constant(weight.astype(np.float32)), [0, 0]
    if quantization and name in quantization.ranges:
        x, kernel = quantize_input(x, quantization.ranges[name]), quantize_weights(weight, quantization.max_weight)
    x = ops.convolution(x, kernel, list(stride), none, none, [1, 1])
    x.set_friendly_name(name)
    return ops.add(x, ops.constant(bias.reshape(1, -1, 1, 1).astype(np.float32)))


def _in_blocks(
    x: ov.Node,
    kernels: Kernel,
    bias: float,
    places: tuple[int, int],
    block: Block,
    *,
    name: str,
    quantization: QuantParams | None = None,
) -> ov.Node:
    """(count, pixels of a block, blocks down, blocks across): what the `kernels` make of every place."""
    joined = _joined(kernels, block)
    x = _trimmed(x, places, kernels.shape[-1] // 2)
    return _convolution(
        x, joined, np.full(len(joined), bias, np.float32), name=name, quantization=quantization, stride=block
    )


def _joined(kernels: Kernel, block: Block) -> Kernel:
    """(outputs, inputs, K + rows - 1, K + columns - 1): those for each place of a block, its pixels row by row.

    Of 1, 4, 9 or 16 phases of a place; where that is no square, one below the other.
    """
    phases, inputs, size, _ = kernels.shape
    side = math.isqrt(phases)
    down, across = (side, side) if side**2 == phases else (phases, 1)
    rows, columns = block
    joined = np.zeros((rows, down, columns, across, inputs, size + rows - 1, size + columns - 1), np.float32)
    for row, column in np.ndindex(block):
        own = kernels.reshape(down, across, inputs, size, size)
        joined[row, :, column, :, :, row : row + size, column : column + size] = own
    return joined.reshape(-1, *joined.shape[4:])
