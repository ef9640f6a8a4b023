"""What goes out as a PyTorch program computes what the engine computes, where vidsr is not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made import random_weights
from oracles import network

from vidsr.interop import verify_output
from vidsr.model.architecture import Architecture, fsrcnn, srcnn
from vidsr.training.export import ReferenceNetwork, export_program, run_program


def families(scale: int) -> list[Architecture]:
    return [
        fsrcnn(8, 4, 1, scale),
        fsrcnn(6, 6, 1, scale, kernel=2 * scale, activation="prelu-shared"),
        fsrcnn(6, 6, 1, scale, kernel=3 * scale, activation="leaky-relu"),
        fsrcnn(8, 4, 1, scale, padding=4, residual=False, activation="relu"),
        fsrcnn(8, 4, 1, scale, padding=0),
        fsrcnn(8, 4, 1, scale, padding=8),
        fsrcnn(8, 4, 2, scale, long_skip=True),
        srcnn(9, 1, 5, 8, 4, scale),
        srcnn(5, 3, 3, 6, 4, scale, residual=False),
    ]


@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_plain_layers_compute_the_network_as_it_is_defined(scale: int, number: int) -> None:
    weights = random_weights(families(scale)[number])
    for shape in ((13, 18), (1, 1), (1, 7)):
        plane = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        with torch.inference_mode():
            result = ReferenceNetwork(weights)(torch.from_numpy(plane[None, None].astype(np.float32) / 255))
        assert np.abs(255 * result[0, 0].double().numpy() - network(weights, plane)).max() < 0.02


@pytest.mark.parametrize("architecture", [families(2)[0], families(4)[3], families(3)[6]], ids=str)
def test_the_program_agrees_with_the_engine(architecture: Architecture) -> None:
    weights = random_weights(architecture)
    program = export_program(weights, {})
    assert verify_output(weights, lambda plane: run_program(program, plane), name="mine") <= 0.52
    random = np.random.default_rng(0)
    for shape in ((1, 1, 1, 1), (3, 1, 5, 1), (1, 1, 40, 23)):
        planes = random.random(shape, dtype=np.float32)
        with torch.inference_mode():
            expected = ReferenceNetwork(weights)(torch.from_numpy(planes)).numpy()
        assert np.allclose(run_program(program, planes), expected, atol=1e-5)


@pytest.mark.slow
def test_the_program_runs_where_vidsr_is_not_and_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.pt2").write_bytes(export_program(random_weights(families(2)[0]), {"licence": "CC0"}))
    code = (
        "import sys; sys.modules['vidsr'] = None; import torch; said = {'notes.json': ''};"
        "module = torch.export.load('mine.pt2', extra_files=said).module();"
        "print(tuple(module(torch.rand(1, 1, 5, 6)).shape)); print(said['notes.json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    shape, said = done.stdout.splitlines()
    assert (shape, json.loads(said)) == ("(1, 1, 10, 12)", {"licence": "CC0"})
