"""Export to ONNX: one graph for every input size, with the padding of the edges inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from vidsr.model.architecture import Convolution
from vidsr.model.subpixel import BICUBIC_RADIUS, bicubic_kernels, phase_kernels
from vidsr.model.weights import Weights

OPSET, IR_VERSION = 17, 8  # of 2022, which every runtime in use supports
INPUT, OUTPUT = "luma", "enlarged"

Kernel = NDArray[np.float32]
Constant = Kernel | NDArray[np.int64]


@dataclass(frozen=True)
class _Graph:
    """An ONNX graph under construction."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def add(
        self,
        kind: str,
        output: str,
        inputs: list[str],
        constants: Mapping[str, Constant] | None = None,
        attributes: Mapping[str, int | float | str] | None = None,
    ) -> str:
        """Append a node; the name of its output."""
        constants = constants or {}
        self.constants.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
        node = helper.make_node(kind, [*inputs, *constants], [output], output)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in (attributes or {}).items())
        self.nodes.append(node)
        return output


def onnx_bytes(weights: Weights, metadata: Mapping[str, str]) -> bytes:
    """The contents of the file: float32 (batch, 1, height, width) in 0..1 to (batch, 1, scale*height, scale*width).

    The output is not clipped. `metadata` has the keys "input" and "output" at least.
    """
    description = f"In: {metadata['input']}. Out: {metadata['output']}."
    graph = _build(weights)
    onnx_graph = helper.make_graph(
        graph.nodes,
        str(weights.architecture),
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 1, "height", "width"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", 1, "enlarged_height", "enlarged_width"])],
        graph.constants,
        doc_string=description,
    )
    model = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="vidsr")
    model.ir_version = IR_VERSION
    model.doc_string = description
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _build(weights: Weights) -> _Graph:
    """No layer pads: the input plane is padded once, by the receptive field of all layers."""
    architecture, tail, graph = weights.architecture, weights.architecture.tail, _Graph()
    scale, radius = architecture.scale, architecture.reach
    if architecture.upscales_first:
        padded = _pad_edges(graph, "padded", architecture.halo)
        upscaled = _depth_to_space(graph, "bicubic", _bicubic(graph, padded, scale), scale)
        margin = (architecture.halo - BICUBIC_RADIUS) * scale
        x = _crop(graph, "seen", upscaled, margin - radius)
    else:
        x = _pad_edges(graph, "padded", radius)
    for layer in architecture.body:
        x = _layer(graph, x, layer, weights.tensors)
    kernels = phase_kernels(weights.tensors[f"{tail.name}.weight"], tail.stride, tail.padding)
    bias = np.repeat(weights.tensors[f"{tail.name}.bias"], tail.stride**2)
    x = _convolution(graph, x, tail.name, kernels, bias)
    if architecture.residual:
        if architecture.upscales_first:
            base = _crop(graph, "base", upscaled, margin)
        else:
            base = _bicubic(graph, _pad_edges(graph, "padded_base", BICUBIC_RADIUS), scale)
        x = graph.add("Add", "sum", [x, base])
    if tail.stride > 1:
        x = _depth_to_space(graph, "shuffled", x, tail.stride)
    graph.add("Identity", OUTPUT, [x])
    return graph


def _pad_edges(graph: _Graph, name: str, pixels: int) -> str:
    """The input, padded with its edge pixels."""
    pads = np.array([0, 0, pixels, pixels] * 2, np.int64)
    return graph.add("Pad", name, [INPUT], {f"{name}.pads": pads}, {"mode": "edge"})


def _crop(graph: _Graph, name: str, x: str, pixels: int) -> str:
    """Without `pixels` at each of the four edges."""
    if not pixels:
        return x
    ends = {"starts": [pixels] * 2, "ends": [-pixels] * 2, "axes": [2, 3]}
    return graph.add("Slice", name, [x], {f"{name}.{end}": np.array(at, np.int64) for end, at in ends.items()})


def _bicubic(graph: _Graph, x: str, scale: int) -> str:
    """(batch, scale², height, width): the phases of bicubic upscaling."""
    return graph.add("Conv", "bicubic_phases", [x], {"bicubic.weight": bicubic_kernels(scale)})


def _depth_to_space(graph: _Graph, name: str, x: str, stride: int) -> str:
    return graph.add("DepthToSpace", name, [x], attributes={"blocksize": stride, "mode": "DCR"})


def _convolution(graph: _Graph, x: str, name: str, kernel: Kernel, bias: Kernel) -> str:
    constants = {f"{name}.weight": np.ascontiguousarray(kernel), f"{name}.bias": bias}
    return graph.add("Conv", name, [x], constants)


def _layer(graph: _Graph, x: str, layer: Convolution, tensors: Mapping[str, Kernel]) -> str:
    name, slope = f"{layer.name}_active", tensors[f"{layer.name}.slope"]
    x = _convolution(graph, x, layer.name, tensors[f"{layer.name}.weight"], tensors[f"{layer.name}.bias"])
    if not slope.any():
        return graph.add("Relu", name, [x])
    if slope.size == 1:
        return graph.add("LeakyRelu", name, [x], attributes={"alpha": float(slope[0])})
    return graph.add("PRelu", name, [x], {f"{layer.name}.slope": slope.reshape(-1, 1, 1)})
