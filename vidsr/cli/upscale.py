"""Upscale videos with a small neural network; audio, subtitles and timing are kept.

  vidsr upscale holiday.mp4 holiday-2x.mp4
  vidsr upscale --to 1080p --codec libx265 old/*.avi new/
  vidsr upscale --segments --recursive --resume --failed failed.jsonl archive/ larger/
  vidsr upscale --estimate film.mkv film-2x.mkv          (or --explain)
  ffmpeg -i film.mkv -f yuv4mpegpipe - | vidsr upscale - - | ffmpeg -i - film-2x.mkv

Several sources, or a folder of them, go into a folder as one job, each under its own name; a missing folder is made.
Workers start once. A file that fails costs only itself, and is listed at the end. The hidden file .vidsr-upscale.jsonl
in the folder records the finished targets for --resume: a target is skipped if it and its source have the same size
and time as then, and the settings, the weights and the version of vidsr are the same. A target that was stopped is
upscaled again from its first frame. - is standard input (yuv4mpegpipe, or any container that needs no seeking) or
standard output (see --output-format), which then has the frames only: the report goes to stderr, with --json, too.
"""

import argparse
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from vidsr.batch import BatchRecord, require_writable
from vidsr.cli.batch import Batch, make_folder, print_error
from vidsr.cli.media_files import is_media, source_files
from vidsr.cli.options import Parser, add_options, settings
from vidsr.cli.output import UsageError, check_stdout, print_message
from vidsr.cli.signals import GracefulStop
from vidsr.errors import STOPPED, Stopped, VidsrError
from vidsr.estimate import Estimate, estimate
from vidsr.explain import Explanation, explain
from vidsr.media.containers import container_for, image_codec_for, is_video
from vidsr.media.encoders import check_settings
from vidsr.media.pipes import STDIN, STDOUT
from vidsr.pool.shared_pools import SharedPools
from vidsr.segments.journal import discard_segments
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.upscale_job import UpscaleJob

log = logging.getLogger(__name__)


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.usage = "vidsr upscale [options] SOURCE... TARGET"
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", type=_source, help="a video or an image, a folder of them, or -"
    )
    help_ = "the file to write; the folder to write into, a new one with / at its end; or -"
    parser.add_argument("target", metavar="TARGET", action=_StoreTarget, help=help_)
    add_settings(parser)
    group = add_progress(parser)
    help_ = "print what the videos would take, by a trial of a second each, and write nothing"
    group.add_argument("--estimate", action="store_true", help=help_)
    help_ = "print how the videos would be upscaled, here and at --ray-address, and what bounds it, and write nothing"
    group.add_argument("--explain", action="store_true", help=help_)
    _add_batch(parser.add_argument_group("several files"))


def _add_batch(group: argparse._ArgumentGroup) -> None:
    """Declare the options of a run of many files."""
    help_ = "take the folders in a folder, too, into folders of the same names"
    group.add_argument("--recursive", action="store_true", help=help_)
    help_ = "skip targets that an earlier run into the same folder has finished, of the same sources, settings and "
    help_ += "weights; begin again with those it was stopped in"
    group.add_argument("--resume", action="store_true", help=help_)
    help_ = "write the files that failed or were stopped into this list: a line of JSON each"
    group.add_argument("--failed", dest="failed_list", type=Path, metavar="FILE", help=help_)
    help_ = "delete the TARGET.segments of these targets, and upscale nothing"
    group.add_argument("--discard", action="store_true", help=help_)


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


class _StoreTarget(argparse.Action):
    """Stores the target, and as `into_folder` whether it is written as a folder, there or not: by a / at its end."""

    def __call__(self, parser: object, namespace: argparse.Namespace, value: object, option: object = None) -> None:
        text = str(value)
        namespace.target, namespace.into_folder = STDOUT if text == "-" else Path(text), text.endswith("/")


def run(args: argparse.Namespace) -> int:
    """Upscale every source; the exit code is that of the only one, or 7 where some of several failed."""
    upscaling, encode = settings(UpscaleSettings, args), settings(EncodeSettings, args)
    pool = settings(PoolSettings, args)
    _check_pipes(args)
    pairs = source_files(args.sources, args.target, recursive=args.recursive, into_folder=args.into_folder)
    _check_encoding(encode, {target for _, target in pairs}, args.output_format)
    jobs = [
        UpscaleJob(source=source, target=target, settings=upscaling, encode=encode, on_warning=log.warning)
        for source, target in pairs
    ]
    into_folder = args.target not in [target for _, target in pairs]
    _check_modes(args, into_folder=into_folder)
    if args.estimate or args.explain:
        return _print_estimates(jobs, args)
    if args.discard:
        return _discard(jobs)
    _check_list(args)
    if into_folder:
        make_folder(args.target)
    if args.failed_list:
        require_writable(args.failed_list)
    promise = "what is finished is kept" if args.segments else "the file is being completed"
    with GracefulStop(promise, closes_input=STDIN in args.sources) as stop, SharedPools(pool, stop) as pools:
        return Batch(jobs, pools, args, stop).run()


def _check_modes(args: argparse.Namespace, *, into_folder: bool) -> None:
    """Raises UsageError for options that ask for two things, or would be left out without a word."""
    asked = [f"--{name}" for name in ("estimate", "explain", "discard") if getattr(args, name)]
    if asked == ["--estimate", "--explain"]:
        raise UsageError("--estimate and --explain exclude each other: the latter has the former's figures, too")
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} exclude each other: --discard deletes, the other only prints")
    if asked and (args.failed_list or args.verify):
        raise UsageError(f"{'--failed' if args.failed_list else '--verify'} needs a run; {asked[0]} upscales nothing")
    if args.resume and not into_folder:
        raise UsageError(
            "--resume skips what is finished in a folder of targets; one file that was begun with --segments "
            "goes on by itself"
        )


def _check_encoding(encode: EncodeSettings, targets: set[Path], output_format: str | None) -> None:
    """Raises OptionError or TargetError for options of the encoding that the targets' encoders would refuse, each."""
    if encode == EncodeSettings():
        return
    videos = [target for target in targets if target == STDOUT or is_video(target)]
    for container in sorted({container_for(target, output_format).format for target in videos}):
        check_settings(encode, container)


def _discard(jobs: list[UpscaleJob]) -> int:
    """Delete what runs by segments have kept."""
    for job in jobs:
        if discard_segments(job.target):
            print_message(f"{job.target}.segments: deleted")
    return 0


def _check_list(args: argparse.Namespace) -> None:
    """Raises UsageError for a list of failures that is a folder, or may be somebody's video."""
    if args.failed_list is None:
        return
    if os.path.isdir(args.failed_list):
        raise UsageError(f"--failed {args.failed_list}: is a folder; give the name of a file for the list")
    if is_media(args.failed_list) or args.failed_list in args.sources:
        raise UsageError(f"--failed {args.failed_list}: is the name of a video or an image; it becomes a list")


def _check_pipes(args: argparse.Namespace) -> None:
    """Raises UsageError for pipes that cannot work, TargetError for a standard output that is closed."""
    if STDIN in args.sources and (len(args.sources) > 1 or args.into_folder or os.path.isdir(args.target)):
        raise UsageError("- has no name; upscale it alone, into a file or into -")
    if STDIN in args.sources and (args.estimate or args.explain):
        option = "--explain" if args.explain else "--estimate"
        raise UsageError(f"{option} reads a second of the source, which a pipe gives only once")
    if STDIN in args.sources and sys.stdin.isatty():
        raise UsageError("- is a terminal; pipe a video into it")
    if args.target != STDOUT and args.output_format:
        raise UsageError("--output-format is for a target of -; what a file becomes follows from its name")
    if args.target != STDOUT or args.estimate or args.explain:
        return
    if args.verify:
        raise UsageError("--verify reads the target back, which a pipe does not allow")
    check_stdout()


def _print_estimates(all_jobs: list[UpscaleJob], args: argparse.Namespace) -> int:
    """Print what each video would take, or how, with --resume of those that are left.

    The exit code is that of the first one that failed.
    """
    if not (videos := [job for job in all_jobs if image_codec_for(job.target) is None]):
        raise UsageError(f"{'--explain' if args.explain else '--estimate'} is for videos")
    record = BatchRecord(args.target, settings(PoolSettings, args))
    jobs = [job for job in videos if not (args.resume and record.is_finished(job))]
    if finished := len(videos) - len(jobs):
        print_message(f"{finished} of {len(videos)} videos are finished, and left out")
    work: Callable[..., Estimate | Explanation] = partial(
        explain if args.explain else estimate,
        settings=settings(UpscaleSettings, args),
        encode=settings(EncodeSettings, args),
        pool=settings(PoolSettings, args),
    )
    codes: list[int] = []
    with GracefulStop("the estimate ends here") as stop:
        for job in jobs:
            try:
                found = work(job.source, job.target, should_stop=stop)
            except Stopped:
                return STOPPED + stop.signal
            except VidsrError as error:
                codes.append(print_error(error, job.source, job.target, args, alone=len(jobs) == 1).code)
                continue
            if stop():
                return STOPPED + stop.signal
            print(json.dumps(dataclasses.asdict(found), default=str) if args.json else "\n".join(found.lines()))
    return codes[0] if codes else 0
