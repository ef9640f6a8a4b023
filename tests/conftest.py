"""Real parts and small data: clips that PyAV writes, a network too small to be good, a Ray of our own."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made import make_clip, tiny_weights

from vidsr.model.weights import Weights, save_weights


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96x64, 24 frames at varying times, with sound."""
    steps = np.random.default_rng(1).integers(300, 900, 24)
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    return make_clip(path, pts=np.cumsum(steps).tolist(), audio=1)


@pytest.fixture(scope="session")
def weights() -> Weights:
    """FSRCNN(8, 4, 1) x2 with small random tensors."""
    return tiny_weights()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> str:
    """The same as a file."""
    path = tmp_path_factory.mktemp("model") / "tiny.npz"
    save_weights(path, weights)
    return str(path)


@pytest.fixture(scope="session")
def ray() -> Iterator[None]:
    """One private Ray for all tests: pools that find it use it."""
    from vidsr.pool.cluster import cluster

    with cluster(None):
        yield


@pytest.fixture(autouse=True)
def no_error_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A test that logs an error has failed."""
    yield
    errors = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not errors
