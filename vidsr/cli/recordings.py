"""Find moments in recordings: list the segments of a time, or export it, cut exactly and without encoding.

  vidsr recordings list recordings/ --from 14:00
  vidsr recordings export recordings/ --camera front-door --from 14:02 --to 14:05 --output door.mp4
  vidsr recordings export recordings/ --from 14:02 --to 14:05 --model fsrcnn-wide-x2 --output best.mp4

A FOLDER is the target of a camera, or holds those of several. Times are local: 14:02, 14:02:30 or 2026-10-25T14:02.
"""

import argparse
import dataclasses
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from vidsr.cli.options import Parser, usage_errors
from vidsr.cli.output import UsageError, aligned, print_message
from vidsr.errors import DAMAGED, SourceError, TargetError, VidsrError
from vidsr.media.recording_export import export_recording, require_exportable
from vidsr.media.recording_index import RecordedSegment, RecordingIndex, parse_moment
from vidsr.pipeline import upscale
from vidsr.settings import UpscaleSettings

log = logging.getLogger(__name__)

_OF_THE_FILE_SYSTEM = "lost+found"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.intermixed = True
    parser.add_argument("action", choices=("list", "export"), metavar="ACTION", help="list or export")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the target of a camera, or of several")
    parser.add_argument("--camera", metavar="NAME", help="the camera, where FOLDER holds several")
    parser.add_argument("--from", dest="since", metavar="TIME", help="the first moment (default: the first recorded)")
    parser.add_argument("--to", dest="until", metavar="TIME", help="the last moment (default: now)")
    parser.add_argument("--original", action="store_true", help="the packets of the camera, not the upscaled frames")
    parser.add_argument("--output", type=Path, metavar="FILE", help="file to export to; .mp4 and .mov begin exactly")
    parser.add_argument("--overwrite", action="store_true", help="replace the file")
    model_help = "upscale the original now, by a model of the zoo, an .npz file, or auto"
    parser.add_argument("--model", metavar="NAME", help=model_help)
    parser.add_argument("--scale", type=int, choices=(2, 3, 4), help="2, 3 or 4 (default: that of the model, else 2)")


def run(args: argparse.Namespace) -> int:
    """List or export."""
    _refuse_unused(args)
    args.original = args.original or bool(args.model)
    with usage_errors():
        since_s = parse_moment(args.since) if args.since else 0.0
        until_s = parse_moment(args.until) if args.until else time.time()
    if since_s >= until_s:
        raise UsageError("--from must be before --to")
    segments = _segments(args, since_s, until_s)
    if args.action == "list":
        _print_list(segments, as_json=args.json)
        return 0
    if not args.output:
        raise UsageError("export takes --output FILE")
    if not segments:
        raise SourceError(f"{args.folder}: nothing is recorded of that time{_original_hint(args, since_s, until_s)}")
    if len({segment.path.parents[1] for segment in segments}) > 1:
        names = ", ".join(sorted({segment.camera for segment in segments}))
        raise UsageError(f"{args.folder} holds several cameras: choose one by --camera ({names})")
    since_s = max(since_s, segments[0].start_s)
    export = partial(_export, segments, since_s=since_s, until_s=until_s)
    paths, damage = _upscaled(args, export) if args.model else export(args.output, overwrite=args.overwrite)
    print(json.dumps([*map(str, paths)]) if args.json else "\n".join(map(str, paths)))
    for sentence in damage:
        print_message(sentence)
    return DAMAGED if damage else 0


def _export(
    segments: Sequence[RecordedSegment], target: Path, *, since_s: float, until_s: float, overwrite: bool
) -> tuple[list[Path], list[str]]:
    """The written files, and a sentence for each damage."""
    paths, damage = export_recording(segments, target, since_s=since_s, until_s=until_s, overwrite=overwrite)
    return paths, [f"{sentence}; what cannot be read of it is missing from the export" for sentence in damage]


def _original_hint(args: argparse.Namespace, since_s: float, until_s: float) -> str:
    """What to do where only the original is recorded."""
    others = _segments(argparse.Namespace(**{**vars(args), "original": True}), since_s, until_s)
    return " but the original: export it by --original, or upscale it by --model" if others else ""


def _refuse_unused(args: argparse.Namespace) -> None:
    """Raises UsageError for an option that would be left out without a word."""
    used = {"output": args.output, "overwrite": args.overwrite, "model": args.model, "scale": args.scale}
    if args.action == "list" and (names := [f"--{name}" for name, value in used.items() if value]):
        raise UsageError(f"list takes no {names[0]}, which belongs to export")
    if args.original and args.model:
        raise UsageError("--original and --model exclude each other: --model upscales the original")
    if args.scale and not args.model:
        raise UsageError("--scale needs --model, which upscales the original")


def _upscaled(
    args: argparse.Namespace, export: Callable[..., tuple[list[Path], list[str]]]
) -> tuple[list[Path], list[str]]:
    """The originals, exported beside the output and upscaled from there: the paths, and a sentence for each damage."""
    require_exportable(args.output, overwrite=args.overwrite)
    try:
        beside = TemporaryDirectory(prefix=".vidsr-", dir=args.output.absolute().parent)
    except OSError as error:
        raise TargetError(f"{args.output}: {error.strerror}") from error
    with beside as folder:
        apart = Path(folder) / f"original{args.output.suffix}"
        with _named(str(apart.with_suffix("")), str(args.output.with_suffix(""))):
            originals, damage = export(apart, overwrite=False)
        paths = [
            args.output,
            *(args.output.with_stem(f"{args.output.stem}_{n}") for n in range(2, len(originals) + 1)),
        ]
        settings = UpscaleSettings(model=args.model, scale=args.scale, overwrite=args.overwrite)
        for original, path in zip(originals, paths, strict=True):
            with _named(str(original), str(args.folder)):
                report = upscale(original, path, settings=settings, on_warning=partial(_warn, original, args.folder))
            damage += [f"{args.folder}: {sentence}" for sentence in report.damage]
    return paths, damage


@contextmanager
def _named(temporary: str, name: str) -> Iterator[None]:
    """Errors of a temporary file get the name of what it stands for."""
    try:
        yield
    except VidsrError as error:
        error.args = (str(error).replace(temporary, name), *error.args[1:])
        raise


def _warn(temporary: Path, folder: Path, sentence: str) -> None:
    """Print a warning, with the recording in place of its temporary file."""
    print_message(sentence.replace(str(temporary), str(folder)))


def _segments(args: argparse.Namespace, since_s: float, until_s: float) -> list[RecordedSegment]:
    found: list[RecordedSegment] = []
    cameras: set[str] = set()
    for folder in _camera_folders(args.folder):
        with RecordingIndex(folder) as index:
            found += index.segments(since_s, until_s)
            cameras |= index.cameras() | {folder.resolve().name}
    if args.camera and cameras and args.camera not in cameras:
        raise UsageError(f"{args.folder}: no camera {args.camera!r}; there are {', '.join(sorted(cameras))}")
    return [
        each
        for each in sorted(found, key=lambda segment: segment.start_s)
        if each.original == args.original and args.camera in (None, each.camera, each.path.parents[1].resolve().name)
    ]


def _camera_folders(folder: Path) -> list[Path]:
    """The folder, if it holds days of segments, else those in it that do."""
    try:
        children = sorted(path for path in folder.iterdir() if os.path.isdir(path))
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from error
    if any(_DAY.fullmatch(path.name) for path in children):
        return [folder]
    return [path for path in children if _holds_days(path)]


def _holds_days(folder: Path) -> bool:
    try:
        return any(_DAY.fullmatch(day.name) for day in folder.iterdir())
    except OSError as error:
        if folder.name != _OF_THE_FILE_SYSTEM:
            log.warning("%s: %s; what is in it is left out", folder, error.strerror)
        return False


def _print_list(segments: list[RecordedSegment], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{**dataclasses.asdict(each), "path": str(each.path)} for each in segments]))
        return
    head = ["camera", "from", "path", "seconds", "MB"]
    rows = [
        [
            each.camera,
            f"{datetime.fromtimestamp(each.start_s):%Y-%m-%d %H:%M:%S}",
            str(each.path),
            f"{each.seconds:.1f}",
            f"{each.size / 1e6:.1f}",
        ]
        for each in segments
    ]
    print(aligned([head, *rows], text_columns=3))
