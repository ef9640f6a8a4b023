"""Calibrate a weight file for int8: on images like those that it will upscale.

  vidsr calibrate mine.npz photos/

Every fourth image measures the losses of int8 and bf16, all others the ranges of the layers' inputs; precisions that
lose at most 0.05 dB are then used where they are the fastest. Files of `vidsr train` and `vidsr finetune` are
calibrated already, those of `vidsr import` are not. The file is replaced; its weights stay.
"""

import argparse
import json
import logging
import sys
from pathlib import Path

from vidsr.cli.options import Parser
from vidsr.cli.output import UsageError
from vidsr.engine.precision import MAX_LOSS_DB
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import load_weights, save_weights
from vidsr.quality.evaluation import collect
from vidsr.quality.int8_calibration import calibrate, sample_evenly, validation_pair
from vidsr.quality.metrics import read_luma

log = logging.getLogger(__name__)

_VALIDATION_STEP = 4  # every fourth image measures the losses
_MAX_RANGE_IMAGES, _MAX_VALIDATION_IMAGES = 32, 16


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="the .npz file")
    parser.add_argument(
        "pictures", nargs="+", metavar="IMAGE", type=Path, help="two images or more, or folders of them"
    )


def run(args: argparse.Namespace) -> int:
    """Write the calibration into the file, and print the losses."""
    if args.model.suffix != ".npz":
        raise UsageError(f"{args.model}: the name of a weight file ends in .npz")
    weights = load_weights(args.model)
    scale = weights.architecture.scale
    files = [path for each in collect(args.pictures, scale, on_warning=log.warning) for path in each.images]
    validation = files[::_VALIDATION_STEP]
    others = [path for path in files if path not in validation]
    if not others:
        raise UsageError("calibrate needs two images or more, one of them for the losses")
    planes = [validation_pair(read_luma(path), scale)[0] for path in sample_evenly(others, _MAX_RANGE_IMAGES)]
    ready = calibrate(
        weights,
        planes,
        [validation_pair(read_luma(path), scale) for path in sample_evenly(validation, _MAX_VALIDATION_IMAGES)],
    )
    with atomic_write(args.model, overwrite=True) as file:
        save_weights(file, ready)
    losses = ready.calibration.losses if ready.calibration else {}
    if args.json:
        print(json.dumps({"model": str(args.model), "losses": losses}))
    elif not args.quiet:
        usable = losses["int8"] <= MAX_LOSS_DB
        effect = "auto may use it" if usable else f"auto does not use it above {MAX_LOSS_DB:g} dB"
        print(f"{args.model}: int8 loses {losses['int8']:.3f} dB; {effect}", file=sys.stderr)
    return 0
