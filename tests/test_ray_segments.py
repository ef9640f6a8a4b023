"""Segments upscaled by Ray actors: the same bytes as by threads, also where actors are lost."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import SupportsIndex

import psutil
import pytest
from made import make_clip

import vidsr
from vidsr.errors import WorkerError
from vidsr.report import Report
from vidsr.segments import plan
from vidsr.settings import PoolSettings, UpscaleSettings

pytestmark = pytest.mark.usefixtures("ray")
STRIKE_AT = 80


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 0.6 s at least: here 20 frames."""
    monkeypatch.setattr(plan, "MIN_SECONDS", 0.6)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve segments."""
    pts = [512 * number for number in range(240)]
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", pts=pts, options={"g": "20"}, audio=1)


@pytest.fixture
def upscaled(film: Path, tiny_model: str) -> Callable[..., Report]:
    """The film upscaled by segments."""

    def upscaled(target: Path, workers: int, **options: object) -> Report:
        settings = UpscaleSettings(model=tiny_model, segments=True)
        pool = PoolSettings(workers=workers, threads=1, timeout_s=2)
        return vidsr.upscale(film, target, settings=settings, pool=pool, **options)

    return upscaled


def actors() -> list[psutil.Process]:
    family = psutil.Process().children(recursive=True)
    return [process for process in family if process.name().startswith("ray::Worker")]


def struck(blow: signal.Signals) -> Callable[[int, int | None], None]:
    """Progress at which an actor is sent a signal, once."""
    left = [blow]

    def on_progress(done: int, total: int | None) -> None:
        if done >= STRIKE_AT and left:
            actors()[0].send_signal(left.pop())

    return on_progress


def test_processes_make_the_same_bytes_as_threads(upscaled: Callable[..., Report], tmp_path: Path) -> None:
    report = upscaled(tmp_path / "two.mp4", workers=2)
    assert (report.workers, report.threads, report.frames_written, report.damage) == (2, 1, 240, [])
    upscaled(tmp_path / "none.mp4", workers=0)
    assert (tmp_path / "two.mp4").read_bytes() == (tmp_path / "none.mp4").read_bytes()


@pytest.mark.parametrize("blow", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)])
def test_a_lost_actor_costs_nothing_but_its_segment(
    upscaled: Callable[..., Report], tmp_path: Path, blow: signal.Signals
) -> None:
    report = upscaled(tmp_path / "struck.mp4", workers=2, on_progress=struck(blow))
    assert (report.worker_restarts, report.frames_written, report.damage) == (1, 240, [])
    upscaled(tmp_path / "none.mp4", workers=0)
    assert (tmp_path / "struck.mp4").read_bytes() == (tmp_path / "none.mp4").read_bytes()


def test_a_segment_that_ends_two_actors_is_an_error_and_the_others_are_kept(
    upscaled: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reduced(segment: plan.PlannedSegment, protocol: SupportsIndex) -> object:
        """What an actor makes of a segment: of the sixth, its end."""
        return (os._exit, (1,)) if segment.index == 5 else object.__reduce_ex__(segment, protocol)

    with monkeypatch.context() as patched:
        patched.setattr(plan.PlannedSegment, "__reduce_ex__", reduced)
        with pytest.raises(WorkerError, match="segment 5 ended 2 workers"):
            upscaled(tmp_path / "out.mp4", workers=1)
    assert os.listdir(tmp_path) == ["out.mp4.segments"]
    assert len(list((tmp_path / "out.mp4.segments").glob("*.segment"))) == 5
    report = upscaled(tmp_path / "out.mp4", workers=1)
    assert (report.frames_written, os.listdir(tmp_path)) == (240, ["out.mp4"])
