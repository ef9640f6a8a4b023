"""`vidsr train`: pictures and videos into a network."""

import argparse
import dataclasses
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.cli.dataset import sizes
from vidsr.cli.messages import UsageError, print_message
from vidsr.cli.optional_deps import require_extra
from vidsr.cli.options import Commands, Help, add_options, add_output, settings
from vidsr.cli.progress_bars import training_bars
from vidsr.cli.signals import GracefulStop
from vidsr.errors import STOPPED
from vidsr.settings import NetworkSettings, TrainSettings

if TYPE_CHECKING:
    from vidsr.training.run import Trained

log = logging.getLogger(__name__)

_EXAMPLE = """Train a network on pictures and videos, or go on from one; the weights are for `vidsr upscale --model`.

  vidsr train photos/ --output run
  vidsr train photos/ clips/ --family fsrcnn --d 16 --s 16 --m 5 --scale 3 --output narrow
  vidsr train photos/ --start fsrcnn-x2 --scale 4 --train tail --output tail
  vidsr train photos/ --start fsrcnn-x2 --corpus degraded --held-out more/ --output video

The same command goes on where one was stopped.
"""
_NETWORK = {
    "family": ("NAME", "fsrcnn, or srcnn, which works on the bicubic enlargement"),
    "d": ("N", "channels of FSRCNN's features; without it, 56"),
    "s": ("N", "channels of FSRCNN's mapping; without it, 12"),
    "m": ("N", "mapping layers of FSRCNN; without it, 4"),
    "kernel": ("N", "taps a side of FSRCNN's deconvolution; without it, 9"),
    "kernels": ("K-K-K", "kernels of SRCNN; without it, 9-1-5"),
    "widths": ("N-N", "channels of SRCNN; without it, 64-32"),
    "activation": ("NAME", "prelu, prelu-shared, leaky-relu or relu; without it, the family's own"),
}
_TRAINING = {
    "scale": ("N", "2, 3 or 4"),
    "start": ("MODEL", "a name of the zoo or an .npz file to go on from, also at another scale"),
    "mapping_layers": ("N", "mapping layers to give the start; new ones begin by changing nothing"),
    "tail_kernel": ("N", "taps a side to give the start's deconvolution; new ones begin at zero"),
    "train": ("PART", "what learns: all, the tail (the deconvolution) or the mapping layers"),
    "steps": ("N", "steps with the main loss"),
    "loss": ("NAME", "the main loss: l1, the absolute difference, or mse, the squared one"),
    "rate": ("R", "the highest learning rate of these"),
    "finish_steps": ("N", "steps after them with the squared difference"),
    "finish_rate": ("R", "the highest learning rate of those"),
    "patch": ("N", "low-resolution pixels a side of a patch"),
    "batch": ("N", "patches in a step"),
    "still_camera": ("", "neither turn nor mirror patches"),
    "held_out_share": ("PART", "share of the files to measure by, unless --held-out names some"),
    "frames": ("N", "frames taken from each video"),
    "patience": ("N", "end after so many measurements no better than the best, with its weights"),
    "clean_share": ("PART", "share of patches that are not degraded, where there is a corpus"),
    "every": ("N", "steps from one measurement and checkpoint to the next"),
    "seed": ("N", "decides first weights, patches and what is held out"),
    "threads": ("N", "threads; without it, one for each core"),
    "device": ("NAME", "cpu or cuda"),
    "fast": ("", "compile, and compute in bfloat16 where it does no harm and is no slower; needs a C++ compiler"),
}


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "pictures and videos into a network"
    parser = commands.add_parser("train", help=text, description=_EXAMPLE, formatter_class=Help)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", type=Path, help="a picture, a video, or a folder")
    data = parser.add_argument_group("data")
    data.add_argument("--output", required=True, metavar="DIR", type=Path, help="the folder of this training")
    data.add_argument(
        "--held-out",
        nargs="+",
        default=[],
        metavar="SOURCE",
        type=Path,
        help="what to measure by, and not to learn from",
    )
    data.add_argument(
        "--sizes", type=sizes, default=(1.0, 0.7), metavar="S,S", help="sizes at which it is used (default: 1,0.7)"
    )
    data.add_argument(
        "--corpus",
        dest="corpora",
        action="append",
        default=[],
        metavar="DIR",
        type=Path,
        help="degraded clips to learn from too, made by `vidsr corpus`; any number of times",
    )
    add_options(parser.add_argument_group("network"), NetworkSettings, fields=_NETWORK)
    add_options(parser.add_argument_group("training"), TrainSettings, fields=_TRAINING)
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and tell where the weights are."""
    with require_extra("torch", "train"), require_extra("matplotlib", "train"):
        from vidsr.training.data.sources import Source
        from vidsr.training.run import Job, train_model

    job = Job(
        sources=tuple(Source(path=path, sizes=args.sizes) for path in args.sources),
        output=args.output,
        network=settings(NetworkSettings, args),
        settings=settings(TrainSettings, args),
        held_out=tuple(Source(path=path, sizes=(1.0,)) for path in args.held_out),
        corpora=tuple(args.corpora),
    )
    with GracefulStop("a checkpoint is being written") as stop, training_bars(quiet=args.quiet) as bars:
        try:
            trained = train_model(job, note=log.warning, watch=bars.watch, stop=stop)
        except ValueError as error:  # settings that only together make no sense
            raise UsageError(str(error)) from error
    return _told(trained, args, stop)


def _told(trained: "Trained", args: argparse.Namespace, stop: GracefulStop) -> int:
    """Say what it came to; the exit code."""
    if args.json:
        print(json.dumps(dataclasses.asdict(trained), default=str))
    if not args.quiet:
        print("\n".join(_lines(trained)), file=sys.stderr)
    if trained.finished:
        if not args.json:
            print(trained.model)
        return 0
    print_message(f"stopped at step {trained.step} of {trained.steps}; the same command goes on from there")
    return STOPPED + stop.signal


def _lines(trained: "Trained") -> list[str]:
    degraded = f", {trained.degraded} degraded frames" if trained.degraded else ""
    skipped = f", {trained.skipped} of them too small for a patch" if trained.skipped else ""
    given = f"{trained.pictures} pictures{degraded}{skipped}"
    lines = [
        f"{trained.network}: {trained.step} steps in {trained.seconds:.0f} s, {given}",
        f"  patches a second: {trained.patches_s:.0f}; the loader alone: {trained.loader_patches_s:.0f}",
    ]
    if trained.psnr is not None and trained.bicubic_psnr is not None:
        gain = trained.psnr - trained.bicubic_psnr
        score = f"{trained.psnr:.2f} dB on {trained.held_out} held-out pictures, {gain:+.2f} dB over bicubic"
        lines.append(f"  {score}")
    if trained.losses:
        lost = f"{trained.losses['int8']:.3f} dB of it, and {trained.losses['int7']:.3f} on CPUs without VNNI"
        lines.append(f"  int8 loses {lost}")
    return lines
