"""Import from ONNX: the constants of a network's layers, as a state dict names and orders them."""

from collections.abc import Iterable

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import NodeProto, numpy_helper

from vidsr.errors import ModelError

_LAYERS, _OTHERS = ("Conv", "ConvTranspose", "PRelu"), ("Relu", "Constant", "Identity")
_NEUTRAL = {"group": 1, "dilations": [1, 1]}
"""The attributes of a convolution that FSRCNN and SRCNN leave at these values."""


def onnx_tensors(data: bytes, *, scale: int, padding: int) -> dict[str, NDArray[np.float32]]:
    """The kernels, biases and slopes of a file in the order of its graph.

    `scale` and `padding` are those of the deconvolution. Raises ModelError for a file with anything else in it.
    """
    try:
        graph = onnx.load_from_string(data).graph
    except DecodeError as error:
        raise ModelError("not an ONNX file") from error
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    constants |= {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in graph.node if node.op_type == "Constant"
    }
    tensors: dict[str, NDArray[np.float32]] = {}
    for number, node in enumerate(graph.node):
        if node.op_type not in (*_LAYERS, *_OTHERS):
            raise ModelError(f"holds a {node.op_type}, which neither FSRCNN nor SRCNN has")
        if node.op_type in _LAYERS:
            _check_attributes(node, scale, padding)
            parts = _constants_of(node, constants)
            tensors |= {f"{number}.{kind}": part for kind, part in zip(("weight", "bias"), parts, strict=False)}
    return tensors


def _constants_of(node: NodeProto, constants: dict[str, NDArray[np.generic]]) -> Iterable[NDArray[np.float32]]:
    """The kernel and the bias of a convolution, or the slopes of a PReLU."""
    for name in node.input[1:]:
        if name not in constants or constants[name].dtype.kind != "f":
            raise ModelError(f"the weights of {node.name or node.op_type} are no constants of floating point")
        constant = constants[name].astype(np.float32)
        yield constant.ravel() if node.op_type == "PRelu" else constant


def _check_attributes(node: NodeProto, scale: int, padding: int) -> None:
    """Raise ModelError for a convolution that FSRCNN and SRCNN do not have at this scale and padding."""
    found = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    odd = [name for name, value in _NEUTRAL.items() if found.get(name, value) != value]
    stride = scale if node.op_type == "ConvTranspose" else 1
    if odd or (found.get("strides", [1, 1]) != [stride] * 2 and node.op_type != "PRelu"):
        name = odd[0] if odd else "strides"
        raise ModelError(f"{node.name or node.op_type} has {name} {found.get(name)}; give the scale of the network")
    if node.op_type == "ConvTranspose" and found.get("pads", [0] * 4)[:2] != [padding] * 2:
        raise ModelError(f"its deconvolution has padding {found.get('pads', [0])[0]}, not {padding}; see --padding")
