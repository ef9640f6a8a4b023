"""An architecture and its weights as an ONNX graph that takes any size, edges and all."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from vidsr.model.architecture import Convolution
from vidsr.model.subpixel import BICUBIC_RADIUS, bicubic_kernels, phase_kernels
from vidsr.model.weights import Weights

OPSET, IR_VERSION = 17, 8  # of 2022: old enough for every runtime in use
INPUT, OUTPUT = "luma", "enlarged"

Kernel = NDArray[np.float32]
Constant = Kernel | NDArray[np.int64]


@dataclass(frozen=True)
class _Graph:
    """A graph in the making."""

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
        """The name of the new output."""
        constants = constants or {}
        self.constants.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
        node = helper.make_node(kind, [*inputs, *constants], [output], output)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in (attributes or {}).items())
        self.nodes.append(node)
        return output


def network_bytes(weights: Weights, notes: Mapping[str, str]) -> bytes:
    """The file: float32 (batch, 1, height, width) in 0..1 to (batch, 1, scale*height, scale*width), not clipped.

    `notes`, with an "input" and an "output" among them, go into its metadata.
    """
    about = f"In: {notes['input']}. Out: {notes['output']}."
    graph = _network(weights)
    made = helper.make_graph(
        graph.nodes,
        str(weights.architecture),
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 1, "height", "width"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", 1, "enlarged_height", "enlarged_width"])],
        graph.constants,
        doc_string=about,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="vidsr")
    model.ir_version = IR_VERSION
    model.doc_string = about
    helper.set_model_props(model, dict(notes))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _network(weights: Weights) -> _Graph:
    """Every layer pads nothing: the plane is padded once, by what its layers look beyond it."""
    architecture, tail, graph = weights.architecture, weights.architecture.tail, _Graph()
    scale, reach = architecture.scale, architecture.reach
    if architecture.upscales_first:
        padded = _padded(graph, "padded", architecture.halo)
        large = _shuffled(graph, "bicubic", _bicubic(graph, padded, scale), scale)
        margin = (architecture.halo - BICUBIC_RADIUS) * scale
        x = _cut(graph, "seen", large, margin - reach)
    else:
        x = _padded(graph, "padded", reach)
    for layer in architecture.body:
        x = _layer(graph, x, layer, weights.tensors)
    kernels = phase_kernels(weights.tensors[f"{tail.name}.weight"], tail.stride, tail.padding)
    bias = np.repeat(weights.tensors[f"{tail.name}.bias"], tail.stride**2)
    x = _convolution(graph, x, tail.name, kernels, bias)
    if architecture.residual:
        if architecture.upscales_first:
            base = _cut(graph, "base", large, margin)
        else:
            base = _bicubic(graph, _padded(graph, "padded_base", BICUBIC_RADIUS), scale)
        x = graph.add("Add", "sum", [x, base])
    if tail.stride > 1:
        x = _shuffled(graph, "shuffled", x, tail.stride)
    graph.add("Identity", OUTPUT, [x])
    return graph


def _padded(graph: _Graph, name: str, pixels: int) -> str:
    """The input with its edge repeated."""
    pads = np.array([0, 0, pixels, pixels] * 2, np.int64)
    return graph.add("Pad", name, [INPUT], {f"{name}.pads": pads}, {"mode": "edge"})


def _cut(graph: _Graph, name: str, x: str, pixels: int) -> str:
    """What lies so far inside of all four edges."""
    if not pixels:
        return x
    ends = {"starts": [pixels] * 2, "ends": [-pixels] * 2, "axes": [2, 3]}
    return graph.add("Slice", name, [x], {f"{name}.{end}": np.array(at, np.int64) for end, at in ends.items()})


def _bicubic(graph: _Graph, x: str, scale: int) -> str:
    """(batch, scale², height, width): the bicubic enlargement by phases."""
    return graph.add("Conv", "bicubic_phases", [x], {"bicubic.weight": bicubic_kernels(scale)})


def _shuffled(graph: _Graph, name: str, x: str, stride: int) -> str:
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
