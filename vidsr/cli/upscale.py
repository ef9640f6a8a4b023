"""`vidsr upscale`: a file into a larger file."""

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

from vidsr.cli.messages import UsageError, say
from vidsr.cli.options import Commands, Help, add_options, add_output, settings
from vidsr.cli.signals import Stop
from vidsr.errors import SourceError, VidsrError
from vidsr.exits import DAMAGED, STOPPED, exit_code
from vidsr.media.containers import (
    IMAGE_SUFFIXES,
    READ_ONLY_IMAGE_SUFFIXES,
    READ_ONLY_VIDEO_SUFFIXES,
    VIDEO_SUFFIXES,
)
from vidsr.pipeline import Progress, upscale
from vidsr.report import Report
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

log = logging.getLogger(__name__)

_EXAMPLE = """Enlarge a video with a small neural network; sound, subtitles and timing are kept.

  vidsr upscale holiday.mp4 holiday-2x.mp4
  vidsr upscale --to 1080p --codec libx265 old/*.avi new/
"""
_PICTURE = {
    "model": (
        "NAME",
        "a name of the zoo (see `vidsr models`), an .npz file, or auto: by how the source is compressed",
    ),
    "scale": ("N", "2, 3 or 4; without it, what the model or --to asks for"),
    "to": ("SIZE", "exact size after the network: 1080p, or 1920x1080"),
    "start_s": ("TIME", "begin there: seconds, or H:MM:SS"),
    "end_s": ("TIME", "end there"),
    "deinterlace": ("", "make whole pictures of interlaced ones first"),
    "max_megapixels": ("N", "refuse larger pictures"),
    "overwrite": ("", "replace a target that exists"),
}
_SPEED = {
    "workers": ("N", "processes; 0: threads of this one, without Ray; by default one a core, none up to 4"),
    "threads": ("N", "threads of each worker, or of this process"),
    "precision": ("NAME", "f32, bf16 or int8; auto: the fastest that loses at most 0.05 dB"),
    "reuse": ("N", "enlarge no part again that differs by at most N of 256 grey levels; 0: exact"),
    "ray_address": ("HOST:PORT", "a running Ray cluster to join"),
    "timeout_s": ("S", "seconds a megapixel until a silent worker is replaced"),
}
_ENCODING = {
    "codec": ("NAME", "libx264, libx265, libsvtav1, libvpx-vp9, ffv1 or another encoder"),
    "crf": ("N", "quality, lower is better; without it, one that fits the codec"),
    "preset": ("NAME", "speed against size, as the codec names it"),
}
_WRITTEN = VIDEO_SUFFIXES | IMAGE_SUFFIXES
_BECOMES = dict.fromkeys(READ_ONLY_VIDEO_SUFFIXES, ".mkv") | dict.fromkeys(READ_ONLY_IMAGE_SUFFIXES, ".png")


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "upscale",
        help="a file into a larger file",
        usage="vidsr upscale [options] SOURCE... TARGET",
        description=_EXAMPLE,
        formatter_class=Help,
    )
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", type=Path, help="a video or picture, or a folder of them"
    )
    parser.add_argument("target", metavar="TARGET", type=Path, help="the file to write, or the folder to write into")
    add_settings(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare what a run can be told: of the picture, the speed and the encoding."""
    add_options(parser.add_argument_group("picture"), UpscaleSettings, fields=_PICTURE)
    add_options(parser.add_argument_group("speed"), PoolSettings, fields=_SPEED)
    add_options(parser.add_argument_group("encoding"), EncodeSettings, fields=_ENCODING)


def run(args: argparse.Namespace) -> int:
    """Enlarge every source; the exit code is that of the first that failed."""
    work = partial(
        upscale,
        settings=settings(UpscaleSettings, args),
        encode=settings(EncodeSettings, args),
        pool=settings(PoolSettings, args),
        note=log.warning,
    )
    jobs = _jobs(args.sources, args.target)
    codes = []
    with Stop("the file is being finished") as stop:
        for source, target in jobs:
            try:
                with _bar(source.name, args) as progress:
                    report = work(source, target, progress=progress, stop=stop)
                codes.append(_told(report, args))
            except VidsrError as error:
                say(error, because=error.__cause__ if args.verbose else None)
                codes.append(exit_code(error))
            if stop():
                return STOPPED + stop.signal
    return next(filter(None, codes), 0)


def _jobs(sources: list[Path], target: Path) -> list[tuple[Path, Path]]:
    """What becomes what: one file a file, or everything into one folder under its own name."""
    if len(sources) == 1 and not sources[0].is_dir() and not target.is_dir():
        return [(sources[0], target)]
    if not target.is_dir():
        raise UsageError(f"{target}: is not a folder, which a folder or several sources need for a target")
    files = [file for source in sources for file in (_media_in(source) if source.is_dir() else [source])]
    jobs = [(file, target / _target_name(file)) for file in files]
    if twice := [file for file, count in Counter(file for _, file in jobs).items() if count > 1]:
        raise UsageError(f"{twice[0]}: two sources would become this file")
    return jobs


def _media_in(folder: Path) -> list[Path]:
    known = _WRITTEN | _BECOMES.keys()
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in known)
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from error
    if not files:
        raise UsageError(f"{folder}: no video and no picture in this folder")
    return files


def _target_name(source: Path) -> str:
    suffix = source.suffix.lower()
    return source.name if suffix in _WRITTEN else source.stem + _BECOMES.get(suffix, ".mkv")


@contextmanager
def _bar(name: str, args: argparse.Namespace) -> Generator[Progress]:
    """A bar where somebody is watching, to be told the progress."""
    hidden = True if args.quiet else None
    with tqdm(desc=name, unit=" frames", disable=hidden, dynamic_ncols=True) as bar, logging_redirect_tqdm():

        def progress(done: int, total: int | None) -> None:
            bar.total = total if total is None else max(total, done)
            bar.update(done - bar.n)

        yield progress


def _told(report: Report, args: argparse.Namespace) -> int:
    """Tell what happened: JSON to stdout, the rest to stderr. The exit code of a run that reached its end."""
    if args.json:
        print(json.dumps(dataclasses.asdict(report), default=str), flush=True)
    if not args.quiet:
        print("\n".join(report.lines()), file=sys.stderr)
    if report.stopped:
        say(f"{report.target}: stopped before the end; what was done is whole")
    for sentence in report.damage:
        say(f"{report.source}: {sentence}")
    return DAMAGED if report.damage else 0
