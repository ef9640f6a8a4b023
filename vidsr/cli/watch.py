"""Upscale each new file of a folder into another folder, until stopped.

  vidsr watch incoming/ upscaled/
  vidsr watch --done archive/ --failed failed/ --codec libx265 /mnt/nas/in /mnt/nas/out

A file is read when it has stopped growing; folders in the folder are watched, too. The log `.vidsr-watch.jsonl` in the
folder of the targets says what is done: after a restart no file is upscaled twice, and one that was interrupted is
upscaled anew. A share that is not there, or a full disk, is waited for. SIGTERM and Ctrl-C end it with exit code 0.
"""

import argparse
import dataclasses
import errno
import json
import logging
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vidsr.cli.crash_guard import Journal, Outcome
from vidsr.cli.media_files import is_media, target_name
from vidsr.cli.options import Parser, add_options, settings
from vidsr.cli.output import UsageError, print_message
from vidsr.cli.signals import GracefulStop
from vidsr.cli.upscale import add_progress, add_settings, print_report, progress
from vidsr.errors import BUG, SOURCE, TARGET, SourceError, Stopped, VidsrError, exit_code
from vidsr.media.atomic_file import atomic_write, part_path
from vidsr.media.sink.segment_file import unused_path
from vidsr.pipeline import upscale
from vidsr.report import Report
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings, WatchSettings
from vidsr.watch import Entry, Settling, Stamp, WatchLog, scan, stamp_of

log = logging.getLogger(__name__)

_NAP_S = 0.2  # until a signal is seen
_MAX_ATTEMPTS = 3
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
    for folder in (args.source, args.target, *map(Path, filter(None, (watch.done, watch.failed)))):
        if not folder.is_dir():
            raise UsageError(f"{folder}: is no folder")
    if args.source.resolve() == args.target.resolve():
        raise UsageError(f"{args.target}: is the watched folder itself")
    work = partial(
        upscale, encode=settings(EncodeSettings, args), pool=settings(PoolSettings, args), on_warning=log.warning
    )
    with WatchLog(args.target) as record, GracefulStop("the file in work is left for the next start") as stop:
        watcher = _Watcher(args, watch, record, stop, work)
        watcher.note_crashes()
        while not stop():
            watcher.look()
            until_s = time.monotonic() + watch.interval_s
            while not stop() and time.monotonic() < until_s:
                time.sleep(min(_NAP_S, watch.interval_s))
    return 0


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

    def note_crashes(self) -> None:
        """Record the files that ended an earlier process of this run."""
        for target, outcome in self._journal.outcomes.items():
            path = Path(outcome.source)
            if outcome.code and (stamp := stamp_of(path)) and not self._record.knows(self._name(path), stamp):
                self._end(path, stamp, Path(target), _Result(code=outcome.code, sentence=outcome.sentence))

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
            if self._record.knows(self._name(path), files[path]) or stamp_of(path) != files[path]:
                continue
            if self._stop() or not self._upscale(path, files[path]):
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
        attempt, there = self._record.attempts(name, stamp) + 1, target.exists()
        if attempt > _MAX_ATTEMPTS:
            result = _Result(code=SOURCE, sentence=f"{path}: has ended the process {_MAX_ATTEMPTS} times")
        elif there and not (self._settings.overwrite or self._record.has_made(name, self._target_name(target))):
            result = _Result(code=TARGET, sentence=f"{target}: exists already, and is not of this source")
        else:
            begun = self._entry(path, stamp, target, attempt=attempt, replaces=there)
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
        self._end(path, stamp, target, result)
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
            self._journal.end(target, Outcome(source=str(path), code=0))
        return result

    def _end(self, path: Path, stamp: Stamp, target: Path, result: _Result) -> None:
        """Record what became of a file, write the report of a failure, and move the source."""
        self._record.add(self._entry(path, stamp, target, code=result.code))
        folder = self._failed if result.code else self._done
        relative = path.relative_to(self._source)
        try:
            if result.code:
                _write_report((folder or self._target / "failed") / relative, path, result)
            if folder:
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

    def _entry(
        self,
        path: Path,
        stamp: Stamp,
        target: Path,
        *,
        code: int | None = None,
        attempt: int = 1,
        replaces: bool = False,
    ) -> Entry:
        return Entry(
            source=self._name(path),
            size=stamp.size,
            mtime_ns=stamp.mtime_ns,
            target=self._target_name(target),
            code=code,
            attempt=attempt,
            replaces=replaces,
        )


def _write_report(place: Path, source: Path, result: _Result) -> None:
    """Write a report beside the `place` of a source that has failed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    facts = {"source": str(source), "code": result.code, "sentence": result.sentence}
    facts |= {"report": dataclasses.asdict(result.report)} if result.report else {}
    with atomic_write(unused_path(place.with_name(f"{place.name}.json"))) as file:
        file.write(json.dumps(facts, indent=2, default=str).encode() + b"\n")
