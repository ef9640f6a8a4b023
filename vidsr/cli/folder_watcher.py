"""The watcher of a folder: it upscales what is new and has stopped growing, and records what became of it."""

import argparse
import dataclasses
import errno
import json
import logging
import os
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vidsr.cli.batch import print_report, progress
from vidsr.cli.crash_guard import Journal, Outcome
from vidsr.cli.media_files import is_media, target_name
from vidsr.cli.options import settings
from vidsr.cli.output import print_message
from vidsr.cli.signals import GracefulStop
from vidsr.errors import BUG, SOURCE, TARGET, SourceError, Stopped, TargetError, VidsrError, exit_code
from vidsr.media.atomic_file import atomic_write, part_path
from vidsr.media.sink.segment_recovery import unused_path
from vidsr.report import Report
from vidsr.settings import UpscaleSettings, WatchSettings
from vidsr.watch import OF_THE_FILE, Entry, Settling, Stamp, WatchLog, scan, stamp_of

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 3
_PASSING = {
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOENT, errno.EROFS, errno.EACCES, errno.ENODEV,
    errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN,
}  # fmt: skip
"""Errors of a disk or a share that say nothing of the file."""

IDLE, _AT_WORK = "no file is in work", "the file in work is left for the next start"


@dataclass(frozen=True, kw_only=True)
class _Result:
    """What became of a file."""

    code: int
    sentence: str
    report: Report | None = None


class FolderWatcher:
    """One folder, its targets, and its log."""

    def __init__(
        self,
        args: argparse.Namespace,
        watch: WatchSettings,
        record: WatchLog,
        stop: GracefulStop,
        work: Callable[..., Report],
    ) -> None:
        self._args, self._watch, self._record, self._stop, self._work = args, watch, record, stop, work
        self._settings = settings(UpscaleSettings, args)
        self._journal: Journal = args.journal
        self._source: Path = args.source
        self._target: Path = args.target
        self._done, self._failed = (Path(name) if name else None for name in (watch.done, watch.failed))
        self._settling = Settling(watch.settle_s, log.warning)
        self._waits_for: set[str] = set()
        self._refused: dict[Path, Stamp] = {}
        """The files that failed for a reason outside themselves, to be tried at the next start."""

    def note_crashes(self) -> None:
        """Record the files that ended an earlier process of this run."""
        for target, outcome in self._journal.outcomes.items():
            path = Path(outcome.source)
            if outcome.code and (stamp := stamp_of(path)) and not self._record.knows(self._name(path), stamp):
                result = _Result(code=outcome.code, sentence=outcome.sentence)
                self._end(path, replace(self._entry(path, stamp, Path(target)), code=result.code), result)

    def look(self) -> None:
        """Upscale what is new and has stopped growing."""
        try:
            files = scan(self._source, is_media, self._excluded())
        except OSError as error:
            self._wait_for(f"{self._source}: {error.strerror}")
            return
        for path in self._settling.settled(files, time.monotonic()):
            if not self._record.is_there():
                self._wait_for(f"{self._target}: is not there any more")
                return
            # The file before it may have taken hours.
            known = self._record.knows(self._name(path), files[path]) or self._refused.get(path) == files[path]
            if known or stamp_of(path) != files[path]:
                continue
            try:
                if self._stop() or not self._upscale(path, files[path]):
                    return
            except TargetError as error:  # the log cannot be written
                self._wait_for(str(error))
                return
        self._waits_for.clear()

    def _excluded(self) -> tuple[Path, ...]:
        """The folders below the watched one that are written into."""
        own = [path.resolve() for path in (self._target, self._done, self._failed) if path]
        source = self._source.resolve()
        return tuple(self._source / path.relative_to(source) for path in own if path.is_relative_to(source))

    def _upscale(self, path: Path, stamp: Stamp) -> bool:
        """Upscale a file; False to look again later: at a stop, and where the disk of the targets is to blame."""
        name, target = self._name(path), self._target_of(path)
        before = self._record.last(name)
        attempt, there = self._record.attempts(name, stamp) + 1, os.path.exists(target)
        begun = self._entry(path, stamp, target, attempt=attempt)
        if attempt > _MAX_ATTEMPTS:
            result = _Result(code=SOURCE, sentence=f"{path}: has ended the process {_MAX_ATTEMPTS} times")
        elif there and not (self._settings.overwrite or self._record.has_made(name, self._target_name(target))):
            result = _Result(code=TARGET, sentence=f"{target}: exists already, and is not of this source")
        else:
            begun = replace(begun, replaces=there)
            try:
                self._record.add(begun)
                result = self._attempt(path, target, overwrite=there)
            except Stopped:
                self._record.add(replace(begun, attempt=0))
                return False
            except (OSError, VidsrError) as error:
                self._wait_for(str(error))
                self._record.add(replace(begun, attempt=0))
                return isinstance(error, SourceError)
        if not result.report:
            print_message(result.sentence)
        ended = replace(begun, code=result.code, sentence=result.sentence)
        self._end(path, ended, result, is_known=before is not None and _has_same_end(before, ended))
        return True

    def _attempt(self, path: Path, target: Path, *, overwrite: bool) -> _Result:
        """What becomes of a file. Raises Stopped, and errors of disks and shares that may pass."""

        def should_stop() -> bool:
            if self._stop():
                raise Stopped
            return False

        chosen = replace(self._settings, overwrite=overwrite)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._journal.begin(path, target, part_path(target))
        self._stop.promise = _AT_WORK
        try:
            with progress(path, self._args) as on_progress:
                report = self._work(path, target, settings=chosen, on_progress=on_progress, should_stop=should_stop)
            result = _Result(code=print_report(report, self._args), sentence="; ".join(report.damage), report=report)
        except VidsrError as error:
            if getattr(error.__cause__, "errno", None) in _PASSING:
                raise
            result = _Result(code=exit_code(error), sentence=str(error))
        except (Stopped, OSError):
            raise
        except Exception as error:
            traceback.print_exc()
            result = _Result(code=BUG, sentence=f"{path}: {type(error).__name__}: {error}")
        finally:
            self._stop.promise = IDLE
            self._journal.end(target, Outcome(source=str(path), code=0))
        return result

    def _end(self, path: Path, ended: Entry, result: _Result, *, is_known: bool = False) -> None:
        """Record what became of a file, write the report of a failure, and move the source if that lies in it.

        A failure that is known from an earlier start has a report already.
        """
        self._record.add(ended)
        stays = result.code not in (0, *OF_THE_FILE)
        if stays:
            self._refused[path] = ended.stamp
        folder = self._failed if result.code else self._done
        relative = path.relative_to(self._source)
        try:
            if result.code and not is_known:
                _write_report((folder or self._target / "failed") / relative, path, result)
            if folder and not stays:
                place = folder / relative
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(path, unused_path(place))
        except (OSError, VidsrError) as error:
            print_message(f"{path}: cannot be moved, or its report not be written: {error}")

    def _wait_for(self, sentence: str) -> None:
        """Say once what is waited for."""
        if sentence not in self._waits_for:
            print_message(f"{sentence}; tried again every {self._watch.interval_s:g} s")
            self._waits_for.add(sentence)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._source))

    def _target_name(self, target: Path) -> str:
        return str(target.relative_to(self._target))

    def _target_of(self, path: Path) -> Path:
        usual = (self._target / path.relative_to(self._source)).with_name(target_name(path))
        if self._record.is_taken(self._name(path), self._target_name(usual)):
            return usual.with_name(f"{path.name}{usual.suffix}")
        return usual

    def _entry(self, path: Path, stamp: Stamp, target: Path, *, attempt: int = 1) -> Entry:
        return Entry(
            source=self._name(path),
            size=stamp.size,
            mtime_ns=stamp.mtime_ns,
            target=self._target_name(target),
            attempt=attempt,
        )


def _has_same_end(before: Entry, ended: Entry) -> bool:
    """Whether the same content of a source failed before, and of the same."""
    return (before.stamp, before.code, before.sentence) == (ended.stamp, ended.code, ended.sentence)


def _write_report(place: Path, source: Path, result: _Result) -> None:
    """Write a report beside the `place` of a source that has failed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    facts = {"source": str(source), "code": result.code, "sentence": result.sentence}
    facts |= {"report": dataclasses.asdict(result.report)} if result.report else {}
    with atomic_write(unused_path(place.with_name(f"{place.name}.json"))) as file:
        file.write(json.dumps(facts, indent=2, default=str).encode() + b"\n")
