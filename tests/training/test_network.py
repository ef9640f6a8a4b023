"""The torch network and the engine are one function; weights travel between them unchanged."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from vidsr.engine import Engine
from vidsr.model.architecture import Architecture, fsrcnn, srcnn
from vidsr.model.weights import Weights
from vidsr.training.network import Network


def network(scale: int, dimensions: tuple[int, int, int] = (16, 8, 2), seed: int = 0) -> Network:
    return trainable(fsrcnn(*dimensions, scale=scale), seed)


def trainable(architecture: Architecture, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    made = Network(architecture)
    with torch.no_grad():
        for layer in made.body.values():
            layer.bias.normal_(0, 0.05)
            layer.slope.uniform_(0, 0.5)
    return made


def families(scale: int) -> list[Architecture]:
    """Every family that ships, and one that is imported."""
    return [
        fsrcnn(56, 12, 4, scale),
        fsrcnn(32, 5, 1, scale),
        fsrcnn(16, 16, 8, scale, kernel=3 * scale),
        srcnn(9, 1, 5, 64, 32, scale),
        fsrcnn(8, 4, 1, scale, padding=4, residual=False),
        fsrcnn(16, 16, 3, scale, kernel=3 * scale, long_skip=True),
    ]


def upscaled(made: Network, plane: np.ndarray) -> np.ndarray:
    peak = np.iinfo(plane.dtype).max
    lr = torch.from_numpy(plane.astype(np.float32) / peak)[None, None]
    lr = functional.pad(lr, (made.architecture.halo,) * 4, mode="replicate")
    with torch.inference_mode():
        return (made(lr)[0, 0].clamp(0, 1) * peak).round().numpy()


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_engine_equals_the_torch_network_within_one_grey_level(scale: int, number: int) -> None:
    made = trainable(families(scale)[number])
    plane = np.random.default_rng(scale).integers(0, 256, (37, 45), dtype=np.uint8)
    engine = Engine(Weights(architecture=made.architecture, tensors=made.tensors()), threads=1)
    assert np.abs(engine(plane).astype(int) - upscaled(made, plane)).max() <= 1


def test_mixed_precision_stays_close_and_gives_whole_precision_back() -> None:
    made = trainable(families(2)[2])
    lr = torch.rand(1, 1, 40, 40)
    whole = made(lr)
    made.mixed = True
    rough = made(lr)
    assert rough.dtype == whole.dtype
    assert 0 < (rough - whole).abs().max() < 0.05


def test_collapsed_weights_compute_what_the_training_form_computes() -> None:
    made, copy = network(3), network(3, seed=1)
    plane = np.random.default_rng(0).integers(0, 256, (20, 24), dtype=np.uint8)
    copy.load_tensors(made.tensors())
    assert np.abs(upscaled(copy, plane) - upscaled(made, plane)).max() <= 1
    for name, tensor in made.tensors().items():
        assert np.allclose(copy.tensors()[name], tensor, atol=1e-6), name


def test_a_body_can_start_at_another_scale_and_leaves_the_tail_alone() -> None:
    body = {name: value for name, value in network(2).tensors().items() if not name.startswith("deconvolution")}
    larger = network(4, seed=1)
    tail = larger.tensors()["deconvolution.weight"]
    larger.load_tensors(body)
    assert np.allclose(larger.tensors()["mapping0.weight"], body["mapping0.weight"], atol=1e-6)
    assert np.array_equal(larger.tensors()["deconvolution.weight"], tail)


def test_a_network_that_continues_can_still_learn() -> None:
    made = network(2)
    made.load_tensors(made.tensors())
    halo = made.architecture.halo
    made(torch.rand(1, 1, 4 + 2 * halo, 4 + 2 * halo)).sum().backward()
    assert all(layer.kernel.project.grad.abs().sum() > 0 for layer in made.body.values())
