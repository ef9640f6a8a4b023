"""What of a folder of segments must go, by age, by size, and for room on the disk."""

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
class Kept:
    """A segment that is done, with its original if it has one."""

    paths: tuple[Path, ...]
    size: int
    """Bytes of all."""
    ended_s: float
    """When it was written last, by the clock of the file system."""


def doomed(kept: Iterable[Kept], *, growing: int, free: int, now_s: float, record: RecordSettings) -> Iterator[Kept]:
    """The segments that must go, oldest first, where so many bytes are `free`, and those that are open have others."""
    oldest_first = sorted(kept, key=lambda segment: segment.ended_s)
    total = growing + sum(segment.size for segment in oldest_first)
    for segment in oldest_first:
        aged = record.keep_days is not None and now_s - segment.ended_s > record.keep_days * _DAY_S
        many = record.keep_gb is not None and total > record.keep_gb * _GB
        if not (aged or many or free < record.min_free_gb * _GB):
            return
        yield segment
        total -= segment.size
        free += segment.size


def sweep(folder: Path, *, now_s: float, record: RecordSettings) -> int:
    """How many segments were deleted. Only what is named as segments are is looked at; empty days go, too."""
    gone, growing = 0, sum(_bytes(path) for path in left_parts(folder))
    for segment in doomed(segments(folder), growing=growing, free=free_bytes(folder), now_s=now_s, record=record):
        for path in segment.paths:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # as long as the day has others
            segment.paths[0].parent.rmdir()
        gone += 1
    return gone


def segments(folder: Path) -> Iterator[Kept]:
    """The segments in a folder that are done."""
    for day in _days(folder):
        names = sorted(name for name in os.listdir(day) if _SEGMENT.fullmatch(name))
        for _, group in groupby(names, key=lambda name: name.partition(".")[0]):
            paths = tuple(day / name for name in group)
            with suppress(FileNotFoundError):
                stats = [path.lstat() for path in paths]
                yield Kept(
                    paths=paths,
                    size=sum(stat.st_blocks * 512 for stat in stats),
                    ended_s=max(stat.st_mtime for stat in stats),
                )


def left_parts(folder: Path) -> list[Path]:
    """The files that are unfinished: by a crash, as long as nothing is recorded here."""
    return sorted(day / name for day in _days(folder) for name in os.listdir(day) if _PART.fullmatch(name))


def _bytes(path: Path) -> int:
    """What a file takes of the disk; nothing where it has its name by now."""
    try:
        return path.lstat().st_blocks * 512
    except FileNotFoundError:
        return 0


def free_bytes(folder: Path) -> int:
    """What is free on the disk of a folder, for those who are not root."""
    return shutil.disk_usage(folder).free


def _days(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [Path(entry) for entry in entries if _DAY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]
