"""The files of `vidsr upscale`, one or many: what becomes of each, and of all."""

import argparse
import errno
import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from vidsr.batch import BatchRecord, run_batch
from vidsr.callbacks import OnProgress
from vidsr.cli.batch_progress import BatchProgress
from vidsr.cli.crash_guard import Journal, Outcome
from vidsr.cli.json_progress import json_progress
from vidsr.cli.output import print_line, print_message, progress_bar
from vidsr.cli.signals import GracefulStop
from vidsr.errors import BUG, DAMAGED, STOPPED, Stopped, TargetError, VidsrError, exit_code
from vidsr.media.atomic_file import atomic_write, part_path
from vidsr.media.pipes import STDOUT
from vidsr.pipeline import upscale_job
from vidsr.pool.shared_pools import SharedPools
from vidsr.report import Report
from vidsr.segments.plan import NotSegmentable
from vidsr.upscale_job import UpscaleJob

_MOST_LISTED = 100
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class Batch:
    """The jobs of one command."""

    def __init__(
        self, jobs: Sequence[UpscaleJob], pools: SharedPools, args: argparse.Namespace, stop: GracefulStop
    ) -> None:
        self._jobs, self._pools, self._args, self._stop = jobs, pools, args, stop
        self._journal: Journal = args.journal
        self._alone = len(jobs) == 1
        recorded = os.path.isdir(args.target) and (args.resume or not self._alone)
        self._record = BatchRecord(args.target, pools.settings) if recorded else None
        self._all: BatchProgress | None = None
        self._doubts: dict[Path, str] = {}
        """Why the record of a target is not believed."""
        self._full = False
        """Whether the disk of the targets is full: what would come after this would be done in vain."""

    def run(self) -> int:
        """Upscale all; the exit code is that of the only one, or 7 where some of several failed."""
        done = self._journal.outcomes  # by an earlier process, which a file has crashed
        pending = [self._pending(job) for job in self._jobs if str(job.target) not in done]
        left = [job for job in pending if job]
        if not self._alone:
            self._all = BatchProgress(left, kind=self._args.progress, quiet=self._args.quiet)
        with self._all or nullcontext():
            run_batch(left, self._pools, self._work, should_stop=self._should_stop, alone=self._journal.suspects)
        return self._summary()

    def _should_stop(self) -> bool:
        return self._full or self._stop()

    def _pending(self, job: UpscaleJob) -> UpscaleJob | None:
        """The job as it is to be done: a stopped target is replaced. None where an earlier run has finished it."""
        if not self._args.resume or self._record is None or not (entry := self._record.get(job)):
            return job
        if (doubt := self._record.doubt(job, entry)) is not None:
            self._doubts[job.target] = doubt
            return job
        if entry.code >= STOPPED:
            return replace(job, settings=replace(job.settings, overwrite=True))
        self._print_json({"source": job.source, "target": job.target, "code": entry.code, "skipped": True})
        self._journal.end(job.target, Outcome(source=str(job.source), code=entry.code, sentence=entry.sentence))
        return None

    def _work(self, job: UpscaleJob) -> None:
        """Upscale a file, and note what became of it. Raises NotSegmentable for one to come once more."""
        self._journal.begin(job.source, job.target, part_path(job.target))
        try:
            outcome = self._outcome(job)
        except NotSegmentable:
            self._journal.put_off(job.target)
            raise
        self._journal.end(job.target, outcome)
        if self._all:
            self._all.end(job.source, failed=outcome.code != 0)

    def _outcome(self, job: UpscaleJob) -> Outcome:
        """Upscale one file, and say what became of it; among several even a bug costs only that file."""
        source, target = job.source, job.target
        try:
            report = self._report(job)
        except NotSegmentable:
            raise
        except Stopped as stopped:
            sentence = f"{target}: stopped; {stopped}, and the same command goes on"
            print_message(sentence)
            return Outcome(source=str(source), code=STOPPED + self._stop.signal, sentence=sentence)
        except VidsrError as error:
            self._full |= isinstance(error.__cause__, OSError) and error.__cause__.errno in _DISK_FULL
            return self._failed(job, print_error(error, source, target, self._args, alone=self._alone))
        except Exception as error:
            if self._alone:
                raise
            traceback.print_exc()
            sentence = f"{source}: {type(error).__name__}: {error}"
            return self._failed(job, Outcome(source=str(source), code=BUG, sentence=sentence))
        code, facts = print_report(report, self._args), report.damage
        if report.stopped:
            code, facts = STOPPED + self._stop.signal, [*facts, "was stopped before its end"]
        outcome = Outcome(source=str(source), code=code, sentence=f"{source}: {'; '.join(facts)}")
        if self._record:
            self._record.add(job, outcome.code, outcome.sentence)
        return outcome

    def _report(self, job: UpscaleJob) -> Report:
        if job.target != self._args.target:
            make_folder(job.target.parent)
        if (doubt := self._doubts.get(job.target)) and not job.settings.overwrite:
            raise TargetError(f"{job.target}: exists already, and {doubt} (--overwrite replaces it)")
        with self._all.file(job.source) if self._all else progress(job.source, self._args) as on_progress:
            return upscale_job(replace(job, on_progress=on_progress), self._pools)

    def _failed(self, job: UpscaleJob, outcome: Outcome) -> Outcome:
        if not self._alone:
            error = {"source": job.source, "target": job.target, "code": outcome.code, "error": outcome.sentence}
            self._print_json(error)
        return outcome

    def _print_json(self, facts: dict[str, object]) -> None:
        if self._args.json:
            print(json.dumps(facts, default=str), flush=True)

    def _summary(self) -> int:
        """The exit code, after the list of what failed or was stopped."""
        outcomes = self._journal.outcomes
        failed = {target: outcome for target, outcome in outcomes.items() if outcome.code}
        if self._args.failed_list:
            self._write_list(failed)
        if failed and not self._alone and not self._args.quiet:
            stopped = any(outcome.code >= STOPPED for outcome in failed.values())
            what = "failed, are damaged or were stopped" if stopped else "failed or are damaged"
            print_message(f"{len(failed)} of {len(self._jobs)} files {what}:")
            for outcome in list(failed.values())[:_MOST_LISTED]:
                print_message(f"  exit code {outcome.code}: {outcome.sentence}")
            if len(failed) > _MOST_LISTED:
                print_message(f"  and {len(failed) - _MOST_LISTED} more; --failed FILE lists all of them")
        if (left := len(self._jobs) - len(outcomes)) and not self._alone:
            because = "" if self._stop() else ", since the disk is full"
            print_message(f"{left} files were not begun{because}; --resume goes on with them")
        if self._stop():
            return STOPPED + self._stop.signal
        codes = [outcome.code for outcome in outcomes.values() if outcome.code < STOPPED]
        return DAMAGED if failed and 0 in codes else next(iter(codes), 0)

    def _write_list(self, failed: dict[str, Outcome]) -> None:
        lines = [json.dumps({"target": target, **asdict(outcome)}) + "\n" for target, outcome in failed.items()]
        with atomic_write(self._args.failed_list, overwrite=True) as file:
            file.write("".join(lines).encode())


def progress(source: Path, args: argparse.Namespace) -> AbstractContextManager[OnProgress]:
    """The callback that shows how far a file is."""
    if args.progress == "json":
        return json_progress(source)
    return progress_bar(source.name, "frames", quiet=args.quiet)


def print_error(error: VidsrError, source: Path, target: Path, args: argparse.Namespace, *, alone: bool) -> Outcome:
    """Say what a file failed of; among several the sentence names it."""
    named = alone or str(source) in str(error) or str(target) in str(error)
    sentence = str(error) if named else f"{source}: {error}"
    print_message(sentence, because=error.__cause__ if args.verbose else None)
    return Outcome(source=str(source), code=exit_code(error), sentence=sentence)


def print_report(report: Report, args: argparse.Namespace) -> int:
    """Print the report: JSON to stdout, the rest to stderr. The exit code of a completed run."""
    if args.json:
        text = json.dumps(asdict(report), default=str)
        print(text, flush=True, file=sys.stderr if report.target == STDOUT else sys.stdout)
    if not args.quiet:
        print_line("\n".join(report.lines()))
    if report.stopped:
        print_message(f"{report.target}: stopped before the end; the frames up to there are complete")
    for sentence in report.damage:
        print_message(f"{report.source}: {sentence}")
    return DAMAGED if report.damage else 0


def make_folder(folder: Path) -> None:
    """Make a folder of a target. Raises TargetError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(f"{folder}: {error.strerror}") from error
