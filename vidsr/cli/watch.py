"""Upscale each new file of a folder into another folder, until stopped.

  vidsr watch incoming/ upscaled/
  vidsr watch --done archive/ --failed failed/ --codec libx265 /mnt/nas/in /mnt/nas/out

A file is read when it has stopped growing; folders in the folder are watched, too. The log `.vidsr-watch.jsonl` in the
folder of the targets says what is done: after a restart no file is upscaled twice, and one that was interrupted is
upscaled anew, as is one that failed for what is not in it. A share that is not there, or a full disk, is waited for.
SIGTERM and Ctrl-C end it with exit code 0.
"""

import argparse
import dataclasses
import errno
import json
import logging
import os
import shutil
import stat
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vidsr.cli.batch import print_report, progress
from vidsr.cli.crash_guard import Journal, Outcome
from vidsr.cli.media_files import is_media, target_name
from vidsr.cli.options import Parser, add_options, settings
from vidsr.cli.output import UsageError, print_message
from vidsr.cli.signals import GracefulStop
from vidsr.cli.upscale import add_progress, add_settings
from vidsr.engine.precision import check_precision
from vidsr.errors import BUG, SOURCE, TARGET, SourceError, Stopped, TargetError, VidsrError, exit_code
from vidsr.media.atomic_file import atomic_write, part_path
from vidsr.media.encoders import check_settings
from vidsr.media.open_input import FORMATS
from vidsr.media.sink.segment_file import unused_path
from vidsr.model.weights import with_strength
from vidsr.model.zoo import load_model
from vidsr.model_selection import AUTO
from vidsr.pipeline import upscale
from vidsr.report import Report
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings, WatchSettings
from vidsr.watch import OF_THE_FILE, Entry, Settling, Stamp, WatchLog, scan, stamp_of

log = logging.getLogger(__name__)

_NAP_S = 0.2  # until a signal is seen
_MAX_ATTEMPTS = 3
_IDLE, _AT_WORK = "no file is in work", "the file in work is left for the next start"
_PASSING = {
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOENT, errno.EROFS, errno.EACCES, errno.ENODEV,
    errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN,
}  # fmt: skip
"""Errors of a disk or a share that say nothing of the file."""


@dataclass(frozen=True, kw_only=True)
class _Result:
    """What became of a file."""

    code: int
    sentence: str
    report: Report | None = None


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.usage = "vidsr watch [options] SOURCE TARGET"
    parser.add_argument("source", metavar="SOURCE", type=Path, help="the folder to watch")
    parser.add_argument("target", metavar="TARGET", type=Path, help="the folder to write into")
    add_options(parser.add_argument_group("watching"), WatchSettings)
    add_settings(parser)
    add_progress(parser)


def run(args: argparse.Namespace) -> int:
    """Watch until a signal arrives."""
    watch = settings(WatchSettings, args)
    _check_folders(args.source, (args.target, *map(Path, filter(None, (watch.done, watch.failed)))))
    encode, pool = settings(EncodeSettings, args), settings(PoolSettings, args)
    _check_options(settings(UpscaleSettings, args), encode, pool)
    work = partial(upscale, encode=encode, pool=pool, on_warning=log.warning)
    with WatchLog(args.target) as record, GracefulStop(_IDLE) as stop:
        watcher = _Watcher(args, watch, record, stop, work)
        watcher.note_crashes()
        while not stop():
            watcher.look()
            until_s = time.monotonic() + watch.interval_s
            while not stop() and time.monotonic() < until_s:
                time.sleep(min(_NAP_S, watch.interval_s))
    return 0


def _check_folders(source: Path, written: tuple[Path, ...]) -> None:
    """Raises UsageError for what is no folder, and where what is written could lie in the watched folder as if new."""
    for folder in (source, *written):
        try:
            is_folder = stat.S_ISDIR(folder.stat().st_mode)
        except OSError as error:
            missing = "there is no such folder; make it, or mount the share that it is on"
            what = missing if isinstance(error, FileNotFoundError) else error.strerror
            raise UsageError(f"{folder}: {what}") from error
        if not is_folder:
            raise UsageError(f"{folder}: is no folder")
    for folder in written:
        if source.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"{folder}: is the watched folder itself, or holds it; choose a folder apart from it")


def _check_options(chosen: UpscaleSettings, encode: EncodeSettings, pool: PoolSettings) -> None:
    """Raises UsageError, TargetError or ModelError for options with which every file would fail."""
    if chosen.output_format:
        raise UsageError("--output-format is for a target of -, not for files")
    if chosen.input_format not in (None, *FORMATS):
        raise UsageError(f"--input-format: no format is named {chosen.input_format!r}")
    check_settings(encode)
    if chosen.model != AUTO:
        weights = with_strength(load_model(chosen.model, chosen.scale), chosen.strength)
        check_precision(pool.precision, weights)


class _Watcher:
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
        """The files that failed for what is not in them, to be tried at the next start."""

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
            self._stop.promise = _IDLE
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
