"""`vidsr export`: a network as a file for other tools."""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import vidsr
from vidsr.cli.messages import UsageError
from vidsr.cli.optional_deps import require_extra
from vidsr.cli.options import Commands, Help, add_output
from vidsr.engine.openvino_export import ir_files, run_network
from vidsr.interop.metadata import notes
from vidsr.interop.verify import Run, check_same
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model, model_path

_EXAMPLE = """Write a network as a file that other tools read.

  vidsr export fsrcnn-x2 --to onnx
  vidsr export mine.npz --to torch mine.pt2

What is written takes float32 luma (batch, 1, height, width), code values over the largest (255 of 8 bits), of
any size, and gives (batch, 1, scale*height, scale*width) on the same scale, neither clipped nor rounded. Edges are
repeated inside. Before the file gets its name it is run, and must be within a grey level of what vidsr computes.
"""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What is to be written, file by file, and how to run it."""

    contents: list[bytes]
    run: Run


@dataclass(frozen=True, kw_only=True)
class Form:
    """A kind of file: its suffix, those of what stands beside it, and what makes their contents."""

    suffix: str
    beside: tuple[str, ...] = ()
    build: Callable[[Weights, dict[str, str]], Exported]


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "a network as a file for other tools: ONNX, OpenVINO, PyTorch"
    parser = commands.add_parser("export", help=text, description=_EXAMPLE, formatter_class=Help)
    parser.intermixed = True
    parser.add_argument("model", metavar="MODEL", help="a name of the zoo (see `vidsr models`) or an .npz file")
    parser.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        type=Path,
        help="the file to write (default: named as the model, in this folder); of OpenVINO the .xml, beside its .bin",
    )
    parser.add_argument("--to", required=True, choices=FORMS, help="what it should be")
    parser.add_argument("--overwrite", action="store_true", help="replace a target that exists")
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file, or both."""
    weights, form = load_model(args.model), FORMS[args.to]
    name = model_path(args.model, weights.architecture.scale).stem
    target = args.target or Path(name + form.suffix)
    if target.suffix != form.suffix:
        raise UsageError(f"{target}: the name of what --to {args.to} writes ends in {form.suffix}")
    licence = weights.facts.get("licence", "not stated" if args.model.endswith(".npz") else "Apache-2.0")
    about = notes(weights, name=name, licence=str(licence), version=vidsr.__version__)
    with ExitStack() as stack:  # the last to open lands first: the .bin before the .xml
        paths = [target, *(target.with_suffix(suffix) for suffix in form.beside)]
        files = [stack.enter_context(atomic_write(path, overwrite=args.overwrite)) for path in paths]
        exported = form.build(weights, about)
        distance = check_same(weights, exported.run, name=str(target))
        for file, content in zip(files, exported.contents, strict=True):
            file.write(content)
    size = sum(map(len, exported.contents))
    if args.json:
        print(json.dumps({"files": [str(path) for path in paths], "bytes": size, "distance": distance}))
    elif not args.quiet:
        agreement = f"within {distance:.2f} grey levels of the engine, which rounds"
        print(f"{target}: {weights.architecture}, {size / 1000:.0f} kB, {agreement}", file=sys.stderr)
    return 0


def _onnx(weights: Weights, about: dict[str, str]) -> Exported:
    with require_extra("onnx", "export"):
        from vidsr.interop.onnx_export import network_bytes
    network = network_bytes(weights, about)
    return Exported(contents=[network], run=partial(run_network, network))


def _openvino(weights: Weights, about: dict[str, str]) -> Exported:
    xml, content = ir_files(_onnx(weights, about).contents[0])
    return Exported(contents=[xml, content], run=partial(run_network, xml, weights=content))


def _torch(weights: Weights, about: dict[str, str]) -> Exported:
    with require_extra("torch", "train"):
        from vidsr.training.export import export_program, run_program
    program = export_program(weights, about)
    return Exported(contents=[program], run=partial(run_program, program))


FORMS = {
    "onnx": Form(suffix=".onnx", build=_onnx),
    "openvino": Form(suffix=".xml", beside=(".bin",), build=_openvino),
    "torch": Form(suffix=".pt2", build=_torch),
}
