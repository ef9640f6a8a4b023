"""Segments upscaled by Ray actors: the same bytes as by threads, also where actors are lost."""

import itertools
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import SupportsIndex

import psutil
import pytest
from made import Poison, make_clip
from test_segments import job_of

import vidsr
from vidsr.arrays import Plane
from vidsr.callbacks import OnProgress
from vidsr.media.frame import VideoFrame
from vidsr.media.reader import Reader
from vidsr.model.weights import Weights
from vidsr.pipeline import upscale_job
from vidsr.pool import segment_pace
from vidsr.pool.ray_runtime import ray as ray_itself
from vidsr.pool.ray_workers import RayWorkers
from vidsr.pool.shared_pools import SharedPools
from vidsr.report import Report
from vidsr.segments import plan, work
from vidsr.segments.source_segments import source_segments
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.upscale_job import UpscaleJob

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
def settings(tiny_model: str) -> UpscaleSettings:
    """By segments, with the small network."""
    return UpscaleSettings(model=tiny_model, segments=True)


@pytest.fixture(scope="module")
def pools(ray: None) -> Iterator[SharedPools]:
    """Two actors: those that a test loses are replaced for the next one."""
    with SharedPools(PoolSettings(workers=2, threads=1, timeout_s=20)) as pools:
        yield pools


@pytest.fixture
def upscaled(film: Path, settings: UpscaleSettings, pools: SharedPools) -> Callable[..., Report]:
    """The film upscaled by actors of its own."""
    with pools:
        pass  # the two that stand by would be taken for its own

    def upscaled(target: Path, workers: int, timeout_s: float, **options: object) -> Report:
        pool = PoolSettings(workers=workers, threads=1, timeout_s=timeout_s)
        return vidsr.upscale(film, target, settings=settings, pool=pool, **options)

    return upscaled


@pytest.fixture
def by_two(film: Path, settings: UpscaleSettings, pools: SharedPools) -> Callable[..., Report]:
    """The film upscaled by those two."""

    def upscaled(target: Path, **options: OnProgress) -> Report:
        job = UpscaleJob(source=film, target=target, settings=settings, encode=EncodeSettings(), **options)
        return upscale_job(job, pools)

    return upscaled


@pytest.fixture(scope="module")
def by_threads(film: Path, tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What threads of this process make of it."""
    target = tmp_path_factory.mktemp("threads") / "none.mp4"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "MIN_SECONDS", 0.6)
        settings = UpscaleSettings(model=tiny_model, segments=True)
        vidsr.upscale(film, target, settings=settings, pool=PoolSettings(workers=0, threads=1))
    return target.read_bytes()


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


def test_processes_make_the_same_bytes_as_threads(
    by_two: Callable[..., Report], by_threads: bytes, tmp_path: Path
) -> None:
    report = by_two(tmp_path / "two.mp4")
    assert (report.workers, report.threads, report.frames_written, report.damage) == (2, 1, 240, [])
    assert (tmp_path / "two.mp4").read_bytes() == by_threads


def test_an_actor_that_is_killed_costs_nothing_but_its_segment(
    by_two: Callable[..., Report], by_threads: bytes, tmp_path: Path
) -> None:
    report = by_two(tmp_path / "struck.mp4", on_progress=struck(signal.SIGKILL))
    assert (report.worker_restarts, report.frames_written, report.damage) == (1, 240, [])
    assert (tmp_path / "struck.mp4").read_bytes() == by_threads


@pytest.mark.slow
def test_an_actor_that_is_stopped_costs_nothing_but_its_segment(
    upscaled: Callable[..., Report], by_threads: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # On a busy machine a live one may be silent for some seconds, too.
    report = upscaled(tmp_path / "struck.mp4", workers=2, timeout_s=4, on_progress=struck(signal.SIGSTOP))
    assert (report.frames_written, report.damage) == (240, [])
    # The other actor does its segment, too, and may have done all before the stopped one is given up.
    assert report.worker_restarts == 1 or "others do it too" in caplog.text
    assert (tmp_path / "struck.mp4").read_bytes() == by_threads


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment, the sixth, that ends each process that is sent it."""

    def reduced(segment: plan.PlannedSegment, protocol: SupportsIndex) -> object:
        return (os._exit, (1,)) if segment.index == 5 else object.__reduce_ex__(segment, protocol)

    monkeypatch.setattr(plan.PlannedSegment, "__reduce_ex__", reduced)


def test_a_segment_that_ends_two_actors_is_upscaled_by_frames_to_the_same_bytes(
    by_two: Callable[..., Report], by_threads: bytes, tmp_path: Path, deadly: None, caplog: pytest.LogCaptureFixture
) -> None:
    report = by_two(tmp_path / "frames.mp4")
    assert (report.worker_restarts, report.frames_written, report.quarantined, report.damage) == (2, 240, [], [])
    assert "segment 5 ended 2 workers; it is upscaled by frames" in caplog.messages
    assert (tmp_path / "frames.mp4").read_bytes() == by_threads


@pytest.mark.slow
def test_a_frame_of_such_a_segment_that_ends_two_actors_is_the_only_one_without_the_network(
    upscaled: Callable[..., Report], tmp_path: Path, deadly: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count()
    luma_of, here = work.luma_of, os.getpid()

    def poisoned(frame: VideoFrame) -> Plane:
        luma = luma_of(frame)
        return luma.view(Poison) if os.getpid() == here and next(numbers) == 7 else luma

    monkeypatch.setattr(work, "luma_of", poisoned)
    report = upscaled(tmp_path / "out.mp4", workers=1, timeout_s=20)
    assert (report.quarantined, report.frames_upscaled, report.frames_written) == ([107], 239, 240)
    assert report.damage == ["upscaled without the network, because each ended two workers: frames 107"]


def test_a_segment_that_is_late_is_done_by_another_actor_and_the_first_result_counts(
    upscaled: Callable[..., Report],
    by_threads: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(segment_pace, "_LEAST_S", 0.5)
    report = upscaled(tmp_path / "late.mp4", workers=2, timeout_s=100, on_progress=struck(signal.SIGSTOP))
    assert (report.worker_restarts, report.frames_written, report.damage) == (0, 240, [])
    assert re.search(r"worker \d+ on \S+ is late with segment \d+; others do it too", caplog.text)
    assert psutil.wait_procs(actors(), timeout=10)[1] == []  # not even the one that was stopped
    assert (tmp_path / "late.mp4").read_bytes() == by_threads


def test_an_actor_drops_a_segment_that_another_one_was_faster_with_and_takes_the_next(
    film: Path, weights: Weights
) -> None:
    with Reader(film) as reader:
        job, segment = job_of(reader), next(source_segments(reader))
    with RayWorkers(weights, PoolSettings(workers=1, threads=1)) as workers:
        (slot,) = workers.slots
        slot.actor.drop.remote(1)
        first, second = (slot.actor.upscale_segment.remote(job, weights, segment, call) for call in (1, 2))
        with pytest.raises(ray_itself.exceptions.RayTaskError, match="Stopped: another worker was faster"):
            ray_itself.get(first)
        assert len(ray_itself.get(second).times) == 20


@pytest.mark.parametrize(
    ("frames", "seconds", "late"),
    [(100, 31, True), (100, 29, False), (200, 59, False), (200, 61, True), (1, 4, False), (1, 6, True)],
)
def test_late_is_three_times_the_median_of_the_time_for_as_many_frames(
    frames: int, seconds: float, late: bool
) -> None:
    pace = segment_pace.SegmentPace()
    pace.add(100, 1.0)
    pace.add(0, 50.0)
    pace.add(100, 10.0)
    assert not pace.is_late(frames, 1000)  # nobody knows yet
    pace.add(10, 50.0)
    assert pace.is_late(frames, seconds) is late
