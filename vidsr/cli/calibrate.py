"""`vidsr calibrate`: a weight file made ready for int8."""

import argparse
import json
import logging
import sys
from pathlib import Path

from vidsr.cli.messages import UsageError
from vidsr.cli.options import Commands, Help, add_output
from vidsr.engine.precision import MAX_LOSS_DB
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import load_weights, save_weights
from vidsr.quality.evaluation import collect
from vidsr.quality.image_protocol import read_luma
from vidsr.quality.int8_calibration import calibrate, sample_evenly, validation_pair

log = logging.getLogger(__name__)

_EXAMPLE = """Make a weight file ready for int8, by pictures like those that it will enlarge.

  vidsr calibrate mine.npz photos/

Every fourth picture measures what int8 loses, all others how far the layers reach; where it loses little, networks
are computed in int8 from then on. What `vidsr train` and `vidsr finetune` write is ready already, what `vidsr import`
writes is not. The file is replaced; its weights stay.
"""
_EACH = 4  # of the pictures, measures the loss
_REACHING, _MEASURING = 32, 16  # pictures at the most


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "a weight file made ready for int8"
    parser = commands.add_parser("calibrate", help=text, description=_EXAMPLE, formatter_class=Help)
    parser.add_argument("model", metavar="MODEL", type=Path, help="the .npz file to complete")
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", type=Path, help="two or more, or folders of them")
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Complete the file, and say what int8 loses."""
    if args.model.suffix != ".npz":
        raise UsageError(f"{args.model}: the name of a weight file ends in .npz")
    weights = load_weights(args.model)
    scale = weights.architecture.scale
    files = [path for each in collect(args.pictures, scale, on_warning=log.warning) for path in each.images]
    judges = files[::_EACH]
    others = [path for path in files if path not in judges]
    if not others:
        raise UsageError("calibrate takes two pictures or more, one of which measures what is lost")
    planes = [validation_pair(read_luma(path), scale)[0] for path in sample_evenly(others, _REACHING)]
    ready = calibrate(
        weights, planes, [validation_pair(read_luma(path), scale) for path in sample_evenly(judges, _MEASURING)]
    )
    with atomic_write(args.model, overwrite=True) as file:
        save_weights(file, ready)
    losses = ready.calibration.losses if ready.calibration else {}
    if args.json:
        print(json.dumps({"model": str(args.model), "losses": losses}))
    elif not args.quiet:
        fast = (
            "computed in int8" if losses["int8"] <= MAX_LOSS_DB else "still computed in f32, unless int8 is asked for"
        )
        print(f"{args.model}: int8 loses {losses['int8']:.3f} dB; it is {fast}", file=sys.stderr)
    return 0
