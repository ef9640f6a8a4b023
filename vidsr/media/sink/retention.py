"""The retention of segments: which are deleted, and when."""

import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import accumulate, chain, groupby
from pathlib import Path

from vidsr.settings import RecordSettings

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
SEGMENT_NAME = re.compile(r"(\d{2}B?-\d{2}-\d{2}(?:_\d+)?)(?:\.original(?:_\d+)?)?\.(?:mp4|mkv)")
_PART = re.compile(SEGMENT_NAME.pattern + r"\.part")
_DAY_S, GB = 86_400, 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class StoredSegment:
    """A finished segment, with its passthrough file if it has one."""

    paths: tuple[Path, ...]
    size: int
    """Bytes on disk, of all files."""
    ended_s: float
    """The time of the last write, by the clock of the file system."""


def expired(
    segments: Iterable[StoredSegment], *, open_bytes: int, now_s: float, record: RecordSettings
) -> Iterator[StoredSegment]:
    """The segments that are too old or too many, oldest first, given `open_bytes` in unfinished files.

    Of a segment whose original is kept for longer or shorter, one file only.
    """
    oldest_first = sorted(segments, key=lambda segment: segment.ended_s)
    total = open_bytes + sum(segment.size for segment in oldest_first)
    for segment in oldest_first:
        age_days = (now_s - segment.ended_s) / _DAY_S
        paths = tuple(path for path in segment.paths if age_days > _max_days(path, record))
        if record.keep_gb is not None and total > record.keep_gb * GB:
            paths = segment.paths
        if paths:
            size = segment.size if paths == segment.paths else sum(map(_disk_bytes, paths))
            yield replace(segment, paths=paths, size=size)
            total -= size


def _max_days(path: Path, record: RecordSettings) -> float:
    """The days after which a file is deleted."""
    is_original = ".original" in path.name
    days = record.keep_original_days if is_original and record.keep_original_days is not None else record.keep_days
    return math.inf if days is None else days


def beyond_floor(segments: Iterable[StoredSegment], *, floor_gb: float) -> list[StoredSegment]:
    """All but the newest segment, and all but the newest that fit into `floor_gb`."""
    newest_first = sorted(segments, key=lambda segment: segment.ended_s, reverse=True)
    sums = accumulate(segment.size for segment in newest_first)
    return [segment for segment, total in list(zip(newest_first, sums, strict=True))[1:] if total > floor_gb * GB]


def oldest_of_all(folders: Iterable[Iterable[StoredSegment]], *, missing: float) -> Iterator[StoredSegment]:
    """The oldest segments of all folders that free `missing` bytes."""
    for segment in sorted(chain.from_iterable(folders), key=lambda segment: segment.ended_s):
        if missing <= 0:
            return
        yield segment
        missing -= segment.size


def delete_expired(
    folder: Path, *, now_s: float, record: RecordSettings, neighbours: Mapping[Path, float] = {}
) -> int:
    """Delete expired segments and empty days; returns the number of segments. Other files are never touched.

    For free space, the oldest segments of all `neighbours` on the same disk go: quiet cameras keep theirs as long as
    busy ones. Each keeps its newest segment, and its floor, in GB.
    """
    open_bytes = sum(_disk_bytes(path) for path in unfinished_parts(folder))
    n_deleted = sum(
        map(_delete, expired(finished_segments(folder), open_bytes=open_bytes, now_s=now_s, record=record))
    )
    if (missing := record.min_free_gb * GB - free_bytes(folder)) > 0:
        floors = {folder: record.keep_at_least_gb, **neighbours}
        folders = [
            beyond_floor(finished_segments(each), floor_gb=floor)
            for each, floor in floors.items()
            if _is_same_disk(each, folder)
        ]
        n_deleted += sum(map(_delete, oldest_of_all(folders, missing=missing)))
    return n_deleted


def _delete(segment: StoredSegment) -> bool:
    for path in segment.paths:
        path.unlink(missing_ok=True)
    with suppress(OSError):  # the day has other files
        segment.paths[0].parent.rmdir()
    return True


def _is_same_disk(folder: Path, other: Path) -> bool:
    try:
        return folder.stat().st_dev == other.stat().st_dev
    except OSError:
        return False


def segment_files(folder: Path) -> Iterator[dict[Path, os.stat_result]]:
    """The files of each finished segment in a directory; of one that was deleted meanwhile none."""
    for day in _day_dirs(folder):
        for _, names in groupby(_names(day, SEGMENT_NAME), key=lambda name: name.partition(".")[0]):
            with suppress(FileNotFoundError):
                yield {day / name: (day / name).lstat() for name in names}


def finished_segments(folder: Path) -> Iterator[StoredSegment]:
    """The finished segments in a directory."""
    for files in segment_files(folder):
        size = sum(stat.st_blocks * 512 for stat in files.values())
        yield StoredSegment(paths=tuple(files), size=size, ended_s=max(stat.st_mtime for stat in files.values()))


def unfinished_parts(folder: Path) -> list[Path]:
    """The .part files in a directory; left by a crash, unless a recording is running."""
    return sorted(day / name for day in _day_dirs(folder) for name in _names(day, _PART))


def _names(day: Path, pattern: re.Pattern[str]) -> list[str]:
    """The names in a directory that match, in order; none in one that was deleted meanwhile."""
    try:
        return sorted(name for name in os.listdir(day) if pattern.fullmatch(name))
    except FileNotFoundError:
        return []


def _disk_bytes(path: Path) -> int:
    """Bytes on disk; 0 for a file that was renamed meanwhile."""
    try:
        return path.lstat().st_blocks * 512
    except FileNotFoundError:
        return 0


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a directory, for users other than root."""
    return shutil.disk_usage(folder).free


def is_day(path: Path) -> bool:
    """Whether a directory is named as one of segments."""
    return _DAY.fullmatch(path.name) is not None


def _day_dirs(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [Path(entry) for entry in entries if _DAY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]
