"""Real parts and small data: clips that PyAV writes, a network too small to be good, a Ray of our own."""

import gc
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from commands import Command, Ended, Refused, contents, log_to_stderr
from compile_cache import compiled_once
from made import make_clip, tiny_weights

from vidsr.cli import main
from vidsr.cpu import kept_scheduling
from vidsr.engine import warn_once
from vidsr.engine.autotune_cache import cache_path
from vidsr.model.weights import Weights, save_weights

_ASK_FOR_RAY = {"test_change_detection.py", "test_pool.py"}  # within a test or fixture, for some of their cases


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """The files that share a Ray come first: of the processes of pytest-xdist, one starts it, and not each."""
    sharing = {item.path for item in items if "ray" in item.fixturenames or item.path.name in _ASK_FOR_RAY}
    items.sort(key=lambda item: item.path not in sharing)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Fixtures that encode by SVT-AV1 as root leave no real-time threads: all of the machine would wait for them."""
    with kept_scheduling():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """As above, of the test itself."""
    with kept_scheduling():
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever was tuned on this machine is not for the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def compile_cache() -> Iterator[None]:
    """Graphs that equal each other are compiled once."""
    with compiled_once():
        yield


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of what was tuned and checked, for one test, in a folder that does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    warn_once.cache_clear()
    return cache_path()


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
    from vidsr.pool.ray_runtime import ray_session

    with ray_session(None):
        yield


@pytest.fixture
def vidsr(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, run in this process."""

    def run(*arguments: str | Path) -> Ended:
        capsys.readouterr()
        with log_to_stderr():
            code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Ended(code=code, out=printed.out, err=printed.err)

    return run


@pytest.fixture
def upscale(vidsr: Command, tiny_model: str) -> Command:
    """`vidsr upscale` with the small network and without Ray."""
    return partial(vidsr, "upscale", "--model", tiny_model, "--workers", "0")


@pytest.fixture
def refused(upscale: Command, tmp_path: Path) -> Refused:
    """The one line that `vidsr upscale` ends with, when every file must be as it was."""

    def run(code: int, *arguments: str | Path) -> str:
        before = contents(tmp_path)
        ended = upscale(*arguments)
        assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
        assert ended.err.startswith("vidsr: ")
        assert contents(tmp_path) == before
        return ended.err.strip()

    return run


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter: those of pytest are closed to others."""
    with TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(autouse=True)
def no_error_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A test that logs an error has failed."""
    yield
    errors = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not errors
