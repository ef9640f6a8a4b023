"""Build a dataset of clips that are degraded like by cameras and codecs: for `vidsr train --dataset`.

  vidsr dataset photos/ clips/ --output degraded
  vidsr dataset photos/ --output coarse --codecs x264:1 --x264-crf 28-38 --clips 2000

The same command resumes an interrupted build. `vidsr degrade` writes a single clip to look at.
"""

import argparse
import dataclasses
import json
import logging
from pathlib import Path

from vidsr.cli.options import Group, Parser, add_options, settings, usage_errors
from vidsr.cli.output import UsageError, print_message, training_bars
from vidsr.cli.signals import GracefulStop
from vidsr.cpu import describe_machine, usable_cores
from vidsr.errors import STOPPED
from vidsr.settings import DatasetSettings, DegradeSettings
from vidsr.training.data.dataset_builder import build_dataset
from vidsr.training.data.sources import Source, find_footage

log = logging.getLogger(__name__)

_LARGEST = 4.0  # an upscaled image is as soft as much footage


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    group = parser.add_argument_group("dataset")
    add_sources(parser, group)
    group.add_argument("--output", required=True, metavar="DIR", type=Path, help="the directory of the dataset")
    group.add_argument("--processes", type=int, metavar="N", help="worker processes (default: one per core)")
    add_options(group, DatasetSettings)
    for title in ("clip", "camera", "codec"):
        add_options(parser.add_argument_group(title), DegradeSettings, part=title)


def add_sources(parser: Parser, group: Group) -> None:
    """Declare SOURCE and --sizes."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", type=Path, help="images, videos, or folders of them")
    help_ = "size factors of the sources (default: 1,0.7)"
    group.add_argument("--sizes", type=sizes, default=(1.0, 0.7), metavar="S,S", help=help_)


def run(args: argparse.Namespace) -> int:
    """Build the missing shards, and print a summary."""
    if args.processes is not None and args.processes < 1:
        raise UsageError(f"--processes must be 1 or more, not {args.processes}")
    dataset_settings = settings(DatasetSettings, args)
    degradation = settings(DegradeSettings, args)
    with GracefulStop("finishing the current clips") as stop, training_bars(quiet=args.quiet) as bars, usage_errors():
        made = build_dataset(
            find_footage([Source(path=path, sizes=args.sizes) for path in args.sources]),
            args.output,
            degradation,
            dataset_settings,
            processes=args.processes or usable_cores(describe_machine()),
            on_warning=log.warning,
            on_progress=bars.on_progress,
            should_stop=stop,
        )
    if args.json:
        print(json.dumps(dataclasses.asdict(made), default=str))
    else:
        print(f"{made.folder}: {made.clips} clips in {made.shards} of {made.of} shards")
    if made.finished:
        return 0
    print_message(f"stopped at shard {made.shards} of {made.of}; the same command resumes")
    return STOPPED + stop.signal


def sizes(text: str) -> tuple[float, ...]:
    """(1.0, 0.7) from "1,0.7". Raises ValueError for other text."""
    found = tuple(map(float, text.split(",")))
    if not all(0 < size <= _LARGEST for size in found):
        raise ValueError(text)
    return found
