"""`vidsr finetune`: a network that ships, tuned to somebody's own footage."""

import argparse
import dataclasses
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.cli.messages import UsageError, print_message
from vidsr.cli.optional_deps import require_extra
from vidsr.cli.options import Commands, Help, add_options, add_output, settings
from vidsr.cli.progress_bars import training_bars
from vidsr.cli.signals import GracefulStop
from vidsr.errors import DAMAGED, STOPPED, Stopped
from vidsr.settings import FinetuneSettings

if TYPE_CHECKING:
    from vidsr.training.finetune.finetune import Tuned
    from vidsr.training.finetune.finetune_data import Gathered

log = logging.getLogger(__name__)

_EXAMPLE = """Tune a network to your own footage; the weights are for `vidsr upscale --model`.

  vidsr finetune main-stream-*.mp4 --output tuned
  vidsr finetune --from monday.mp4 --frames 200 --output tuned
  vidsr finetune --hr main.mp4 --lr sub.mp4 --output tuned
  vidsr upscale --model tuned/model.npz sub-stream.mp4 large.mp4

The footage is full-size: it is made smaller and encoded as the footage that will be enlarged, and the mapping layers
learn to undo that. Whole clips, or scenes of the only one, are held out and judge; a network that is no better than
its start is not written. `report.html` shows what was gained. The same command goes on where one was stopped.
"""
_NETWORK = {
    "start": ("MODEL", "the network to tune: a name of the zoo or an .npz file"),
    "scale": ("N", "2, 3 or 4"),
    "layers": ("PART", "what learns: mapping, tail or all"),
    "mapping_layers": ("N", "mapping layers to give the network; new ones begin by changing nothing"),
}
_FOOTAGE = {
    "frames": ("N", "moments picked from each recording of --from"),
    "crf": ("N-N", "CRF at which the small footage is expected"),
    "clips": ("N", "short clips that are degraded to learn from"),
    "clean_share": ("PART", "share of patches that no codec has seen"),
    "held_out_share": ("PART", "share of the clips, or of the only one, that judges"),
    "max_gb": ("N", "the most the degraded clips take on the disk"),
}
_TRAINING = {
    "steps": ("N", "steps at the most"),
    "rate": ("R", "the highest learning rate"),
    "every": ("N", "steps from one measurement to the next"),
    "patience": ("N", "end after so many measurements no better than the best"),
    "seed": ("N", "decides every draw, and what is held out"),
    "threads": ("N", "threads; without it, one for each core"),
    "fast": ("", "compile, and compute in bfloat16 where it does no harm; needs a C++ compiler"),
}


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "a network tuned to your own footage"
    parser = commands.add_parser("finetune", help=text, description=_EXAMPLE, formatter_class=Help)
    parser.intermixed = True
    parser.add_argument("footage", nargs="*", metavar="CLIP", type=Path, help="full-size clips, or folders of them")
    group = parser.add_argument_group("footage")
    group.add_argument("--output", required=True, metavar="DIR", type=Path, help="the folder for all that comes of it")
    group.add_argument(
        "--from",
        dest="recordings",
        nargs="+",
        default=[],
        metavar="FILE",
        type=Path,
        help="long recordings, of which sharp, different, moving moments are picked",
    )
    group.add_argument("--hr", metavar="FILE", type=Path, help="the large recording of a camera, beside --lr")
    group.add_argument("--lr", metavar="FILE", type=Path, help="its small recording, which overlaps in time")
    group.add_argument("--images", nargs="+", default=[], metavar="DIR", type=Path, help="pictures to learn from, too")
    for title, fields in (("footage", _FOOTAGE), ("network", _NETWORK), ("training", _TRAINING)):
        own = group if title == "footage" else parser.add_argument_group(title)
        add_options(own, FinetuneSettings, fields=fields)
    group.add_argument("--force", action="store_true", help="write the network even if it is no better")
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tune, judge, and tell where the weights are."""
    with require_extra("torch", "train"), require_extra("matplotlib", "train"):
        from vidsr.training.finetune.finetune import require_ready, tune

    asked = settings(FinetuneSettings, args)
    require_ready(args.output, asked)
    with GracefulStop("a checkpoint is being written") as stop, training_bars(quiet=args.quiet) as bars:
        try:
            tuned = tune(
                _gathered(args, asked, stop),
                args.output,
                asked,
                force=args.force,
                note=log.warning,
                watch=bars.watch,
                degrading=bars.degrading,
                stop=stop,
            )
        except Stopped as stopped:
            print_message(f"{stopped}; the same command goes on from there")
            return STOPPED + stop.signal
        except ValueError as error:  # settings that only together make no sense
            raise UsageError(str(error)) from error
    return _told(tuned, args)


def _gathered(args: argparse.Namespace, asked: FinetuneSettings, stop: GracefulStop) -> "Gathered":
    """What was named: footage of one kind or the other."""
    from vidsr.training.finetune.finetune_data import from_footage, from_recordings

    footage = args.footage or args.recordings
    if (args.hr is None) != (args.lr is None) or bool(args.hr) == bool(footage):
        raise UsageError("finetune takes clips, recordings after --from, or two recordings as --hr and --lr")
    if args.hr:
        return from_recordings(args.hr, args.lr, asked, note=log.warning)
    return from_footage(args.footage, args.recordings, args.images, asked, note=log.warning, stop=stop)


def _told(tuned: "Tuned", args: argparse.Namespace) -> int:
    """Say what it came to; the exit code."""
    if args.json:
        print(json.dumps(dataclasses.asdict(tuned), default=str))
    elif tuned.model:
        print(tuned.model)
    if not args.quiet:
        print(f"{tuned.verdict}; {tuned.report} shows it", file=sys.stderr)
    if tuned.model:
        return 0
    print_message("the tuned network is no better than its start, and is not written; --force writes it")
    return DAMAGED
