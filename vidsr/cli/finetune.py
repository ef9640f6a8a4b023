"""Fine-tune a network on your own footage; use the weights with `vidsr upscale --model`.

  vidsr finetune main-stream-*.mp4 --output tuned
  vidsr finetune --from monday.mp4 --frames 200 --output tuned
  vidsr finetune --hr main.mp4 --lr sub.mp4 --output tuned
  vidsr upscale --model tuned/model.npz sub-stream.mp4 large.mp4

The footage is full-size: it is downscaled and encoded like the footage to be upscaled, and the mapping layers learn to
undo that. Whole clips, scenes, or the end of a single scene are held out for validation; a network that is no better
than its start where they move is not written. In clips of several days captions and logos are found, and not trained
on. `report.html` shows the gains. The same command resumes an interrupted fine-tuning.
"""

import argparse
import dataclasses
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.cli.options import Parser, add_options, check_extra, settings, usage_errors
from vidsr.cli.output import UsageError, print_message, training_bars
from vidsr.cli.signals import GracefulStop
from vidsr.errors import DAMAGED, STOPPED, Stopped
from vidsr.settings import FinetuneSettings

if TYPE_CHECKING:
    from vidsr.training.finetune.finetune import FinetuneResult
    from vidsr.training.finetune.finetune_data import FinetuneData

log = logging.getLogger(__name__)


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.intermixed = True
    parser.add_argument(
        "footage",
        nargs="*",
        metavar="CLIP",
        type=Path,
        help="full-size clips, or folders of them; one clip alone: 30 s or more",
    )
    group = parser.add_argument_group("footage")
    group.add_argument("--output", required=True, metavar="DIR", type=Path, help="the output directory")
    group.add_argument(
        "--from",
        dest="recordings",
        nargs="+",
        default=[],
        metavar="FILE",
        type=Path,
        help="long recordings, of which sharp, different, moving frames are selected",
    )
    group.add_argument("--hr", metavar="FILE", type=Path, help="the high-resolution recording of a camera; needs --lr")
    group.add_argument("--lr", metavar="FILE", type=Path, help="its low-resolution recording, which overlaps in time")
    group.add_argument("--images", nargs="+", default=[], metavar="DIR", type=Path, help="images to train on, too")
    for title in ("footage", "network", "training"):
        own = group if title == "footage" else parser.add_argument_group(title)
        add_options(own, FinetuneSettings, part=title)
    group.add_argument("--force", action="store_true", help="write the network even if it is no better")


def run(args: argparse.Namespace) -> int:
    """Fine-tune, validate, and print the path of the weights."""
    from vidsr.training.finetune import check_ready

    for package in ("torch", "matplotlib"):
        check_extra(package, "train")
    finetune_settings = settings(FinetuneSettings, args)
    check_ready(args.output, finetune_settings)
    with GracefulStop("a checkpoint is being written") as stop, training_bars(quiet=args.quiet) as bars:
        try:
            with usage_errors():
                data = _data(args, finetune_settings, stop)
                from vidsr.training.finetune.finetune import finetune  # loads PyTorch, for footage that can be used

                result = finetune(
                    data,
                    args.output,
                    finetune_settings,
                    force=args.force,
                    on_warning=log.warning,
                    on_step=bars.on_step,
                    on_progress=bars.on_progress,
                    should_stop=stop,
                )
        except Stopped as stopped:
            print_message(f"{stopped}; the same command resumes")
            return STOPPED + stop.signal
    return _report(result, args)


def _data(args: argparse.Namespace, finetune_settings: FinetuneSettings, stop: GracefulStop) -> "FinetuneData":
    """The data of the command line: footage, or two recordings."""
    from vidsr.training.finetune.finetune_data import from_footage, from_recordings

    footage = args.footage or args.recordings
    if (args.hr is None) != (args.lr is None) or bool(args.hr) == bool(footage):
        raise UsageError("finetune takes clips, recordings after --from, or two recordings as --hr and --lr")
    if args.hr and args.images:
        raise UsageError("--images needs clips or --from; with --hr and --lr these recordings alone are trained on")
    if args.hr:
        return from_recordings(args.hr, args.lr, finetune_settings, on_warning=log.warning)
    return from_footage(
        args.footage, args.recordings, args.images, finetune_settings, on_warning=log.warning, should_stop=stop
    )


def _report(result: "FinetuneResult", args: argparse.Namespace) -> int:
    """Print the result; returns the exit code."""
    if args.json:
        print(json.dumps(dataclasses.asdict(result), default=str))
    elif result.model:
        print(result.model)
    if not args.quiet:
        print(f"{result.acceptance}; see {result.report}", file=sys.stderr)
    if result.model:
        return 0
    print_message("the tuned network is no better than its start, and is not written; --force writes it")
    return DAMAGED
