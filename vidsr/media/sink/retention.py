"""The retention of segments: by age, by size, and by free space on the disk."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from vidsr.settings import RecordSettings

DAY, TIME = "%Y-%m-%d", "%H-%M-%S"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SEGMENT = re.compile(r"(\d{2}-\d{2}-\d{2}(?:_\d+)?)(?:\.original(?:_\d+)?)?\.(?:mp4|mkv)")
_PART = re.compile(_SEGMENT.pattern + r"\.part")
_DAY_S, _GB = 86_400, 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A finished segment, with its passthrough file if it has one."""

    paths: tuple[Path, ...]
    size: int
    """Bytes on disk, of all files."""
    ended_s: float
    """The time of the last write, by the clock of the file system."""


def expired(
    segments: Iterable[Segment], *, open_bytes: int, free: int, now_s: float, record: RecordSettings
) -> Iterator[Segment]:
    """The segments to delete, oldest first, given `free` bytes on the disk and `open_bytes` in unfinished files."""
    oldest_first = sorted(segments, key=lambda segment: segment.ended_s)
    total = open_bytes + sum(segment.size for segment in oldest_first)
    for segment in oldest_first:
        too_old = record.keep_days is not None and now_s - segment.ended_s > record.keep_days * _DAY_S
        too_large = record.keep_gb is not None and total > record.keep_gb * _GB
        if not (too_old or too_large or free < record.min_free_gb * _GB):
            return
        yield segment
        total -= segment.size
        free += segment.size


def delete_expired(folder: Path, *, now_s: float, record: RecordSettings) -> int:
    """Delete expired segments and empty days; returns the number of segments. Other files are never touched."""
    n_deleted, open_bytes = 0, sum(_disk_bytes(path) for path in unfinished_parts(folder))
    for segment in expired(
        finished_segments(folder), open_bytes=open_bytes, free=free_bytes(folder), now_s=now_s, record=record
    ):
        for path in segment.paths:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # the day has other files
            segment.paths[0].parent.rmdir()
        n_deleted += 1
    return n_deleted


def finished_segments(folder: Path) -> Iterator[Segment]:
    """The finished segments in a directory."""
    for day in _day_dirs(folder):
        names = sorted(name for name in os.listdir(day) if _SEGMENT.fullmatch(name))
        for _, group in groupby(names, key=lambda name: name.partition(".")[0]):
            paths = tuple(day / name for name in group)
            with suppress(FileNotFoundError):
                stats = [path.lstat() for path in paths]
                yield Segment(
                    paths=paths,
                    size=sum(stat.st_blocks * 512 for stat in stats),
                    ended_s=max(stat.st_mtime for stat in stats),
                )


def unfinished_parts(folder: Path) -> list[Path]:
    """The .part files in a directory; left by a crash, unless a recording is running."""
    return sorted(day / name for day in _day_dirs(folder) for name in os.listdir(day) if _PART.fullmatch(name))


def _disk_bytes(path: Path) -> int:
    """Bytes on disk; 0 for a file that was renamed meanwhile."""
    try:
        return path.lstat().st_blocks * 512
    except FileNotFoundError:
        return 0


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a directory, for users other than root."""
    return shutil.disk_usage(folder).free


def _day_dirs(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [Path(entry) for entry in entries if _DAY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]
