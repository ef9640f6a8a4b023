"""`vidsr import`: a network that PyTorch saved as a weight file of vidsr."""

import argparse
import json
import logging
import sys
from pathlib import Path

from vidsr.cli.messages import UsageError
from vidsr.cli.optional_deps import require_extra
from vidsr.cli.options import Commands, Help, add_output
from vidsr.interop.state_dict_import import PADDING
from vidsr.interop.verify import flat_level
from vidsr.media.atomic_file import atomic_write
from vidsr.model.architecture import SCALES
from vidsr.model.weights import save_weights

log = logging.getLogger(__name__)

_EXAMPLE = """Make a weight file of a state dict of PyTorch: FSRCNN with PReLU, or SRCNN with ReLU, for luma in 0..1.

  vidsr import fsrcnn_x2.pth mine.npz --scale 2
  vidsr upscale --model mine.npz old.mp4 new.mp4

Nothing in the file is run: one that holds more than tensors is refused.
"""
_GREY, _FAR = 128, 16


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "a network that PyTorch saved as a weight file of vidsr"
    parser = commands.add_parser("import", help=text, description=_EXAMPLE, formatter_class=Help)
    parser.add_argument("source", metavar="STATE_DICT", type=Path, help="what torch.save wrote of model.state_dict()")
    parser.add_argument("target", metavar="TARGET", type=Path, help="the .npz file to write")
    parser.add_argument(
        "--scale", required=True, type=int, choices=SCALES, metavar="N", help="2, 3 or 4, which no such file tells"
    )
    parser.add_argument(
        "--padding",
        type=int,
        default=PADDING,
        metavar="N",
        help=f"of the ConvTranspose2d of an FSRCNN, which no such file tells either (default: {PADDING})",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a target that exists")
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file."""
    if args.target.suffix != ".npz":
        raise UsageError(f"{args.target}: the name of a weight file ends in .npz")
    with require_extra("torch", "train"):
        from vidsr.training.state_dict import import_state_dict
    weights = import_state_dict(args.source, args.scale, padding=args.padding)
    with atomic_write(args.target, source=args.source, overwrite=args.overwrite) as file:
        save_weights(file, weights)
    architecture = weights.architecture
    if args.json:
        print(json.dumps({"target": str(args.target), "network": str(architecture), "weights": architecture.weights}))
    elif not args.quiet:
        recognised = f"recognised {architecture} with {architecture.activation}, {architecture.weights:,} weights"
        print(f"{args.source}: {recognised}; written to {args.target}", file=sys.stderr)
        print(
            f"it is computed in f32 until `vidsr calibrate {args.target} PICTURES` has made it faster", file=sys.stderr
        )
    level = flat_level(weights)
    if abs(level - _GREY) > _FAR:
        log.warning(
            "%s: makes a level of %.0f of a plane of %d: is it for luma in 0..1, and for scale %d?",
            args.source,
            level,
            _GREY,
            args.scale,
        )
    return 0
