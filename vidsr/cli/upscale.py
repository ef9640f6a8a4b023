"""`vidsr upscale`: upscale videos and images."""

import argparse
import dataclasses
import json
import logging
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from vidsr.callbacks import OnProgress
from vidsr.cli.messages import UsageError, print_message
from vidsr.cli.options import Commands, Help, add_options, add_output, settings
from vidsr.cli.signals import GracefulStop
from vidsr.errors import DAMAGED, STOPPED, SourceError, VidsrError, exit_code
from vidsr.media.containers import (
    IMAGE_SUFFIXES,
    READ_ONLY_IMAGE_SUFFIXES,
    READ_ONLY_VIDEO_SUFFIXES,
    VIDEO_SUFFIXES,
)
from vidsr.pipeline import upscale
from vidsr.report import Report
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

log = logging.getLogger(__name__)

_EXAMPLE = """Upscale videos with a small neural network; audio, subtitles and timing are kept.

  vidsr upscale holiday.mp4 holiday-2x.mp4
  vidsr upscale --to 1080p --codec libx265 old/*.avi new/
"""
_WRITTEN = VIDEO_SUFFIXES | IMAGE_SUFFIXES
_BECOMES = dict.fromkeys(READ_ONLY_VIDEO_SUFFIXES, ".mkv") | dict.fromkeys(READ_ONLY_IMAGE_SUFFIXES, ".png")


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "upscale",
        help="upscale videos and images",
        usage="vidsr upscale [options] SOURCE... TARGET",
        description=_EXAMPLE,
        formatter_class=Help,
    )
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", type=Path, help="a video or an image, or a folder of them"
    )
    parser.add_argument("target", metavar="TARGET", type=Path, help="the file to write, or the folder to write into")
    add_settings(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a run: of the result, the speed and the encoding."""
    add_options(parser.add_argument_group("result"), UpscaleSettings)
    add_options(parser.add_argument_group("speed"), PoolSettings)
    add_options(parser.add_argument_group("encoding"), EncodeSettings)


def run(args: argparse.Namespace) -> int:
    """Upscale every source; the exit code is that of the first one that failed."""
    work = partial(
        upscale,
        settings=settings(UpscaleSettings, args),
        encode=settings(EncodeSettings, args),
        pool=settings(PoolSettings, args),
        on_warning=log.warning,
    )
    jobs = _jobs(args.sources, args.target)
    codes = []
    with GracefulStop("the file is being completed") as stop:
        for source, target in jobs:
            try:
                with _bar(source.name, args) as on_progress:
                    report = work(source, target, on_progress=on_progress, should_stop=stop)
                codes.append(_print_report(report, args))
            except VidsrError as error:
                print_message(error, because=error.__cause__ if args.verbose else None)
                codes.append(exit_code(error))
            if stop():
                return STOPPED + stop.signal
    return next(filter(None, codes), 0)


def _jobs(sources: list[Path], target: Path) -> list[tuple[Path, Path]]:
    """(source, target) of each file: one into one, or all into a folder under their own names."""
    if len(sources) == 1 and not sources[0].is_dir() and not target.is_dir():
        return [(sources[0], target)]
    if not target.is_dir():
        raise UsageError(f"{target}: is no folder; several sources, or a folder, need a folder as target")
    files = [file for source in sources for file in (_media_in(source) if source.is_dir() else [source])]
    jobs = [(file, target / _target_name(file)) for file in files]
    if twice := [file for file, count in Counter(file for _, file in jobs).items() if count > 1]:
        raise UsageError(f"{twice[0]}: two sources have this target")
    return jobs


def _media_in(folder: Path) -> list[Path]:
    known = _WRITTEN | _BECOMES.keys()
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in known)
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from error
    if not files:
        raise UsageError(f"{folder}: no video and no image in this folder")
    return files


def _target_name(source: Path) -> str:
    suffix = source.suffix.lower()
    return source.name if suffix in _WRITTEN else source.stem + _BECOMES.get(suffix, ".mkv")


@contextmanager
def _bar(name: str, args: argparse.Namespace) -> Generator[OnProgress]:
    """A progress bar, where stderr is a terminal."""
    hidden = True if args.quiet else None
    with tqdm(desc=name, unit=" frames", disable=hidden, dynamic_ncols=True) as bar, logging_redirect_tqdm():

        def on_progress(done: int, total: int | None) -> None:
            bar.total = total if total is None else max(total, done)
            bar.update(done - bar.n)

        yield on_progress


def _print_report(report: Report, args: argparse.Namespace) -> int:
    """Print the report: JSON to stdout, the rest to stderr. The exit code of a completed run."""
    if args.json:
        print(json.dumps(dataclasses.asdict(report), default=str), flush=True)
    if not args.quiet:
        print("\n".join(report.lines()), file=sys.stderr)
    if report.stopped:
        print_message(f"{report.target}: stopped before the end; the frames up to there are complete")
    for sentence in report.damage:
        print_message(f"{report.source}: {sentence}")
    return DAMAGED if report.damage else 0
