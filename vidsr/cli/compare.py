"""Measure how far a video or an image is from another: PSNR and SSIM of the luma; or draw parts of a frame.

  vidsr compare film.mp4 film-again.mp4
  vidsr compare --min-psnr 40 before.png after.png
  vidsr compare --picture parts.png --at 0:12 --crop 120x80+40+200 film.mp4

The parts are drawn reduced, upscaled by Lanczos and by a network, and as they were.
"""

import argparse
import dataclasses
import json
from pathlib import Path

from vidsr.cli.options import Parser, decibels, model_label, seconds, setting
from vidsr.cli.output import UsageError, png_file, print_message
from vidsr.engine import Engine
from vidsr.errors import DAMAGED
from vidsr.media.reader import Reader
from vidsr.model.architecture import SCALES
from vidsr.model.zoo import load_model, model_names
from vidsr.model_selection import AUTO, select_model
from vidsr.quality.compare import Comparison, compare
from vidsr.quality.crops import crops_png, parse_crop, side_by_side
from vidsr.settings import UpscaleSettings


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.usage = "vidsr compare [options] REFERENCE CANDIDATE\n       vidsr compare --picture FILE [options] SOURCE"
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        type=Path,
        help="the reference and the candidate, or the source of --picture",
    )
    parser.add_argument("--min-psnr", metavar="DB", type=decibels, help="exit 7 when the mean is lower")
    group = parser.add_argument_group("picture")
    group.add_argument("--picture", metavar="FILE", type=Path, help="draw parts of a frame as a PNG")
    help_ = f"a name of the zoo, an .npz file, or auto: by the source (default: {UpscaleSettings.model})"
    group.add_argument("--model", metavar="NAME", default=UpscaleSettings.model, help=help_)
    group.add_argument("--scale", type=int, choices=SCALES, help="2, 3 or 4 (default: that of the model, or 2)")
    help_ = "as in `vidsr upscale` (default: 1)"
    group.add_argument("--strength", metavar="N", type=float, default=UpscaleSettings.strength, help=help_)
    group.add_argument(
        "--at", metavar="TIME", type=seconds, default=0.0, help="time of the frame (default: the first)"
    )
    group.add_argument(
        "--crop",
        dest="crops",
        metavar="WxH+X+Y",
        action="append",
        type=parse_crop,
        default=[],
        help="a part of the frame; repeatable (default: the three with the most detail)",
    )
    group.add_argument("--overwrite", action="store_true", help="replace an existing PNG")


def run(args: argparse.Namespace) -> int:
    """Compare two files, or draw one."""
    _refuse_unused(args)
    wanted = 1 if args.picture else 2
    if len(args.files) != wanted:
        needed = "one SOURCE" if args.picture else "a REFERENCE and a CANDIDATE"
        raise UsageError(f"this takes {needed}, not {len(args.files)} files; see vidsr compare --help")
    return _draw(args) if args.picture else _compare(args)


def _refuse_unused(args: argparse.Namespace) -> None:
    """Raises UsageError for an option that would be left out without a word."""
    if args.picture and args.min_psnr is not None:
        raise UsageError("--min-psnr is for two files; --picture draws one")
    usual: dict[str, object] = {"model": UpscaleSettings.model, "strength": UpscaleSettings.strength, "scale": None}
    usual |= {"at": 0.0, "crops": [], "overwrite": False}
    drawn = [name for name, default in usual.items() if vars(args)[name] != default]
    if drawn and not args.picture:
        raise UsageError(f"--{drawn[0].removesuffix('s')} is for --picture, and the files are compared as they are")


def _compare(args: argparse.Namespace) -> int:
    found = compare(*args.files)
    print(json.dumps(dataclasses.asdict(found)) if args.json else _line(found))
    for sentence in found.damage:
        print_message(sentence)
    too_low = args.min_psnr is not None and found.psnr < args.min_psnr
    if too_low:
        print_message(f"{args.files[1]}: {found.psnr:.2f} dB is below {args.min_psnr:g}")
    return DAMAGED if found.damage or too_low else 0


def _line(found: Comparison) -> str:
    line = f"PSNR-Y {found.psnr:.2f} dB, SSIM {found.ssim:.4f}"
    if found.frames == 1:
        return line
    worst = (
        f"{found.worst_psnr:.2f} dB, {found.worst_ssim:.4f}: frame {found.worst_frame} at {found.worst_time_s:.3f} s"
    )
    return f"{line} of {found.frames} frames; worst {worst}"


def _draw(args: argparse.Namespace) -> int:
    source = args.files[0]
    with png_file(args.picture, source=source, overwrite=args.overwrite) as drawing:
        model = args.model if args.model != AUTO else _model_for(source, args.scale)
        engine = Engine(load_model(model, args.scale), strength=setting(UpscaleSettings, "strength", args))
        label = model_label(Path(model).stem, engine.scale)
        rows = side_by_side(source, engine, label=label, at_s=args.at, crops=tuple(args.crops))
        drawing.write(crops_png(rows))
    if args.json:
        print(json.dumps([{"crop": str(row[0].crop), "psnr": {p.label: p.psnr for p in row[:-1]}} for row in rows]))
    return 0


def _model_for(source: Path, scale: int | None) -> str:
    """The network that `vidsr upscale` would choose."""
    with Reader(source) as reader:
        info = reader.info
    names = model_names()
    return select_model(info.compression, still=info.still, scale=scale or SCALES[0], names=names).model
