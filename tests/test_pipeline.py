"""The main job: what comes out is what went in, enlarged, whatever happens on the way."""

import os
import signal
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest
from commands import DAMAGED, Command
from cycles import in_cycles, uncollected
from footage import make_video, scene_frames
from made import make_clip, make_long
from numpy.typing import NDArray
from oracles import read_with_av, samples

import vidsr
from vidsr import EncodeSettings, PoolSettings, Reader, UpscaleSettings
from vidsr.media.frame import VideoInfo
from vidsr.output_size import default_scale, expected_frames, target_size
from vidsr.pipeline import FRAMES_BEHIND, upscale_job
from vidsr.pool.shared_pools import SharedPools
from vidsr.upscale_job import UpscaleJob

HERE = PoolSettings(workers=0)
LOSSLESS = EncodeSettings(codec="ffv1")


@pytest.fixture(scope="module", params=[0, 1, 2], ids=["this process", "1 worker", "2 workers"])
def pools(request: pytest.FixtureRequest) -> Iterator[SharedPools]:
    """Each kind of pool, for one file after another: the pipeline must not know which it has."""
    if request.param:
        request.getfixturevalue("ray")
    with SharedPools(PoolSettings(workers=request.param)) as pools:
        yield pools


@pytest.fixture
def settings(tiny_model: str) -> UpscaleSettings:
    """The small network."""
    return UpscaleSettings(model=tiny_model)


def lumas(path: Path) -> list[NDArray[np.generic]]:
    return [samples(picture)[0].astype(int) for picture in read_with_av(path).pictures]


def test_every_frame_comes_out_once_at_its_time_and_in_order(
    clip: Path, tmp_path: Path, settings: UpscaleSettings, pools: SharedPools
) -> None:
    job = UpscaleJob(source=clip, target=tmp_path / "out.mp4", settings=settings, encode=EncodeSettings())
    report = upscale_job(job, pools)
    assert report.workers == pools.settings.workers
    assert report.threads
    assert read_with_av(tmp_path / "out.mp4").times == read_with_av(clip).times
    small = np.stack(lumas(clip))
    for index, large in enumerate(lumas(tmp_path / "out.mp4")):
        shrunk = large.reshape(64, 2, 96, 2).mean(axis=(1, 3))
        assert abs(small - shrunk).mean(axis=(1, 2)).argmin() == index


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv"])
def test_no_picture_is_left_to_the_garbage_collector(
    clip: Path, tmp_path: Path, settings: UpscaleSettings, target: str
) -> None:
    with uncollected():
        vidsr.upscale(clip, tmp_path / target, settings=settings, pool=HERE)
        assert not in_cycles("av", "vidsr")


def test_the_report_counts_every_frame_and_times_every_stage(
    clip: Path, tmp_path: Path, settings: UpscaleSettings
) -> None:
    report = vidsr.upscale(clip, tmp_path / "out.mp4", settings=settings, pool=HERE)
    assert (report.frames_read, report.frames_upscaled, report.frames_written) == (24, 24, 24)
    assert (report.size, report.copied, report.left_out) == ((192, 128), ["#1 audio aac und"], [])
    assert (report.damage, report.warnings, report.quarantined, report.worker_restarts) == ([], [], [], 0)
    assert not report.stopped
    assert list(report.stages) == ["read", "upscale", "merge", "write"]
    assert all(0 < stage.seconds < report.seconds for stage in report.stages.values())
    assert all(stage.fps == pytest.approx(report.frames_read / stage.seconds) for stage in report.stages.values())
    assert report.fps == pytest.approx(24 / report.seconds)


def test_a_film_of_one_frame_can_be_hevc(tmp_path: Path, settings: UpscaleSettings) -> None:
    """Which x265 often gives a decoding time of pure noise."""
    source = make_clip(tmp_path / "one.mp4", pts=[0], audio=1)
    encode = EncodeSettings(codec="libx265", preset="ultrafast")
    for turn in range(8):
        report = vidsr.upscale(source, tmp_path / f"{turn}.mp4", settings=settings, encode=encode, pool=HERE)
        assert (report.frames_written, report.damage) == (1, [])


def test_sound_is_copied_byte_for_byte(clip: Path, tmp_path: Path, settings: UpscaleSettings) -> None:
    vidsr.upscale(clip, tmp_path / "out.mp4", settings=settings, pool=HERE)
    assert read_with_av(tmp_path / "out.mp4").packets == read_with_av(clip).packets


def test_progress_tells_every_frame_and_how_many_there_are(
    clip: Path, tmp_path: Path, settings: UpscaleSettings
) -> None:
    told: list[tuple[int, int | None]] = []
    vidsr.upscale(
        clip, tmp_path / "out.mp4", settings=settings, pool=HERE, on_progress=lambda *done: told.append(done)
    )
    assert told == [(done, 24) for done in range(1, 25)]


def test_paths_may_be_text(clip: Path, tmp_path: Path, settings: UpscaleSettings) -> None:
    report = vidsr.upscale(str(clip), str(tmp_path / "out.mkv"), settings=settings, pool=HERE)
    assert report.target == tmp_path / "out.mkv"


@pytest.mark.parametrize("after", [0, 9])
def test_stop_ends_the_file_in_order_with_one_frame_at_least(
    clip: Path, tmp_path: Path, settings: UpscaleSettings, pools: SharedPools, after: int
) -> None:
    done = [0]
    job = UpscaleJob(
        source=clip,
        target=tmp_path / "out.mp4",
        settings=settings,
        encode=EncodeSettings(),
        on_progress=lambda frames, total: done.append(frames),
        should_stop=lambda: done[-1] >= after,
    )
    report = upscale_job(job, pools)
    result, source = read_with_av(tmp_path / "out.mp4"), read_with_av(clip)
    assert (report.stopped, report.damage) == (True, [])
    assert max(1, after) <= len(result.times) == report.frames_written <= after + 6 + FRAMES_BEHIND
    assert result.times == source.times[: len(result.times)]
    sound = result.packets.get(1, [])
    assert sound == source.packets[1][: len(sound)]


@pytest.mark.parametrize(("start_s", "end_s"), [(0.2, None), (None, 0.3), (0.2, 0.5), (0.0, 9.0)])
def test_start_and_end_cut_the_frames_between_them(
    clip: Path, tmp_path: Path, tiny_model: str, start_s: float | None, end_s: float | None
) -> None:
    settings = UpscaleSettings(model=tiny_model, start_s=start_s, end_s=end_s)
    report = vidsr.upscale(clip, tmp_path / "out.mp4", settings=settings, pool=HERE)
    times = read_with_av(clip).times
    begin, end = times[0] + Fraction(start_s or 0), times[0] + Fraction(end_s or 99)
    shift = begin if start_s else 0
    kept = [float(time - shift) for time in times if begin <= time < end]
    assert read_with_av(tmp_path / "out.mp4").pts == pytest.approx(kept, abs=1e-4)
    assert (report.damage, report.stopped) == ([], False)


# Sizes


@pytest.fixture(scope="module")
def info(clip: Path) -> VideoInfo:
    """What is known of a clip of 96x64."""
    with Reader(clip) as reader:
        return reader.info


@pytest.mark.parametrize(
    ("to", "size", "scale"),
    [
        ("100p", (150, 100), 2),
        ("128p", (192, 128), 2),
        ("192x128", (192, 128), 2),
        ("193x128", (193, 128), 3),
        ("129p", (194, 129), 3),
        ("256p", (384, 256), 4),
        ("1080p", (1620, 1080), 4),
        ("1x1", (1, 1), 2),
        (None, (192, 128), 2),
    ],
)
def test_the_smallest_scale_that_reaches_the_size_is_taken(
    info: VideoInfo, to: str | None, size: tuple[int, int], scale: int
) -> None:
    settings = UpscaleSettings(to=to)
    assert (target_size(settings, info, 2), default_scale(settings, info)) == (size, scale)


def test_the_frames_to_come_are_known_before_they_are_read(info: VideoInfo) -> None:
    assert expected_frames(UpscaleSettings(), info) == 24
    assert expected_frames(UpscaleSettings(end_s=0.5), info) == pytest.approx(0.5 * 24 / 0.95, abs=1)


@pytest.mark.parametrize("to", [None, "150p", "100x100"])
def test_the_picture_keeps_its_shape_on_the_screen(tmp_path: Path, tiny_model: str, to: str | None) -> None:
    source = make_video(tmp_path / "wide.mkv", scene_frames(3), sample_aspect_ratio=Fraction(16, 11))
    settings = UpscaleSettings(model=tiny_model, to=to)
    report = vidsr.upscale(source, tmp_path / "out.mkv", settings=settings, pool=HERE)
    with Reader(source) as before, Reader(tmp_path / "out.mkv") as after:
        assert (after.info.width, after.info.height) == report.size
        assert shape(after.info) == pytest.approx(shape(before.info), rel=1e-3)


def shape(info: VideoInfo) -> float:
    return float(info.pixel_aspect * info.width / info.height)


def test_what_cannot_be_carried_over_is_said_once_while_there_is_time(
    clip: Path, tmp_path: Path, settings: UpscaleSettings
) -> None:
    said: list[str] = []
    encode = EncodeSettings(codec="libvpx-vp9")
    report = vidsr.upscale(
        clip, tmp_path / "out.webm", settings=settings, encode=encode, pool=HERE, on_warning=said.append
    )
    assert report.left_out == ["#1 audio aac und"]
    assert said == [f"{clip}: out.webm cannot hold #1 audio aac und; it is dropped"]


# Workers that die


def workers() -> list[psutil.Process]:
    family = psutil.Process().children(recursive=True)
    return [process for process in family if process.name().startswith("ray::Worker")]


@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize("blow", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)])
def test_a_worker_that_is_lost_costs_nothing_and_is_counted(
    clip: Path, tmp_path: Path, settings: UpscaleSettings, blow: signal.Signals
) -> None:
    others = workers()  # of the tests above
    long = make_long(tmp_path / "long.mp4", clip, 4)
    vidsr.upscale(long, tmp_path / "quiet.mkv", settings=settings, encode=LOSSLESS, pool=HERE)

    def strike(done: int, total: int | None) -> None:
        if done == 20:
            next(worker for worker in workers() if worker not in others).send_signal(blow)

    pool = PoolSettings(workers=2, timeout_s=2)
    report = vidsr.upscale(
        long, tmp_path / "struck.mkv", settings=settings, encode=LOSSLESS, pool=pool, on_progress=strike
    )
    assert (report.worker_restarts, report.damage) == (1, [])
    assert (report.frames_read, report.frames_upscaled, report.frames_written) == (96, 96, 96)
    quiet, struck = read_with_av(tmp_path / "quiet.mkv"), read_with_av(tmp_path / "struck.mkv")
    assert struck.times == quiet.times
    for before, after in zip(quiet.pictures, struck.pictures, strict=True):
        np.testing.assert_array_equal(samples(before)[0], samples(after)[0])


@pytest.mark.usefixtures("ray")
def test_a_frame_that_ends_two_workers_is_enlarged_without_the_network_and_reported(
    vidsr: Command, tiny_model: str, tmp_path: Path
) -> None:
    """No worker answers within a microsecond, so both frames count as the end of two workers each."""
    source = make_clip(tmp_path / "two.mp4", pts=[0, 512])
    options = ["--model", tiny_model, "--workers", "1", "--timeout", "0.000001"]
    ended = vidsr("upscale", "-q", *options, source, tmp_path / "out.mp4")
    assert ended.code == DAMAGED
    assert "upscaled without the network, because each ended two workers: frames 0, 1" in ended.err
    assert len(read_with_av(tmp_path / "out.mp4").pts) == 2


# Memory


@pytest.mark.slow
def test_memory_does_not_grow_with_the_film(tiny_model: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=(160, 120))
    films = [make_long(tmp_path / f"{times}.mp4", clip, times) for times in (8, 84)]  # some 200 and 2,000 frames
    options = ["--workers", "0", "--model", tiny_model, "--preset", "ultrafast", "--overwrite", "-q"]
    short, long = (peak_kb("upscale", *options, str(film), str(tmp_path / "out.mp4")) for film in films)
    assert long < 1.05 * short


def peak_kb(*arguments: str) -> int:
    """The most memory that the command held at once."""
    process = os.posix_spawn(sys.executable, [sys.executable, "-m", "vidsr", *arguments], os.environ)
    _, status, usage = os.wait4(process, 0)
    assert status == 0
    return usage.ru_maxrss
