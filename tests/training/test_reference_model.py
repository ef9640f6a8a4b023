"""The reference model of the benchmarks computes the same as the engine."""

from pathlib import Path

import numpy as np
import pytest

from vidsr.engine import Engine
from vidsr.model.weights import Weights

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # OpenVINO uses a deprecated way of tracing
def test_pytorch_and_openvino_agree_with_the_engine(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.setenv("CI", "true")
    import reference_model

    plane = np.random.default_rng(0).integers(0, 256, (24, 31), dtype=np.uint8)
    engine = Engine(weights, threads=1, precision="f32")(plane).astype(int)
    for upscale in (reference_model.pytorch_upscaler(weights, 1), reference_model.openvino_upscaler(weights, 1)):
        upscaled = upscale(plane)
        assert upscaled.dtype == np.uint8
        assert np.abs(upscaled - engine).max() <= 1
