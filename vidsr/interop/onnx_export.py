"""Export to ONNX: one graph for every input size, with the padding of the edges inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from vidsr.model.architecture import Convolution
from vidsr.model.subpixel import BICUBIC_RADIUS, bicubic_kernels, phase_kernels
from vidsr.model.weights import Weights

OPSET, IR_VERSION = 17, 8  # of 2022, which every runtime in use supports
INPUT, OUTPUT = "luma", "upscaled"

Constant = NDArray[np.float32] | NDArray[np.int64]


@dataclass(frozen=True)
class _Graph:
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def add(
        self,
        kind: str,
        output: str,
        inputs: Sequence[str | Constant],
        attributes: Mapping[str, int | float | str] | None = None,
    ) -> str:
        """Append a node, with the arrays among its inputs as constants; returns the name of its output."""
        names = [each if isinstance(each, str) else f"{output}.{number}" for number, each in enumerate(inputs)]
        self.constants.extend(
            numpy_helper.from_array(np.ascontiguousarray(each), name)
            for name, each in zip(names, inputs, strict=True)
            if not isinstance(each, str)
        )
        node = helper.make_node(kind, names, [output], output)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in (attributes or {}).items())
        self.nodes.append(node)
        return output

    def pad_edges(self, name: str, pixels: int) -> str:
        """The input, padded with its edge pixels."""
        return self.add("Pad", name, [INPUT, np.array([0, 0, pixels, pixels] * 2)], {"mode": "edge"})

    def crop(self, name: str, x: str, pixels: int) -> str:
        """Without `pixels` at each of the four edges."""
        ends = (np.array([end] * 2) for end in (pixels, -pixels))
        return self.add("Slice", name, [x, *ends, np.array([2, 3])]) if pixels else x

    def bicubic(self, x: str, scale: int) -> str:
        """(batch, scale², height, width): the phases of bicubic upscaling."""
        return self.add("Conv", "bicubic_phases", [x, bicubic_kernels(scale)])

    def depth_to_space(self, name: str, x: str, stride: int) -> str:
        """The phases, interleaved."""
        return self.add("DepthToSpace", name, [x], {"blocksize": stride, "mode": "DCR"})

    def layer(self, x: str, layer: Convolution, tensors: Mapping[str, NDArray[np.float32]]) -> str:
        """A convolution and its activation."""
        weight, bias, slope = (tensors[f"{layer.name}.{kind}"] for kind in ("weight", "bias", "slope"))
        x, name = self.add("Conv", layer.name, [x, weight, bias]), f"{layer.name}_active"
        if not slope.any():
            return self.add("Relu", name, [x])
        if slope.size == 1:
            return self.add("LeakyRelu", name, [x], {"alpha": float(slope[0])})
        return self.add("PRelu", name, [x, slope.reshape(-1, 1, 1)])


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
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", 1, "upscaled_height", "upscaled_width"])],
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
        padded = graph.pad_edges("padded", architecture.halo)
        upscaled = graph.depth_to_space("bicubic", graph.bicubic(padded, scale), scale)
        margin = (architecture.halo - BICUBIC_RADIUS) * scale
        x = graph.crop("seen", upscaled, margin - radius)
    else:
        x = graph.pad_edges("padded", radius)
    first, *others = architecture.body
    x = features = graph.layer(x, first, weights.tensors)
    for layer in others:
        x = graph.layer(x, layer, weights.tensors)
    if architecture.long_skip:
        consumed = sum(layer.kernel // 2 for layer in others)
        x = graph.add("Add", "long_skip", [x, graph.crop("features", features, consumed)])
    kernels = phase_kernels(weights.tensors[f"{tail.name}.weight"], tail.stride, tail.padding)
    bias = np.repeat(weights.tensors[f"{tail.name}.bias"], tail.stride**2)
    x = graph.add("Conv", tail.name, [x, kernels, bias])
    if architecture.residual:
        if architecture.upscales_first:
            base = graph.crop("base", upscaled, margin)
        else:
            base = graph.bicubic(graph.pad_edges("padded_base", BICUBIC_RADIUS), scale)
        x = graph.add("Add", "sum", [x, base])
    if tail.stride > 1:
        x = graph.depth_to_space("shuffled", x, tail.stride)
    graph.add("Identity", OUTPUT, [x])
    return graph
