"""ONNX files of other projects' FSRCNN and SRCNN give here what their networks give there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import MODEL, Command
from ports import fsrcnn_parts, srcnn
from torch import nn

from vidsr.engine import Engine
from vidsr.model.weights import load_weights

pytest.importorskip("onnx")
import onnx
from onnx import NodeProto, helper, numpy_helper


def write_onnx(path: Path, port: nn.Sequential, *more: NodeProto) -> Path:
    """The network layer by layer, under names that say nothing; then more nodes."""
    nodes, constants, x = [], [], "input"
    for number, layer in enumerate(part for part in port.modules() if not list(part.children())):
        stride, pads = getattr(layer, "stride", None), getattr(layer, "padding", None)
        about = {"strides": list(stride), "pads": list(pads) * 2} if stride and pads else {}
        if isinstance(layer, nn.ConvTranspose2d):
            about["output_padding"] = list(layer.output_padding)
        kind = {"Conv2d": "Conv", "ConvTranspose2d": "ConvTranspose", "PReLU": "PRelu", "ReLU": "Relu"}
        names = []
        for tensor in layer.state_dict().values():
            names.append(f"onnx::{len(constants)}")
            stored = tensor.numpy()[:, None, None] if isinstance(layer, nn.PReLU) else tensor.numpy()
            constants.append(numpy_helper.from_array(stored, names[-1]))
        nodes.append(helper.make_node(kind[type(layer).__name__], [x, *names], [f"/{number}"], **about))
        x = f"/{number}"
    ports = [helper.make_tensor_value_info(name, 1, [1, 1, None, None]) for name in ("input", x)]
    graph = helper.make_graph([*nodes, *more], "theirs", ports[:1], ports[1:], constants)
    onnx.save(helper.make_model(graph), path)
    return path


@pytest.mark.parametrize("port", [fsrcnn_parts(2, 10, 4, 2), srcnn(9, 1, 5, 8, 4)], ids=["fsrcnn", "srcnn"])
def test_an_onnx_file_gives_what_its_network_gives(vidsr: Command, tmp_path: Path, port: nn.Sequential) -> None:
    source, target, state = write_onnx(tmp_path / "theirs.onnx", port), tmp_path / "mine.npz", tmp_path / "theirs.pth"
    assert vidsr("import", source, target, "--scale", "2").code == 0
    torch.save(port.state_dict(), state)
    assert vidsr("import", state, tmp_path / "same.npz", "--scale", "2").code == 0
    plane = np.random.default_rng(0).integers(0, 256, (31, 27), dtype=np.uint8)
    one, other = (Engine(load_weights(path), threads=1)(plane) for path in (target, tmp_path / "same.npz"))
    assert np.array_equal(one, other)


def test_an_onnx_file_that_is_no_such_network_is_refused_with_the_reason(vidsr: Command, tmp_path: Path) -> None:
    def refused(port: nn.Sequential, *more: NodeProto, scale: int = 2) -> str:
        ended = vidsr("import", write_onnx(tmp_path / "a.onnx", port, *more), tmp_path / "a.npz", "--scale", scale)
        assert (ended.code, ended.out, ended.err.count("\n")) == (MODEL, "", 1)
        return ended.err

    colour = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.PReLU(8), nn.ConvTranspose2d(8, 3, 9, 2, 4, 1))
    assert "a network for 3 channels" in refused(colour)
    assert "has strides [2, 2]" in refused(fsrcnn_parts(2, 10, 4, 2), scale=3)
    assert "holds a Add" in refused(fsrcnn_parts(2, 10, 4, 2), helper.make_node("Add", ["/1", "/1"], ["sum"]))
    shifted = fsrcnn_parts(2, 10, 4, 2)
    *_, last = (layer for layer in shifted.modules() if isinstance(layer, nn.ConvTranspose2d))
    last.padding = (3, 3)
    assert "has padding 3, not 4" in refused(shifted)
    (tmp_path / "b.onnx").write_bytes(b"no network")
    assert "not an ONNX file" in vidsr("import", tmp_path / "b.onnx", tmp_path / "b.npz", "--scale", "2").err
