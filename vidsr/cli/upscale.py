"""Upscale videos with a small neural network; audio, subtitles and timing are kept.

  vidsr upscale holiday.mp4 holiday-2x.mp4
  vidsr upscale --to 1080p --codec libx265 old/*.avi new/
  vidsr upscale --estimate film.mkv film-2x.mkv
  ffmpeg -i film.mkv -f yuv4mpegpipe - | vidsr upscale - - | ffmpeg -i - film-2x.mkv

Several sources, or a folder of them, go into a folder, each under its own name. - is standard input (yuv4mpegpipe, or
any container that needs no seeking) or standard output (see --output-format). The frames have standard output to
themselves: the report, also that of --json, is then on stderr.
"""

import argparse
import dataclasses
import json
import logging
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from vidsr.callbacks import OnProgress
from vidsr.cli.crash_guard import Outcome
from vidsr.cli.json_progress import json_progress
from vidsr.cli.media_files import is_media, target_name
from vidsr.cli.options import Parser, add_options, settings
from vidsr.cli.output import UsageError, print_line, print_message, progress_bar
from vidsr.cli.signals import GracefulStop
from vidsr.errors import BUG, DAMAGED, STOPPED, SourceError, Stopped, TargetError, VidsrError, exit_code
from vidsr.estimate import estimate
from vidsr.media.atomic_file import part_path
from vidsr.media.containers import image_codec_for
from vidsr.media.pipes import STDIN, STDOUT
from vidsr.pipeline import upscale
from vidsr.report import Report
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

log = logging.getLogger(__name__)


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.usage = "vidsr upscale [options] SOURCE... TARGET"
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", type=_source, help="a video or an image, a folder of them, or -"
    )
    help_ = "the file to write, the folder to write into, or -"
    parser.add_argument("target", metavar="TARGET", type=_target, help=help_)
    add_settings(parser)
    group = add_progress(parser)
    help_ = "print what the videos would take, by a trial of a second each, and write nothing"
    group.add_argument("--estimate", action="store_true", help=help_)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a run: of the result, the speed and the encoding."""
    add_options(parser.add_argument_group("result"), UpscaleSettings)
    add_options(parser.add_argument_group("speed"), PoolSettings)
    add_options(parser.add_argument_group("encoding"), EncodeSettings)


def add_progress(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Declare the option of the progress; the group of it."""
    group = parser.add_argument_group("progress")
    help_ = "json: a line per second on stderr, for programs (default: bar, on a terminal)"
    group.add_argument("--progress", choices=("bar", "json"), default="bar", help=help_)
    return group


def _source(text: str) -> Path:
    return STDIN if text == "-" else Path(text)


def _target(text: str) -> Path:
    return STDOUT if text == "-" else Path(text)


def run(args: argparse.Namespace) -> int:
    """Upscale every source; the exit code is that of the first one that failed."""
    work = partial(
        upscale,
        settings=settings(UpscaleSettings, args),
        encode=settings(EncodeSettings, args),
        pool=settings(PoolSettings, args),
        on_warning=log.warning,
    )
    _check_pipes(args)
    jobs, journal = _jobs(args.sources, args.target), args.journal
    if args.estimate:
        return _print_estimates([job for job in jobs if image_codec_for(job[1]) is None], args)
    done = journal.outcomes  # by an earlier process, which a file has crashed
    promise = "what is finished is kept" if args.segments else "the file is being completed"
    with GracefulStop(promise, closes_input=STDIN in args.sources) as stop:
        for source, target in jobs:
            if str(target) in done:
                continue
            journal.begin(source, target, part_path(target))
            journal.end(target, _outcome(source, target, work, args, stop, alone=len(jobs) == 1))
            if stop():
                return STOPPED + stop.signal
    failed = [outcome for outcome in journal.outcomes.values() if outcome.code]
    if len(jobs) > 1 and failed and not args.quiet:
        print_message(f"{len(failed)} of {len(jobs)} files failed or are damaged:")
        for outcome in failed:
            print_message(f"  exit code {outcome.code}: {outcome.sentence}")
    return failed[0].code if failed else 0


def _outcome(
    source: Path,
    target: Path,
    work: Callable[..., Report],
    args: argparse.Namespace,
    stop: GracefulStop,
    *,
    alone: bool,
) -> Outcome:
    """Upscale one file, and say what became of it; among several even a bug costs only that file."""
    try:
        with progress(source, args) as on_progress:
            report = work(source, target, on_progress=on_progress, should_stop=stop)
    except Stopped as stopped:
        sentence = f"{target}: stopped; {stopped}, and the same command goes on"
        print_message(sentence)
        return Outcome(source=str(source), code=STOPPED + stop.signal, sentence=sentence)
    except VidsrError as error:
        return _print_error(error, source, target, args, alone=alone)
    except Exception as error:
        if alone:
            raise
        traceback.print_exc()
        return Outcome(source=str(source), code=BUG, sentence=f"{source}: {type(error).__name__}: {error}")
    code, damage = print_report(report, args), "; ".join(report.damage)
    return Outcome(source=str(source), code=code, sentence=f"{source}: {damage}")


def _print_error(error: VidsrError, source: Path, target: Path, args: argparse.Namespace, *, alone: bool) -> Outcome:
    """Say what a file failed of; among several the sentence names it."""
    named = alone or str(source) in str(error) or str(target) in str(error)
    sentence = str(error) if named else f"{source}: {error}"
    print_message(sentence, because=error.__cause__ if args.verbose else None)
    return Outcome(source=str(source), code=exit_code(error), sentence=sentence)


def _check_pipes(args: argparse.Namespace) -> None:
    """Raises UsageError for pipes that cannot work, TargetError for a standard output that is closed."""
    if STDIN in args.sources and (len(args.sources) > 1 or args.target.is_dir()):
        raise UsageError("- has no name; upscale it alone, into a file or into -")
    if STDIN in args.sources and args.estimate:
        raise UsageError("--estimate reads a second of the source, which a pipe gives only once")
    if STDIN in args.sources and sys.stdin.isatty():
        raise UsageError("- is a terminal; pipe a video into it")
    if args.target != STDOUT and args.output_format:
        raise UsageError("--output-format is for a target of -; what a file becomes follows from its name")
    if args.target != STDOUT or args.estimate:
        return
    if args.verify:
        raise UsageError("--verify reads the target back, which a pipe does not allow")
    if sys.stdout.isatty():
        raise UsageError("- is a terminal; pipe it into a program or a file")
    if getattr(sys.stdout, "name", "") == os.devnull:  # opened in place of one that was closed
        raise TargetError("standard output is closed")


def progress(source: Path, args: argparse.Namespace) -> AbstractContextManager[OnProgress]:
    """The callback that shows how far a file is."""
    if args.progress == "json":
        return json_progress(source)
    return progress_bar(source.name, "frames", quiet=args.quiet)


def _print_estimates(jobs: list[tuple[Path, Path]], args: argparse.Namespace) -> int:
    """Print what each video would take; the exit code is that of the first one that failed."""
    if not jobs:
        raise UsageError("--estimate is for videos")
    work = partial(
        estimate,
        settings=settings(UpscaleSettings, args),
        encode=settings(EncodeSettings, args),
        pool=settings(PoolSettings, args),
    )
    codes: list[int] = []
    with GracefulStop("the estimate ends here") as stop:
        for source, target in jobs:
            try:
                found = work(source, target, should_stop=stop)
            except VidsrError as error:
                codes.append(_print_error(error, source, target, args, alone=len(jobs) == 1).code)
                continue
            if stop():
                return STOPPED + stop.signal
            print(json.dumps(dataclasses.asdict(found), default=str) if args.json else "\n".join(found.lines()))
    return codes[0] if codes else 0


def _jobs(sources: list[Path], target: Path) -> list[tuple[Path, Path]]:
    """(source, target) of each file: one into one, or all into a folder under their own names."""
    if len(sources) == 1 and not sources[0].is_dir() and not target.is_dir():
        return [(sources[0], target)]
    if not target.is_dir():
        raise UsageError(f"{target}: is no folder; several sources, or a folder, need a folder as target")
    files = [file for source in sources for file in (_media_in(source) if source.is_dir() else [source])]
    names = Counter(map(target_name, files))
    jobs = [(file, target / target_name(file, whole=names[target_name(file)] > 1)) for file in files]
    if twice := [file for file, count in Counter(file for _, file in jobs).items() if count > 1]:
        raise UsageError(f"{twice[0]}: two sources have this target")
    return jobs


def _media_in(folder: Path) -> list[Path]:
    """The media files in a folder by their names, without hidden ones: a Mac keeps its own notes in those."""
    try:
        shown = [file for file in folder.iterdir() if not file.name.startswith(".")]
        files = sorted(file for file in shown if is_media(file) and (file.is_file() or not file.exists()))
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from error
    if folders := [file.name for file in shown if file.is_dir()]:
        log.warning("%s: the folders in it are passed over: %s", folder, ", ".join(sorted(folders)))
    if not files:
        raise UsageError(f"{folder}: no video and no image in this folder")
    return files


def print_report(report: Report, args: argparse.Namespace) -> int:
    """Print the report: JSON to stdout, the rest to stderr. The exit code of a completed run."""
    if args.json:
        text = json.dumps(dataclasses.asdict(report), default=str)
        print(text, flush=True, file=sys.stderr if report.target == STDOUT else sys.stdout)
    if not args.quiet:
        print_line("\n".join(report.lines()))
    if report.stopped:
        print_message(f"{report.target}: stopped before the end; the frames up to there are complete")
    for sentence in report.damage:
        print_message(f"{report.source}: {sentence}")
    return DAMAGED if report.damage else 0
