"""The index of a directory of segments, by time: a SQLite file beside them, which their files alone can restore."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import av

from vidsr.errors import SourceError
from vidsr.media.open_input import open_source
from vidsr.media.probe import printable, video_seconds
from vidsr.media.sink.retention import segment_files

_FILE = ".index.sqlite"
_TABLE = """CREATE TABLE IF NOT EXISTS segment (
    path TEXT PRIMARY KEY, mtime_ns INTEGER, size INTEGER,
    camera TEXT, start_s REAL, seconds REAL, original INTEGER)"""
_UNREAD = (0, 0)  # in place of the time and the size of an unreadable file, which is tried again
_BATCH = 256  # files between two commits: a first look at a large directory may be interrupted


@dataclass(frozen=True, kw_only=True)
class RecordedSegment:
    """A finished file of a recording."""

    path: Path
    camera: str
    start_s: float
    """Seconds since 1970."""
    seconds: float
    """0 for a damaged file that was never readable."""
    size: int
    """Bytes."""
    original: bool
    """Whether it holds the packets of the source."""


def parse_moment(text: str) -> float:
    """Seconds since 1970 of a local time; a time without a date is of today. Raises ValueError."""
    try:
        return datetime.fromisoformat(f"{datetime.now():%Y-%m-%d}T{text}" if "-" not in text else text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"a time must be like 14:02, 14:02:30 or 2026-10-25T14:02, not {text!r}") from None


class RecordingIndex:
    """The index of a directory, brought up to date when it is opened; closed by `with`.

    Where its file cannot be written or is damaged, the index is made in memory. Raises SourceError for a directory
    that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._name = folder, printable(folder.name)
        try:
            self._files = {path: stat for files in segment_files(folder) for path, stat in files.items()}
        except OSError as error:
            raise SourceError(f"{folder}: {error.strerror}") from error
        try:
            self._database = self._updated(folder / _FILE)
        except sqlite3.Error:
            self._database = self._updated(Path(":memory:"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def segments(self, since_s: float, until_s: float) -> Iterator[RecordedSegment]:
        """The segments, and their originals, with frames between these times, in order of time."""
        rows = self._database.execute(
            "SELECT path, camera, start_s, seconds, size, original FROM segment "
            "WHERE start_s < ? AND start_s + seconds > ? ORDER BY start_s, path",
            (until_s, since_s),
        )
        for path, camera, start_s, seconds, size, original in rows:
            yield RecordedSegment(
                path=self._folder / path,
                camera=camera,
                start_s=start_s,
                seconds=seconds,
                size=size,
                original=bool(original),
            )

    def cameras(self) -> set[str]:
        """The names of the cameras, at any time."""
        return {name for (name,) in self._database.execute("SELECT DISTINCT camera FROM segment")}

    def _updated(self, path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path, timeout=30)
        try:
            with database:
                database.execute(_TABLE)
                known = {row[0]: row[1:] for row in database.execute("SELECT path, mtime_ns, size FROM segment")}
                found = {str(path.relative_to(self._folder)): stat for path, stat in self._files.items()}
                gone = [(name,) for name in known if name not in found]
                database.executemany("DELETE FROM segment WHERE path = ?", gone)
                changed = [name for name, stat in found.items() if known.get(name) != (stat.st_mtime_ns, stat.st_size)]
                for number, name in enumerate(changed, 1):
                    stat = found[name]
                    state = stat.st_mtime_ns, stat.st_size
                    facts = self._facts(self._folder / name, stat.st_mtime)
                    if facts or name not in known:
                        row = (name, *(state if facts else _UNREAD), *(facts or self._facts_of_name(Path(name))))
                        database.execute("INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                    if number % _BATCH == 0:
                        database.commit()
        except BaseException:
            database.close()
            raise
        return database

    def _facts(self, path: Path, ended_s: float) -> tuple[str, float, float, bool] | None:
        """The camera, the start, the length, and whether it is an original; None for an unreadable file."""
        try:
            with open_source(path) as container:
                video, tags = container.streams.video[0], container.metadata
                seconds = video_seconds(container, video)
        except (SourceError, av.FFmpegError, IndexError, OSError):
            return None
        tags = {name.lower(): printable(text) for name, text in tags.items()}
        try:
            start_s = datetime.fromisoformat(tags.get("date") or tags["creation_time"]).timestamp()
        except (KeyError, ValueError):  # of an earlier version
            start_s = ended_s - seconds
        return tags.get("title", self._name), start_s, seconds, ".original" in path.name

    def _facts_of_name(self, path: Path) -> tuple[str, float, float, bool]:
        """As `_facts`, of an unreadable file: its name tells when it began."""
        clock = path.name.replace("B", "")[:8]
        start = datetime.strptime(f"{path.parent.name} {clock}", "%Y-%m-%d %H-%M-%S")
        return self._name, start.replace(fold="B" in path.name).timestamp(), 0.0, ".original" in path.name
