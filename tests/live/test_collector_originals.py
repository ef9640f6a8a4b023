"""Collecting without a main stream: from the originals that the camera has recorded; and a disk that is full."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from kit.collecting import collect, events, folder_of, learning_camera
from kit.scene_cameras import frozen, planes
from training.recordings import Luma, record, smaller

from vidsr.errors import TARGET
from vidsr.live.config import CameraConfig
from vidsr.settings import RecordSettings

RATE = 10


def camera(folder: Path, **learn: object) -> CameraConfig:
    """A camera that records its originals, two seconds per key frame."""
    segments = folder / "segments"
    segments.mkdir(exist_ok=True)
    config = learning_camera(folder, "rtsp://127.0.0.1:1/", moment_s=5.0, **learn)
    return replace(config, segment_dir=segments, record=RecordSettings(original=True, min_free_gb=0.0))


def add_original(config: CameraConfig, frames: list[Luma], *, ago_s: float) -> Path:
    """An original that was finished so many seconds ago."""
    ended_s = time.time() - ago_s
    assert config.segment_dir
    path = config.segment_dir / time.strftime("%Y-%m-%d/%H-%M-%S.original.mkv", time.localtime(ended_s))
    path.parent.mkdir(exist_ok=True)
    record(path, frames, [number / RATE for number in range(len(frames))], 28)
    os.utime(path, (ended_s, ended_s))
    return path


def scene(count: int = 90) -> list[Luma]:
    return smaller(planes()[:count], 2.0)


def test_a_moment_is_cut_from_the_newest_original_and_none_comes_twice(tmp_path: Path) -> None:
    config = camera(tmp_path)
    add_original(config, scene(), ago_s=100)
    newest = add_original(config, scene(), ago_s=30)
    assert collect(config) == ""
    (moment,) = folder_of(config).moments()
    assert (moment.has_main, (moment.folder / "main.mkv").exists()) == (False, False)
    assert moment.time_s == pytest.approx(newest.stat().st_mtime - 9 + 2, abs=2.1)
    assert collect(config) == ""
    add_original(config, scene(), ago_s=1)
    assert collect(config) == ""
    state = folder_of(config).collect_state()
    assert (state.collected, state.refused) == (2, {"no new original": 1})
    assert events(config) == []


def test_an_original_in_which_nothing_moves_is_left_out(tmp_path: Path) -> None:
    config = camera(tmp_path)
    add_original(config, smaller(frozen(planes()) * 3, 2.0), ago_s=30)
    collect(config)
    assert folder_of(config).collect_state().refused == {"nothing moves": 1}
    assert folder_of(config).half_moments() == []


def test_originals_that_cannot_be_read_are_one_event(tmp_path: Path) -> None:
    config = camera(tmp_path)
    config = replace(config, segment_dir=tmp_path / "none")
    assert "none: No such file or directory" in collect(config)
    assert collect(config) == ""
    (event,) = events(config)
    assert event == f"no moments are collected: {tmp_path}/none: No such file or directory"


def test_the_folder_stays_within_its_bytes(tmp_path: Path) -> None:
    config = camera(tmp_path, keep_gb=0.0001)
    for _ in range(3):
        add_original(config, scene(), ago_s=0)
        collect(config)
    moments = folder_of(config).moments()
    assert sum(moment.size for moment in moments) <= 100_000 or len(moments) == 1
    assert folder_of(config).collect_state().collected == 3


def test_without_free_space_nothing_is_collected_and_old_moments_still_go(tmp_path: Path) -> None:
    config = camera(tmp_path)
    add_original(config, scene(), ago_s=30)
    collect(config)
    config = replace(config, record=RecordSettings(original=True, min_free_gb=1e6))
    said = collect(config)
    assert "GB are free, less than the 1e+06 GB of min-free-gb" in said
    assert collect(config) == ""
    (event,) = events(config)
    assert event in said
    assert len(folder_of(config).moments()) == 1
    config = replace(config, learn=replace(config.learn, keep_days=1e-6))
    assert collect(config) == ""
    assert folder_of(config).moments() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB."""
    path = tmp_path / "disk"
    path.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", path], check=False).returncode
    ):
        pytest.skip("mounting a small disk takes root")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def test_a_disk_that_is_full_is_one_sentence_and_nothing_is_left(tmp_path: Path, small_disk: Path) -> None:
    config = replace(camera(tmp_path), learn_dir=small_disk / "learn")
    add_original(config, scene(), ago_s=30)
    filler = small_disk / "filler"
    fill(filler, 50)
    said = collect(config, code=TARGET)
    assert said.count("\n") == 1
    assert "No space left on device" in said
    assert folder_of(config).half_moments() == []
    filler.unlink()
    fill(filler, 47)  # a moment takes more than what is left, an event does not
    said = collect(config)
    assert "No space left on device" in said
    assert folder_of(config).moments() == []
    assert folder_of(config).half_moments() == []
    filler.unlink()
    assert collect(config) == ""
    assert len(folder_of(config).moments()) == 1
    assert events(config)[1:] == ["moments are collected again"]


def fill(path: Path, pages: int) -> None:
    """A file of so many pages, as far as there is space."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        for _ in range(pages):
            file.write(bytes(4096))
