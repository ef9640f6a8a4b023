"""The networks of a camera."""

from dataclasses import replace
from pathlib import Path

import pytest
from made import AMX, VNNI, tiny_weights

from vidsr.errors import ModelError
from vidsr.live.quality_ladder import ModelLadder
from vidsr.media.compression_probe import Compression
from vidsr.model.weights import save_weights
from vidsr.settings import StreamSettings

USUAL = Compression(codec="h264", lossless=False, quantiser=28.0, bits_per_pixel=0.5)
FINE = replace(USUAL, quantiser=12.0)


def models(**settings: object) -> ModelLadder:
    return ModelLadder(StreamSettings(**settings))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that does not afford the wide network, unless the test names another one."""
    monkeypatch.setattr("vidsr.model_selection.this_cpu", lambda: getattr(request, "param", VNNI))
    monkeypatch.setattr("vidsr.model_selection._slowdown_here", lambda scale: 1.3)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_default_has_a_cheaper_one_below_it_and_both_know_video(scale: int) -> None:
    found = models(scale=scale).networks(USUAL)
    assert list(found) == [f"fsrcnn-narrow-x{scale}-video", f"fsrcnn-fast-x{scale}-video"]
    assert all(weights.architecture.scale == scale for weights in found.values())


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("cpu", [AMX], indirect=True)
def test_a_cpu_with_amx_has_the_wide_network_above_them(cpu: None, scale: int) -> None:
    own = models(scale=scale)
    assert own.default.architecture.dimensions == (32, 32, 8)
    families = ("fsrcnn-wide", "fsrcnn-narrow", "fsrcnn-fast")
    assert list(own.networks(USUAL)) == [f"{family}-x{scale}-video" for family in families]


def test_a_camera_that_compresses_little_gets_a_mean_and_the_same_objects_each_time() -> None:
    own = models()
    found = own.networks(FINE)
    assert list(found) == ["fsrcnn-narrow-x2-video25", "fsrcnn-fast-x2-video25"]
    own.networks(USUAL)
    assert all(own.networks(FINE)[name] is weights for name, weights in found.items())


def test_a_network_that_was_named_is_the_best_and_a_cheap_one_is_alone() -> None:
    assert list(models(model="fsrcnn-x2").networks(USUAL)) == ["fsrcnn-x2", "fsrcnn-fast-x2-video"]
    assert list(models(model="fsrcnn-fast").networks(USUAL)) == ["fsrcnn-fast"]


def test_somebodys_own_file_decides_the_scale(tmp_path: Path) -> None:
    with (tmp_path / "own.npz").open("wb") as file:
        save_weights(file, tiny_weights(3))
    own = models(model=str(tmp_path / "own.npz"))
    assert own.scale == 3
    assert list(own.networks(USUAL)) == [str(tmp_path / "own.npz")]


def test_a_network_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelError, match="nonsense"):
        models(model="nonsense")
