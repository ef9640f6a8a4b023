"""Exported networks compute the same as the engine."""

import numpy as np
import pytest
from made import random_weights, tiny_weights
from numpy.typing import NDArray
from oracles import network

from vidsr.engine.openvino_ir import ir_files, run_network
from vidsr.errors import ModelError
from vidsr.interop import flat_response, model_metadata, verify_output
from vidsr.model.architecture import ACTIVATIONS, Architecture, fsrcnn, srcnn
from vidsr.model.weights import Weights

onnx = pytest.importorskip("onnx")


def families(scale: int) -> list[Architecture]:
    """Every kind of network: each family, kernel and padding, with and without the residual."""
    return [
        fsrcnn(56, 12, 4, scale),
        fsrcnn(8, 4, 0, scale, residual=False),
        fsrcnn(6, 6, 2, scale, kernel=2 * scale),
        fsrcnn(6, 6, 1, scale, kernel=3 * scale),
        fsrcnn(8, 4, 1, scale, padding=4, residual=False),
        fsrcnn(8, 4, 1, scale, padding=0),
        fsrcnn(8, 4, 2, scale, long_skip=True),
        *(fsrcnn(8, 4, 1, scale, activation=activation) for activation in ACTIVATIONS),
        srcnn(9, 1, 5, 8, 4, scale),
        srcnn(5, 3, 3, 6, 4, scale, activation="prelu", residual=False),
        srcnn(3, 1, 1, 6, 4, scale),
    ]


NUMBER = len(families(2))


def made(architecture: Architecture, seed: int = 0) -> Weights:
    """Random weights, with the fixed slopes of the activation."""
    weights = random_weights(architecture, seed)
    activation = ACTIVATIONS[architecture.activation]
    for name, tensor in weights.tensors.items():
        if name.endswith("slope") and not activation.trainable:
            tensor[:] = activation.slope
    return weights


def exported(weights: Weights) -> bytes:
    from vidsr.interop.onnx_export import onnx_bytes

    return onnx_bytes(weights, model_metadata(weights, name="mine", licence="CC0", version="1"))


def noise(shape: tuple[int, int]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def luma(plane: NDArray[np.uint8]) -> NDArray[np.float32]:
    return plane[None, None].astype(np.float32) / np.float32(255)


def max_difference(result: NDArray[np.float32], weights: Weights, plane: NDArray[np.uint8]) -> float:
    """The largest difference from the reference network, in grey levels."""
    expected = network(weights, plane)
    assert result.shape == (1, 1, *expected.shape)
    return float(np.abs(255.0 * result[0, 0] - expected).max())


def check_ir(file: bytes, weights: Weights, plane: NDArray[np.uint8]) -> None:
    xml, content = ir_files(file)
    assert max_difference(run_network(xml, luma(plane), weights=content), weights, plane) < 0.02


def check_verification(file: bytes, weights: Weights) -> None:
    assert verify_output(weights, lambda plane: run_network(file, plane), name="mine") <= 0.52


@pytest.mark.parametrize("number", range(NUMBER))
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_onnx_and_openvino_agree_with_the_reference(scale: int, number: int) -> None:
    """ONNX of each kind at every scale; at one of them OpenVINO's files, and at another the engine."""
    weights, plane = made(families(scale)[number]), noise((13, 18))
    file = exported(weights)
    assert max_difference(run_network(file, luma(plane)), weights, plane) < 0.02
    match (scale + number) % 3:
        case 0:
            check_ir(file, weights, plane)
        case 1:
            check_verification(file, weights)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(NUMBER))
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_openvino_and_the_engine_agree_with_every_kind_at_every_scale(scale: int, number: int) -> None:
    weights = made(families(scale)[number])
    file = exported(weights)
    check_ir(file, weights, noise((13, 18)))
    check_verification(file, weights)


@pytest.mark.parametrize("architecture", [fsrcnn(8, 4, 1, 2), srcnn(5, 1, 3, 6, 4, 3)], ids=str)
def test_another_runtime_agrees(architecture: Architecture) -> None:
    from onnx.reference import ReferenceEvaluator

    weights, plane = made(architecture), noise((7, 9))
    (result,) = ReferenceEvaluator(onnx.load_from_string(exported(weights))).run(None, {"luma": luma(plane)})
    assert max_difference(result, weights, plane) < 0.02


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 4), (23, 41)])
@pytest.mark.parametrize("architecture", [fsrcnn(8, 4, 1, 3), srcnn(9, 1, 5, 8, 4, 2)], ids=str)
def test_any_input_size_works(architecture: Architecture, shape: tuple[int, int]) -> None:
    weights, plane = made(architecture), noise(shape)
    assert max_difference(run_network(exported(weights), luma(plane)), weights, plane) < 0.02


def test_batches_work() -> None:
    weights, planes = tiny_weights(), [noise((6, 8)), noise((6, 8))[::-1]]
    result = run_network(exported(weights), np.concatenate([luma(plane) for plane in planes]))
    assert result.shape == (2, 1, 12, 16)
    for number, plane in enumerate(planes):
        assert max_difference(result[number : number + 1], weights, plane) < 0.02


def test_the_output_is_not_clipped() -> None:
    weights = tiny_weights()
    weights.tensors["deconvolution.bias"][:] = 2
    assert run_network(exported(weights), luma(noise((6, 8)))).min() > 1


def test_the_file_has_metadata() -> None:
    model = onnx.load_from_string(exported(tiny_weights(3)))
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert {name: said[name] for name in ("name", "family", "dimensions", "scale", "licence", "vidsr")} == {
        "name": "mine",
        "family": "fsrcnn",
        "dimensions": "8,4,1",
        "scale": "3",
        "licence": "CC0",
        "vidsr": "1",
    }
    assert "float32 (batch, 1, height, width)" in model.doc_string
    assert "(batch, 1, 3*height, 3*width)" in model.doc_string
    assert [opset.version for opset in model.opset_import] == [17]
    xml, _ = ir_files(exported(tiny_weights(3)))
    assert b'<licence value="CC0" />' in xml


def test_openvino_files_keep_float32() -> None:
    _, content = ir_files(exported(tiny_weights()))
    stored = np.frombuffer(content[: len(content) // 4 * 4], np.float32)
    assert np.isin(tiny_weights().tensors["feature.weight"], stored).all()


def test_a_network_with_another_output_is_refused_by_its_name() -> None:
    other = exported(tiny_weights(seed=1))
    with pytest.raises(ModelError, match=r"^mine: the network is \d+\.\d grey levels from the engine"):
        verify_output(tiny_weights(), lambda plane: run_network(other, plane), name="mine")
    with pytest.raises(ModelError, match="nan grey levels"):
        verify_output(tiny_weights(), lambda plane: np.full((1, 1, 74, 90), np.nan, np.float32), name="mine")
    with pytest.raises(ModelError, match=r"gives \[1, 1, 37, 45\]"):
        verify_output(tiny_weights(), lambda plane: plane, name="mine")


def test_the_flat_response_is_the_mean_output() -> None:
    weights = tiny_weights()
    for tensor in weights.tensors.values():
        tensor[:] = 0
    assert flat_response(weights, 128) == 128
    weights.tensors["deconvolution.bias"][:] = 0.25
    assert flat_response(weights, 128) == 192
