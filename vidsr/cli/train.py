"""Train a network on images and videos: from random weights or a model, for `vidsr upscale --model`.

  vidsr train photos/ --output run
  vidsr train photos/ clips/ --family fsrcnn --d 16 --s 16 --m 5 --scale 3 --output narrow
  vidsr train photos/ --initial-model fsrcnn-x2 --scale 4 --layers tail --output tail
  vidsr train photos/ --initial-model fsrcnn-x2 --dataset degraded --held-out more/ --output video

The same command resumes an interrupted training.
"""

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.cli.dataset import add_sources
from vidsr.cli.options import Parser, add_options, require_extra, settings, usage_errors
from vidsr.cli.output import print_message, training_bars
from vidsr.cli.signals import GracefulStop
from vidsr.errors import STOPPED
from vidsr.settings import NetworkSettings, TrainSettings

if TYPE_CHECKING:
    from vidsr.training.run import TrainResult

log = logging.getLogger(__name__)


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    data = parser.add_argument_group("data")
    add_sources(parser, data)
    data.add_argument("--output", required=True, metavar="DIR", type=Path, help="the run directory")
    help_ = "validation set, which is not trained on"
    data.add_argument("--held-out", nargs="+", default=[], metavar="SOURCE", type=Path, help=help_)
    data.add_argument(
        "--dataset",
        dest="datasets",
        action="append",
        default=[],
        metavar="DIR",
        type=Path,
        help="degraded clips to train on, too, made by `vidsr dataset`; repeatable",
    )
    add_options(parser.add_argument_group("network"), NetworkSettings)
    add_options(parser.add_argument_group("training"), TrainSettings)


def run(args: argparse.Namespace) -> int:
    """Train, and print the path of the weights."""
    with require_extra("torch", "train"), require_extra("matplotlib", "train"):
        from vidsr.training.data.sources import Source
        from vidsr.training.run import TrainRun, train_model

    train_run = TrainRun(
        sources=tuple(Source(path=path, sizes=args.sizes) for path in args.sources),
        output=args.output,
        network=settings(NetworkSettings, args),
        settings=settings(TrainSettings, args),
        held_out=tuple(Source(path=path, sizes=(1.0,)) for path in args.held_out),
        datasets=tuple(args.datasets),
    )
    with (
        GracefulStop("a checkpoint is being written") as stop,
        training_bars(quiet=args.quiet) as bars,
        usage_errors(),
    ):
        result = train_model(train_run, on_warning=log.warning, on_step=bars.on_step, should_stop=stop)
    return _report(result, args, stop)


def _report(result: "TrainResult", args: argparse.Namespace, stop: GracefulStop) -> int:
    """Print the result; returns the exit code."""
    if args.json:
        print(json.dumps(dataclasses.asdict(result), default=str))
    if not args.quiet:
        print("\n".join(_lines(result)), file=sys.stderr)
    if result.finished:
        for sentence in _doubts(result):
            print_message(sentence)
        if not args.json:
            print(result.model)
        return 0
    print_message(f"stopped at step {result.step} of {result.steps}; the same command resumes")
    return STOPPED + stop.signal


def _doubts(result: "TrainResult") -> Iterator[str]:
    """Yields why the network may not be worth using."""
    if result.psnr is None or result.bicubic_psnr is None:
        yield "nothing is held out, so nobody knows how good the network is; give more files, or --held-out"
    elif result.psnr < result.bicubic_psnr:
        below = result.bicubic_psnr - result.psnr
        yield f"the network is {below:.2f} dB below bicubic upscaling; train it longer, or on more images"


def _lines(result: "TrainResult") -> list[str]:
    degraded = f", {result.degraded} degraded frames" if result.degraded else ""
    skipped = f", {result.skipped} of them too small for a patch" if result.skipped else ""
    given = f"{result.pictures} clean frames{degraded}{skipped}"
    lines = [
        f"{result.network}: {result.step} steps in {result.seconds:.0f} s, {given}",
        f"  patches per second: {result.patches_s:.0f}; the loader alone: {result.loader_patches_s:.0f}",
    ]
    if result.psnr is not None and result.bicubic_psnr is not None:
        gain = result.psnr - result.bicubic_psnr
        score = f"{result.psnr:.2f} dB on {result.held_out} validation frames, {gain:+.2f} dB over bicubic"
        lines.append(f"  {score}")
    if result.losses:
        lost = f"{result.losses['int8']:.3f} dB of it, and {result.losses['int7']:.3f} on CPUs without VNNI"
        lines.append(f"  int8 loses {lost}")
    return lines
