"""Convert a PyTorch state dict or an ONNX file to a weight file: FSRCNN with PReLU, or SRCNN with ReLU, for luma in
0..1.

  vidsr import fsrcnn_x2.pth mine.npz --scale 2
  vidsr import fsrcnn_x2.onnx mine.npz --scale 2
  vidsr upscale --model mine.npz old.mp4 new.mp4

No code in the file is run; a file that holds anything but tensors is refused.
"""

import argparse
import json
import logging
import sys
from functools import partial
from pathlib import Path

from vidsr.cli.options import Parser, require_extra
from vidsr.cli.output import UsageError
from vidsr.interop import flat_response
from vidsr.media.atomic_file import atomic_write
from vidsr.model.architecture import PAPER_PADDING, SCALES
from vidsr.model.weights import save_weights

log = logging.getLogger(__name__)

_GREY, _FAR = 128, 16


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "source", metavar="STATE_DICT", type=Path, help="a model.state_dict() written by torch.save, or an .onnx file"
    )
    parser.add_argument("target", metavar="TARGET", type=Path, help="the .npz file to write")
    parser.add_argument(
        "--scale", required=True, type=int, choices=SCALES, metavar="N", help="2, 3 or 4; the file does not hold it"
    )
    parser.add_argument(
        "--padding",
        type=int,
        default=PAPER_PADDING,
        metavar="N",
        help=f"padding of the ConvTranspose2d of an FSRCNN; the file does not hold it (default: {PAPER_PADDING})",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing target")


def run(args: argparse.Namespace) -> int:
    """Write the file."""
    if args.target.suffix != ".npz":
        raise UsageError(f"{args.target}: the name of a weight file ends in .npz")
    with require_extra("torch", "train"):
        from vidsr.training.state_dict_import import import_state_dict
    read = None
    if args.source.suffix == ".onnx":
        with require_extra("onnx", "export"):
            from vidsr.interop.onnx_import import onnx_tensors
        read = partial(onnx_tensors, scale=args.scale, padding=args.padding)
    weights = import_state_dict(args.source, args.scale, padding=args.padding, read=read)
    with atomic_write(args.target, source=args.source, overwrite=args.overwrite) as file:
        save_weights(file, weights)
    architecture = weights.architecture
    if args.json:
        print(json.dumps({"target": str(args.target), "network": str(architecture), "weights": architecture.weights}))
    elif not args.quiet:
        recognised = f"recognised {architecture} with {architecture.activation}, {architecture.weights:,} weights"
        print(f"{args.source}: {recognised}; written to {args.target}", file=sys.stderr)
        print(
            f"it runs in f32; `vidsr calibrate {args.target} PICTURES` prepares it for int8, which is faster",
            file=sys.stderr,
        )
    level = flat_response(weights, _GREY)
    if abs(level - _GREY) > _FAR:
        log.warning(
            "%s: returns level %.0f for a plane of %d; check that it takes luma in 0..1 and has scale %d",
            args.source,
            level,
            _GREY,
            args.scale,
        )
    return 0
