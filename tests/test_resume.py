"""A run by segments that ends before its time: the same command goes on, to the same bytes."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from commands import SOURCE, TARGET, Command, full_disk, shown
from fork_server import ForkedPython
from made import make_clip
from test_segment_journal import made

import vidsr as package
from vidsr.media.atomic_file import part_path
from vidsr.segments.journal import SegmentJournal
from vidsr.settings import PoolSettings, UpscaleSettings

SEGMENTS, FRAMES = 8, 30


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 seconds, five frames in each, with sound: segments of six seconds.

    Upscaled it has six macroblocks in a row, for which x264's AVX-512 makes other bytes each time.
    """
    pts = [3072 * number for number in range(SEGMENTS * FRAMES)]
    options = {"g": str(FRAMES), "preset": "ultrafast", "x264-params": "scenecut=0"}
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", size=(48, 48), pts=pts, options=options, audio=1)


@pytest.fixture(scope="module")
def whole(film: Path, tiny_model: str) -> dict[str, bytes]:
    """The film upscaled without an end before its time, by suffix."""
    found = {}
    for suffix in ("mp4", "mkv"):
        target = film.with_name(f"whole.{suffix}")
        settings = UpscaleSettings(model=tiny_model, segments=True)
        report = package.upscale(film, target, settings=settings, pool=PoolSettings(workers=0, threads=1))
        assert (report.frames_written, report.damage, report.warnings) == (SEGMENTS * FRAMES, [], [])
        found[suffix] = target.read_bytes()
    return found


def started(film: Path, target: Path, model: str, *more: str) -> subprocess.Popen[str]:
    options = ["-q", "--segments", "--workers", "0", "--threads", "2", "--model", model, *more]
    command = [sys.executable, "-m", "vidsr", "upscale", *options, str(film), str(target)]
    return ForkedPython(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finished(target: Path) -> int:
    """The number of segments in the journal."""
    journal = target.with_name(f"{target.name}.segments") / "journal"
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


def ended_at(process: subprocess.Popen[str], target: Path, segments: int, number: signal.Signals) -> str:
    """What a process prints that is sent a signal when it has finished so many segments; all of it is gone then."""
    while finished(target) < segments and process.poll() is None:
        time.sleep(0.005)
    with_all = number == signal.SIGKILL  # as a child dies with its parent, but at once
    (os.killpg if with_all else os.kill)(process.pid, number)
    return process.communicate(timeout=60)[1]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(
    film: Path, whole: dict[str, bytes], tiny_model: str, tmp_path: Path, suffix: str
) -> None:
    target = tmp_path / f"out.{suffix}"
    for segments in (1, 4):
        ended_at(started(film, target, tiny_model), target, segments, signal.SIGKILL)
        assert segments <= finished(target) < SEGMENTS
        assert not target.exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / f"{target.name}.segments").glob("*.segment")}
    process = started(film, target, tiny_model)
    ended_at(process, target, SEGMENTS - 1, signal.SIGCONT)
    assert process.returncode == 0
    assert len(kept) >= 4
    assert target.read_bytes() == whole[suffix]
    assert os.listdir(tmp_path) == [target.name]


@pytest.mark.slow
def test_twenty_random_kills(film: Path, whole: dict[str, bytes], tiny_model: str, tmp_path: Path) -> None:
    moments = random.Random(1)
    for number in range(20):
        target = tmp_path / f"{number}.mp4"
        process = started(film, target, tiny_model)
        time.sleep(moments.uniform(0, 4))
        with suppress(ProcessLookupError):  # it is through
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        process = started(film, target, tiny_model)
        _, said = process.communicate(timeout=100)
        assert (process.returncode, said) == (0, "") or target.exists()
        assert target.read_bytes() == whole["mp4"]
        target.unlink()
        assert os.listdir(tmp_path) == []


def test_a_stop_keeps_what_is_finished(film: Path, whole: dict[str, bytes], tiny_model: str, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    process = started(film, target, tiny_model)
    said = ended_at(process, target, 2, signal.SIGINT)
    assert process.returncode == 128 + signal.SIGINT
    assert said.startswith("\nvidsr: stopping; what is finished is kept (once more to abort)\n")
    words = (
        rf"vidsr: {target}: stopped; \d finished segments are kept in {target}.segments, and the same command goes on"
    )
    assert re.search(words, said)
    assert finished(target) >= 2
    assert os.listdir(tmp_path) == [f"{target.name}.segments"]
    process = started(film, target, tiny_model)
    process.communicate(timeout=60)
    assert (process.returncode, target.read_bytes()) == (0, whole["mp4"])


def test_a_folder_that_was_stopped_goes_on_to_the_same_bytes(
    film: Path, whole: dict[str, bytes], tiny_model: str, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (old / name).symlink_to(film)
    process = started(old, new, tiny_model)
    said = ended_at(process, new / "b.mp4", 3, signal.SIGINT)
    assert (process.returncode, "Traceback" in said) == (128 + signal.SIGINT, False)
    assert re.search(rf"vidsr: {new}/b.mp4: stopped; \d finished segments are kept in {new}/b.mp4.segments", said)
    process = started(old, new, tiny_model, "--resume")
    assert process.communicate(timeout=100)[1] == ""
    assert process.returncode == 0
    assert shown(new) == ["a.mp4", "b.mp4"]
    assert {path.read_bytes() for path in new.glob("*.mp4")} == {whole["mp4"]}


def test_other_settings_begin_anew_and_say_so(
    film: Path, whole: dict[str, bytes], tiny_model: str, tmp_path: Path, upscale: Command
) -> None:
    target = tmp_path / "out.mp4"
    ended_at(started(film, target, tiny_model), target, 2, signal.SIGKILL)
    ended = upscale("--segments", "--crf", "30", film, target)
    assert ended.code == 0
    assert "its finished segments are made once more, because of a change: the encoder" in ended.err
    assert target.stat().st_size < len(whole["mp4"])


def test_a_full_disk_keeps_what_is_finished(
    film: Path, whole: dict[str, bytes], tmp_path: Path, upscale: Command
) -> None:
    target = tmp_path / "out.mp4"
    with full_disk(len(whole["mp4"]) // 2):
        ended = upscale("-q", "--segments", film, target)
    assert (ended.code, ended.err) == (TARGET, f"vidsr: {target}: File too large\n")
    assert finished(target) > 0
    assert os.listdir(tmp_path) == [f"{target.name}.segments"]
    assert upscale("-q", "--segments", film, target).code == 0
    assert target.read_bytes() == whole["mp4"]


def test_a_second_run_leaves_the_first_alone(film: Path, tmp_path: Path, upscale: Command) -> None:
    target = tmp_path / "out.mp4"
    with SegmentJournal(target, {}):
        part_path(target).write_text("of the first")
        ended = upscale("-q", "--segments", film, target)
    assert ended.code == TARGET
    assert ended.err == f"vidsr: {target}.segments: another run works on these segments\n"
    assert part_path(target).read_text() == "of the first"


def test_segments_of_an_earlier_run_go_with_success_by_frames(upscale: Command, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    made(target, 2)
    assert upscale("-q", tmp_path / "none.mp4", target).code == SOURCE
    assert os.listdir(tmp_path) == ["out.mp4.segments"]
    assert upscale(clip, target).code == 0
    assert os.listdir(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--deinterlace"], "--deinterlace looks at the frames on both sides of each"),
        (["--reuse", "2"], "--reuse above 0 depends on all frames before"),
        (["--codec", "mpeg4"], "whether segments of mpeg4 join is not known"),
    ],
)
def test_what_cannot_be_cut_is_upscaled_by_frames_and_says_so(
    clip: Path, tmp_path: Path, upscale: Command, options: list[str], reason: str
) -> None:
    ended = upscale("--segments", *options, clip, tmp_path / "out.mkv")
    assert (ended.code, ended.err.count(f"is upscaled by frames, not by segments: {reason}")) == (0, 1)
    assert os.listdir(tmp_path) == ["out.mkv"]
