"""`vidsr upscale`: a file into a larger file."""

import argparse
import dataclasses
import json
import logging
import sys
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from vidsr.cli.options import Help, add_output, option, seconds, settings
from vidsr.cli.stopping import Stop
from vidsr.errors import VidsrError
from vidsr.media.containers import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from vidsr.pipeline import upscale
from vidsr.report import Report
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

log = logging.getLogger(__name__)

_EXAMPLE = """Enlarge a video with a small neural network; sound, subtitles and timing are kept.

  vidsr upscale holiday.mp4 holiday-2x.mp4
  vidsr upscale --to 1080p --codec libx265 old/*.avi new/
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "upscale", help="a file into a larger file", description=_EXAMPLE, formatter_class=Help
    )
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", type=Path, help="a video or a picture; a folder: all in it"
    )
    parser.add_argument("target", metavar="TARGET", type=Path, help="the file to write, or the folder to write into")
    picture = parser.add_argument_group("picture")
    option(picture, UpscaleSettings, "model", "a name of the zoo (see `vidsr info`) or an .npz file", metavar="NAME")
    option(picture, UpscaleSettings, "scale", "2, 3 or 4; without it, what the model or --to asks for", kind=int)
    option(picture, UpscaleSettings, "to", "exact size after the network: 1080p, or 1920x1080", metavar="SIZE")
    option(picture, UpscaleSettings, "start_s", "begin there: seconds, or H:MM:SS", kind=seconds, metavar="TIME")
    option(picture, UpscaleSettings, "end_s", "end there", kind=seconds, metavar="TIME")
    option(picture, UpscaleSettings, "deinterlace", "make whole pictures of interlaced ones first")
    option(picture, UpscaleSettings, "max_megapixels", "refuse larger pictures", kind=float, metavar="N")
    speed = parser.add_argument_group("speed")
    option(speed, PoolSettings, "workers", "processes; 0: none but this one, without Ray", kind=int, metavar="N")
    option(speed, PoolSettings, "threads", "threads of each worker", kind=int, metavar="N")
    option(speed, PoolSettings, "ray_address", "a running Ray cluster to join", metavar="HOST:PORT")
    option(
        speed,
        PoolSettings,
        "timeout_s",
        "seconds a megapixel until a silent worker is replaced",
        kind=float,
        metavar="S",
    )
    encoding = parser.add_argument_group("encoding")
    option(
        encoding,
        EncodeSettings,
        "codec",
        "libx264, libx265, libsvtav1, libvpx-vp9, ffv1 or another encoder",
        metavar="NAME",
    )
    option(
        encoding,
        EncodeSettings,
        "crf",
        "quality, lower is better; without it, one that fits the codec",
        kind=int,
        metavar="N",
    )
    option(encoding, EncodeSettings, "preset", "speed against size, as the codec names it", metavar="NAME")
    option(encoding, UpscaleSettings, "overwrite", "replace a target that exists")
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Enlarge every source; the exit code is that of the first that failed."""
    from vidsr.cli.main import EXIT_STOPPED, exit_code, say

    jobs = _jobs(args.sources, args.target)
    code = 0
    with Stop() as stop:
        for source, target in jobs:
            try:
                report = _one(source, target, args, stop)
            except VidsrError as error:
                say(error, verbose=args.verbose)
                code = code or exit_code(error)
            else:
                code = code or _told(report, args)
            if stop():
                return EXIT_STOPPED + stop.signal
    return code


def _jobs(sources: list[Path], target: Path) -> list[tuple[Path, Path]]:
    """What becomes what: one file a file, or everything into one folder under its own name."""
    from vidsr.cli.main import UsageError

    files = [file for source in sources for file in (_media_in(source) if source.is_dir() else [source])]
    if not files:
        raise UsageError(f"{sources[0]}: no video and no picture in this folder")
    if len(sources) == 1 and not sources[0].is_dir() and not target.is_dir():
        return [(files[0], target)]
    if not target.is_dir():
        raise UsageError(f"{target}: is not a folder, which several sources need for a target")
    jobs = [(file, target / _target_name(file)) for file in files]
    if len({name for _, name in jobs}) < len(jobs):
        raise UsageError("two sources have the same name; they would become one target")
    return jobs


def _media_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in VIDEO_SUFFIXES | PICTURE_SUFFIXES)


def _target_name(source: Path) -> str:
    known = source.suffix.lower() in VIDEO_SUFFIXES | PICTURE_SUFFIXES
    return source.name if known else f"{source.stem}.mkv"


def _one(source: Path, target: Path, args: argparse.Namespace, stop: Stop) -> Report:
    """The report of one source, with a bar where somebody is watching."""
    hidden = True if args.quiet else None
    with tqdm(desc=source.name, unit=" frames", disable=hidden, dynamic_ncols=True) as bar, logging_redirect_tqdm():

        def progress(done: int, total: int | None) -> None:
            bar.total = total if total is None else max(total, done)
            bar.update(done - bar.n)

        return upscale(
            source,
            target,
            settings=settings(UpscaleSettings, args),
            encode=settings(EncodeSettings, args),
            pool=settings(PoolSettings, args),
            progress=progress,
            note=log.warning,
            stop=stop,
        )


def _told(report: Report, args: argparse.Namespace) -> int:
    """Tell what happened: JSON to stdout, the rest to stderr. The exit code of a run that reached its end."""
    from vidsr.cli.main import EXIT_DAMAGED

    if args.json:
        print(json.dumps(dataclasses.asdict(report), default=str), flush=True)
    if not args.quiet:
        print("\n".join(report.lines()), file=sys.stderr)
    if report.stopped:
        print(f"vidsr: {report.target}: stopped before the end; what was done is whole", file=sys.stderr)
    for sentence in report.damage:
        print(f"vidsr: {report.source}: {sentence}", file=sys.stderr)
    return EXIT_DAMAGED if report.damage else 0
