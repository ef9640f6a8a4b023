"""`vidsr corpus`: footage into degraded clips to learn from."""

import argparse
import dataclasses
import json
import logging
import os
from pathlib import Path

from vidsr.cli.degrade import CAMERA, CODEC
from vidsr.cli.messages import UsageError, print_message
from vidsr.cli.options import Commands, Help, add_options, add_output, settings
from vidsr.cli.progress_bars import training_bars
from vidsr.cli.signals import GracefulStop
from vidsr.errors import STOPPED
from vidsr.settings import CorpusSettings, DegradeSettings
from vidsr.training.data.dataset_builder import make_corpus
from vidsr.training.data.sources import Source, footage_of

log = logging.getLogger(__name__)

_EXAMPLE = """Degrade clips of videos and pictures as cameras and codecs do, for `vidsr train --corpus`.

  vidsr corpus photos/ clips/ --output degraded
  vidsr corpus photos/ --output coarse --codecs x264:1 --x264-crf 28-38 --clips 2000

The same command goes on where one was stopped. `vidsr degrade` shows what becomes of one clip.
"""
_LARGEST = 4.0  # a picture that is enlarged first is as soft as much footage
_AMOUNT = {
    "clips": ("N", "degraded clips, each of which gives a frame"),
    "crop": ("N", "low-resolution pixels a side of what is kept of a clip"),
    "footage_share": ("PART", "share of clips from videos where there are pictures as well"),
    "max_gb": ("N", "the most it takes on the disk"),
}
_CLIP = {
    "scale": ("N", "2, 3 or 4: how many times smaller"),
    "frames": ("N-N", "how many frames a clip has"),
    "still_share": ("PART", "how often nothing moves in a clip made of a picture"),
    "first_share": ("PART", "how often the first frame of a clip, a key frame, is the one to learn from"),
    "seed": ("N", "decides every draw"),
}


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "footage into degraded clips to learn from"
    parser = commands.add_parser("corpus", help=text, description=_EXAMPLE, formatter_class=Help)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", type=Path, help="a picture, a video, or a folder")
    group = parser.add_argument_group("corpus")
    group.add_argument("--output", required=True, metavar="DIR", type=Path, help="the folder of the corpus")
    group.add_argument(
        "--sizes", type=sizes, default=(1.0, 0.7), metavar="S,S", help="sizes at which it is used (default: 1,0.7)"
    )
    group.add_argument("--processes", type=int, metavar="N", help="that degrade; without it, one for each core")
    add_options(group, CorpusSettings, fields=_AMOUNT)
    for title, fields in (("clip", _CLIP), ("camera", CAMERA), ("codec", CODEC)):
        add_options(parser.add_argument_group(title), DegradeSettings, fields=fields)
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make what is missing, and say what there is."""
    if args.processes is not None and args.processes < 1:
        raise UsageError(f"--processes must be 1 or more, not {args.processes}")
    amount = settings(CorpusSettings, args)
    degradation = settings(DegradeSettings, args)
    with GracefulStop("the clips in the making are being finished") as stop, training_bars(quiet=args.quiet) as bars:
        try:
            made = make_corpus(
                footage_of([Source(path=path, sizes=args.sizes) for path in args.sources]),
                args.output,
                degradation,
                amount,
                processes=args.processes or len(os.sched_getaffinity(0)),
                note=log.warning,
                tell=bars.degrading,
                stop=stop,
            )
        except ValueError as error:  # settings that only together make no sense
            raise UsageError(str(error)) from error
    if args.json:
        print(json.dumps(dataclasses.asdict(made), default=str))
    else:
        print(f"{made.folder}: {made.clips} clips in {made.shards} of {made.of} shards")
    if made.finished:
        return 0
    print_message(f"stopped at shard {made.shards} of {made.of}; the same command goes on from there")
    return STOPPED + stop.signal


def sizes(text: str) -> tuple[float, ...]:
    """(1.0, 0.7) from "1,0.7". Raises ValueError for anything that is no size."""
    found = tuple(float(size) for size in text.split(","))
    if not all(0 < size <= _LARGEST for size in found):
        raise ValueError(text)
    return found
