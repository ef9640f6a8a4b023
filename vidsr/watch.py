"""A watched folder: which files are there and have stopped growing, and a log of those that were upscaled.

Polling, since a network share reports no changes.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from vidsr.callbacks import OnWarning
from vidsr.errors import BUG, DAMAGED, SOURCE, TargetError
from vidsr.file_lock import try_lock
from vidsr.json_files import add_line, parse_lines

LOG_NAME = ".vidsr-watch.jsonl"
OF_THE_FILE = (SOURCE, DAMAGED, BUG)
"""The exit codes of failures that the same file would meet again; others come of the options, the target, the pool."""
_GROWING_FACTOR = 60  # times the settling time after which a file that goes on growing is reported


@dataclass(frozen=True)
class Stamp:
    """What tells one content of a file from another."""

    size: int
    mtime_ns: int


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a file; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns)


def scan(folder: Path, is_wanted: Callable[[Path], bool], excluded: tuple[Path, ...]) -> dict[Path, Stamp]:
    """The wanted files below a folder, without hidden and `excluded` ones. Raises OSError if it is not there."""
    found: dict[Path, Stamp] = {}
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if name.startswith(".") or path in excluded:
            continue
        try:
            if path.is_dir() and not path.is_symlink():
                found |= scan(path, is_wanted, excluded)
            elif path.is_file() and is_wanted(path) and (stamp := stamp_of(path)):
                found[path] = stamp
        except OSError:  # it has vanished meanwhile
            continue
    return found


class Settling:
    """Finds the files that have kept their stamp for `settle_s`; `on_warning` receives those that grow for long."""

    def __init__(self, settle_s: float, on_warning: OnWarning) -> None:
        self._settle_s, self._on_warning = settle_s, on_warning
        self._since: dict[Path, tuple[Stamp, float, float]] = {}
        """By file: its stamp, since when it has it, and since when it is known, inf once that was reported."""

    def settled(self, files: dict[Path, Stamp], now_s: float) -> Iterator[Path]:
        """The files that have stopped growing, in order; to be called at each look."""
        self._since = {path: known for path, known in self._since.items() if path in files}
        for path, stamp in files.items():
            before, changed_s, first_s = self._since.get(path, (stamp, now_s, now_s))
            if before != stamp:
                changed_s = now_s
                if now_s - first_s > _GROWING_FACTOR * self._settle_s:
                    self._on_warning(f"{path}: has been growing for {now_s - first_s:.0f} s; it waits until it ends")
                    first_s = float("inf")
            self._since[path] = (stamp, changed_s, first_s)
            if now_s - changed_s >= self._settle_s and stamp.size:
                yield path


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the log: what became of a source."""

    source: str
    size: int
    mtime_ns: int
    target: str
    code: int | None = None
    """The exit code; None while it is upscaled."""
    attempt: int = 1
    """How often this content of the source was begun without an end; 0 after a stop in order."""
    replaces: bool = False
    """Whether it takes the place of a target that was there before."""
    sentence: str = ""
    """What it failed of."""

    @property
    def stamp(self) -> Stamp:
        """Of the source."""
        return Stamp(self.size, self.mtime_ns)


class WatchLog:
    """The log of a watched folder, in the folder of its targets: a line per event, each on the disk before the next.

    Closed by `with`. Raises TargetError where it cannot be written, or another process has it open.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, path = folder, folder / LOG_NAME
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}") from error
        if not try_lock(self._file):
            self._file.close()
            raise TargetError(f"{folder}: another `vidsr watch` writes into this folder")
        try:
            self._entries = {entry.source: entry for entry in self._read()}
        except OSError as error:
            self._file.close()
            raise TargetError(f"{path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def knows(self, source: str, stamp: Stamp) -> bool:
        """Whether this content of a source has been upscaled, or has failed for what is in it."""
        entry = self._entries.get(source)
        if entry is None or entry.stamp != stamp:
            return False
        if entry.code is not None:
            return entry.code in (0, *OF_THE_FILE)
        # Interrupted between the target, which appears complete, and the line that says so.
        return not entry.replaces and os.path.exists(self._folder / entry.target)

    def last(self, source: str) -> Entry | None:
        """The last entry of a source."""
        return self._entries.get(source)

    def attempts(self, source: str, stamp: Stamp) -> int:
        """How often this content of a source was begun, and the process ended without a word."""
        entry = self._entries.get(source)
        return entry.attempt if entry and entry.stamp == stamp and entry.code is None else 0

    def has_made(self, source: str, target: str) -> bool:
        """Whether the target that is there was made of this source, in an earlier content."""
        entry = self._entries.get(source)
        return entry is not None and entry.target == target and (entry.code in (0, DAMAGED) or entry.replaces)

    def is_there(self) -> bool:
        """Whether the folder still has the log: a share may be gone."""
        return os.path.exists(self._folder / LOG_NAME)

    def is_taken(self, source: str, target: str) -> bool:
        """Whether the target is of another source."""
        return any(entry.target == target and entry.source != source for entry in self._entries.values())

    def add(self, entry: Entry) -> None:
        """Write a line. Raises TargetError."""
        try:
            add_line(self._file, asdict(entry))
        except OSError as error:
            raise TargetError(f"{self._folder / LOG_NAME}: {error.strerror}") from error
        self._entries[entry.source] = entry

    def _read(self) -> Iterator[Entry]:
        self._file.seek(0)
        for values in parse_lines(self._file.read()):
            with suppress(TypeError):  # no line of the log
                yield Entry(**values)
