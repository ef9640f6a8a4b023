"""Write a network for other tools.

  vidsr export fsrcnn-x2 --to onnx
  vidsr export mine.npz --to torch mine.pt2

The exported network takes float32 luma (batch, 1, height, width) of any size, code values divided by the largest
(255 for 8 bits), and returns (batch, 1, scale*height, scale*width) on the same scale, neither clipped nor rounded.
Edge replication is part of the graph. The file is run first, and refused when it is more than a grey level from vidsr.
"""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import vidsr
from vidsr.cli.options import Parser, model_label, require_extra
from vidsr.cli.output import UsageError
from vidsr.engine.openvino_ir import ir_files, run_network
from vidsr.interop import NetworkFunction, model_metadata, verify_output
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model


@dataclass(frozen=True, kw_only=True)
class ExportedNetwork:
    """The contents of the files, and a function that runs the network in them."""

    contents: list[bytes]
    run: NetworkFunction


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A file format: its suffix, the suffixes of its companion files, and the export function."""

    suffix: str
    companions: tuple[str, ...] = ()
    build: Callable[[Weights, dict[str, str]], ExportedNetwork]
    note: str = ""
    """What whoever runs the file has to know; it stands in its metadata, too."""


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.intermixed = True
    parser.add_argument("model", metavar="MODEL", help="a name of the zoo (see `vidsr models`) or an .npz file")
    parser.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        type=Path,
        help="the file to write (default: the name of the model, here); for OpenVINO the .xml, next to its .bin",
    )
    parser.add_argument("--to", required=True, choices=FORMATS, help="the file format")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing target")


def run(args: argparse.Namespace) -> int:
    """Write the files."""
    weights, file_format = load_model(args.model), FORMATS[args.to]
    name = Path(model_label(args.model, weights.architecture.scale)).name.removesuffix(".npz")
    target = args.target or Path(name + file_format.suffix)
    if target.suffix != file_format.suffix:
        raise UsageError(f"{target}: with --to {args.to} the name must end in {file_format.suffix}")
    licence = weights.facts.get("licence", "not stated" if args.model.endswith(".npz") else "Apache-2.0")
    about = model_metadata(weights, name=name, licence=str(licence), version=vidsr.__version__)
    about |= {"precision": file_format.note} if file_format.note else {}
    with ExitStack() as stack:  # the last one opened is committed first: the .bin before the .xml
        paths = [target, *(target.with_suffix(suffix) for suffix in file_format.companions)]
        files = [stack.enter_context(atomic_write(path, overwrite=args.overwrite)) for path in paths]
        exported = file_format.build(weights, about)
        distance = verify_output(weights, exported.run, name=str(target))
        for file, content in zip(files, exported.contents, strict=True):
            file.write(content)
    size = sum(map(len, exported.contents))
    if args.json:
        print(json.dumps({"files": [str(path) for path in paths], "bytes": size, "distance": distance}))
    elif not args.quiet:
        agreement = f"within {distance:.2f} grey levels of the engine, which rounds"
        print(f"{target}: {weights.architecture}, {size / 1000:.0f} kB, {agreement}", file=sys.stderr)
        if file_format.note:
            print(file_format.note, file=sys.stderr)
    return 0


def _onnx(weights: Weights, about: dict[str, str]) -> ExportedNetwork:
    with require_extra("onnx", "export"):
        from vidsr.interop.onnx_export import onnx_bytes
    network = onnx_bytes(weights, about)
    return ExportedNetwork(contents=[network], run=partial(run_network, network))


def _openvino(weights: Weights, about: dict[str, str]) -> ExportedNetwork:
    xml, content = ir_files(_onnx(weights, about).contents[0])
    return ExportedNetwork(contents=[xml, content], run=partial(run_network, xml, weights=content))


def _torch(weights: Weights, about: dict[str, str]) -> ExportedNetwork:
    with require_extra("torch", "train"):
        from vidsr.training.export import export_program, run_program
    program = export_program(weights, about)
    return ExportedNetwork(contents=[program], run=partial(run_program, program))


FORMATS = {
    "onnx": ExportFormat(suffix=".onnx", build=_onnx),
    # OpenVINO 2026.4 reads no precision from a file.
    "openvino": ExportFormat(
        suffix=".xml",
        companions=(".bin",),
        build=_openvino,
        note="compile it with INFERENCE_PRECISION_HINT=f32; OpenVINO's default on many CPUs is bf16, which is coarser",
    ),
    "torch": ExportFormat(suffix=".pt2", build=_torch),
}
