"""The retention of segments."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vidsr.media.sink.recording_dir import segment_name
from vidsr.media.sink.retention import (
    StoredSegment,
    beyond_floor,
    delete_expired,
    expired,
    finished_segments,
    oldest_of_all,
)
from vidsr.settings import RecordSettings

GB = 1_000_000_000
DAY_S = 86_400


def segments_of(*ended_days: float) -> list[StoredSegment]:
    """Segments of 1 GB that ended on those days."""
    return [StoredSegment(paths=(Path(f"{day}"),), size=GB, ended_s=day * DAY_S) for day in ended_days]


def expired_days(*ended_days: float, growing: float = 0, now: float = 10, **record: float) -> list[str]:
    settings = RecordSettings(**{"min_free_gb": 0, **record})
    chosen = expired(segments_of(*ended_days), open_bytes=round(growing * GB), now_s=now * DAY_S, record=settings)
    return [str(segment.paths[0]) for segment in chosen]


def test_without_a_limit_nothing_goes() -> None:
    assert expired_days(1, 2, 3) == []


def test_what_is_older_than_the_days_goes() -> None:
    assert expired_days(1, 5, 9, keep_days=4.5) == ["1", "5"]


def test_the_oldest_go_until_the_rest_is_small_enough() -> None:
    assert expired_days(3, 1, 2, 4, keep_gb=2.5) == ["1", "2"]
    assert expired_days(3, 1, 2, 4, keep_gb=2.5, growing=0.6) == ["1", "2", "3"]


def test_the_oldest_of_all_folders_go_and_the_newest_of_each_stays() -> None:
    every = [segments_of(3, 1, 5, 7), segments_of(2, 4), segments_of(0.5)]
    folders = [beyond_floor(each, floor_gb=0) for each in every]
    for missing, gone in [(0, []), (0.5, ["1"]), (2, ["1", "2"]), (9, ["1", "2", "3", "5"])]:
        assert [str(one.paths[0]) for one in oldest_of_all(folders, missing=missing * GB)] == gone


def test_a_camera_keeps_its_floor() -> None:
    for floor_gb, gone in [(0, ["5", "3", "1"]), (2, ["3", "1"]), (2.5, ["3", "1"]), (3, ["1"]), (9, [])]:
        left = beyond_floor(segments_of(3, 1, 5, 7), floor_gb=floor_gb)
        assert [str(segment.paths[0]) for segment in left] == gone, floor_gb


@pytest.mark.parametrize(("days", "original_days", "left"), [(3, 9, ".original.mp4"), (9, 3, ".mp4"), (9, None, "")])
def test_an_original_is_kept_for_days_of_its_own(
    tmp_path: Path, days: float, original_days: float | None, left: str
) -> None:
    (tmp_path / "2026-01-01").mkdir()
    paths = [tmp_path / f"2026-01-01/10-00-00{suffix}" for suffix in (".mp4", ".original.mp4")]
    for path in paths:
        path.touch()
        os.utime(path, (0, 0))
    record = RecordSettings(keep_days=days, keep_original_days=original_days, min_free_gb=0)
    delete_expired(tmp_path, now_s=5 * DAY_S, record=record)
    assert [path for path in paths if path.exists()] == [tmp_path / f"2026-01-01/10-00-00{left}"] if left else paths
    delete_expired(tmp_path, now_s=10 * DAY_S, record=record)
    assert not (tmp_path / "2026-01-01").exists()


def test_the_limit_that_is_hit_first_decides() -> None:
    assert expired_days(1, 2, 3, keep_gb=2, keep_days=8.5) == ["1"]
    assert expired_days(1, 2, 3, keep_gb=2, keep_days=7.5) == ["1", "2"]


def test_names_sort_by_time_through_the_end_of_summer_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    request.addfinalizer(time.tzset)
    request.addfinalizer(monkeypatch.undo)  # before the other: finalizers run in reverse order
    change_s = datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()
    names = [segment_name(change_s + minutes * 60) for minutes in range(-90, 90, 7)]
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    assert segment_name(change_s - 60) == "2026-10-25/02-59-00.mp4"
    assert segment_name(change_s) == "2026-10-25/02B-00-00.mp4"
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert len(list(finished_segments(tmp_path))) == len(names)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two days, of which the first has two segments, one with its original, and files of other people."""
    names = [
        "2026-01-01/10-00-00.mp4",
        "2026-01-01/10-00-00.original.mkv",
        "2026-01-01/10-01-00_2.mp4",
        "2026-01-02/10-00-00.mp4",
        "2026-01-02/10-01-00.mp4.part",
        "2026-01-02/holiday.mp4",
        "2026-01-03/notes.txt",
        "other/10-00-00.mp4",
        "10-00-00.mp4",
    ]
    for number, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(5000))
        os.utime(path, (number * DAY_S, number * DAY_S))
    (tmp_path / "2026-01-04").symlink_to(tmp_path / "other")
    return tmp_path


def test_a_segment_and_its_original_are_one(folder: Path) -> None:
    assert [len(segment.paths) for segment in sorted(finished_segments(folder), key=lambda one: one.ended_s)] == [
        2,
        1,
        1,
    ]


def test_only_what_was_recorded_goes_and_empty_days_with_it(folder: Path) -> None:
    assert delete_expired(folder, now_s=1000 * DAY_S, record=RecordSettings(keep_days=1, min_free_gb=0)) == 3
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    assert left == [
        "10-00-00.mp4",
        "2026-01-02/10-01-00.mp4.part",
        "2026-01-02/holiday.mp4",
        "2026-01-03/notes.txt",
        "2026-01-04",
        "other/10-00-00.mp4",
    ]
    assert not (folder / "2026-01-01").exists()


def test_a_disk_that_is_short_of_room_costs_the_oldest_first(folder: Path) -> None:
    free = os.statvfs(folder)
    wanted = (free.f_bavail * free.f_frsize + GB) / GB  # a little more than there is, whatever others write meanwhile
    delete_expired(folder, now_s=0, record=RecordSettings(min_free_gb=wanted))
    (newest,) = finished_segments(folder)
    assert newest.paths == (folder / "2026-01-02/10-00-00.mp4",)


def test_what_is_being_written_counts_too(folder: Path) -> None:
    one = (folder / "10-00-00.mp4").stat().st_blocks * 512
    assert (
        delete_expired(folder, now_s=0, record=RecordSettings(keep_gb=4.5 * one / GB, min_free_gb=0)) == 1
    )  # of 4 and 1
    assert [len(segment.paths) for segment in finished_segments(folder)] == [1, 1]


def test_a_quiet_camera_on_a_full_disk_keeps_as_long_as_a_busy_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(folder: Path) -> int:
        return 3_000_000 - sum(path.stat().st_size for path in tmp_path.rglob("*.mp4"))

    monkeypatch.setattr("vidsr.media.sink.retention.free_bytes", free)  # of a disk that nobody else writes to
    sizes = {"busy": 400_000, "quiet": 40_000}
    neighbours = dict.fromkeys([*(tmp_path / camera for camera in sizes), tmp_path / "none"], 0.0)
    for hour in range(60):
        for camera, size in sizes.items():
            path = tmp_path / camera / f"2026-01-01/{hour // 60:02}-{hour % 60:02}-00.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(size))
            os.utime(path, (hour * 3600, hour * 3600))
            record = RecordSettings(min_free_gb=0.001)
            delete_expired(tmp_path / camera, now_s=0, record=record, neighbours=neighbours)
    kept = {camera: {one.paths[0].name for one in finished_segments(tmp_path / camera)} for camera in sizes}
    assert len(kept["busy"]) >= 3
    assert abs(len(kept["busy"]) - len(kept["quiet"])) <= 1
    assert all("00-59-00.mp4" in names for names in kept.values())
