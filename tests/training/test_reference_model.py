"""What the engine is measured against computes the same."""

from pathlib import Path

import numpy as np
import pytest

from vidsr.engine import Engine
from vidsr.model.weights import Weights

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # OpenVINO traces as PyTorch no longer likes
def test_the_plain_ways_do_the_whole_job_of_the_engine(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.setenv("CI", "true")
    import reference_model

    plane = np.random.default_rng(0).integers(0, 256, (24, 31), dtype=np.uint8)
    engine = Engine(weights, threads=1, precision="f32")(plane).astype(int)
    for way in (reference_model.eager(weights, 1), reference_model.converted(weights, 1)):
        made = way(plane)
        assert made.dtype == np.uint8
        assert np.abs(made - engine).max() <= 1
