"""Print versions, cores per worker and models with their precision; or the facts of a file.

  vidsr info
  vidsr info holiday.mp4

Of a file, the network and the precision that `vidsr upscale` would take are printed, too. Without one, `vidsr info
--json` is what a report of a fault should have: it names no file and no address.
"""

import argparse
import dataclasses
import json
import platform
from pathlib import Path

import vidsr
from vidsr.cli.options import Parser
from vidsr.cpu import describe_machine, plan_cores, this_cpu
from vidsr.engine import expected_precision
from vidsr.media.reader import Reader
from vidsr.model.architecture import SCALES
from vidsr.model.zoo import load_model, model_names
from vidsr.model_selection import select_model
from vidsr.pool import runs_in_process
from vidsr.settings import PoolSettings
from vidsr.versions import package_version, package_versions

_WORDS = {None: "unknown", False: "no", True: "yes"}
_PACKAGES = ("av", "numpy", "openvino", "ray", "tqdm", "torch", "matplotlib", "onnx")
"""Those that decide what vidsr does; the last three come with extras."""


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", nargs="?", metavar="SOURCE", type=Path, help="a video or an image")


def run(args: argparse.Namespace) -> int:
    """Print the facts."""
    facts = _of_file(args.source) if args.source else _of_machine()
    if args.json:
        print(json.dumps(facts, default=str))
    else:
        for name, value in facts.items():
            print("\n  ".join([f"{name}:", *_lines(value)]) if isinstance(value, dict) else f"{name}: {_text(value)}")
    return 0


def _of_file(source: Path) -> dict[str, object]:
    with Reader(source) as reader:
        info = reader.info
    choice = select_model(info.compression, still=info.still, scale=SCALES[0], names=model_names())
    precision = expected_precision(load_model(choice.model))
    return {**dataclasses.asdict(info), "model": str(choice), "precision": str(precision)}


def _of_machine() -> dict[str, object]:
    machine = describe_machine()
    here = runs_in_process(PoolSettings(), machine)
    shares = plan_cores(machine, workers=1 if here else None)
    models = {name: load_model(name) for name in model_names()}
    return {
        "vidsr": vidsr.__version__,
        "code": package_versions()["vidsr"],
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: package_version(name) for name in _PACKAGES},
        "cpu": str(this_cpu()),
        "quota": machine.quota or "none",
        "affinity": sorted(machine.cpus),
        "workers": 0 if here else len(shares),
        "shares": [{"threads": share.threads, "cpus": sorted(share.cpus)} for share in shares],
        "models": {name: str(weights.architecture) for name, weights in models.items()},
        "precisions": {name: str(expected_precision(weights)) for name, weights in models.items()},
    }


def _lines(facts: dict[str, object]) -> list[str]:
    return [f"{name}: {_text(value)}" for name, value in facts.items()]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_text(part) for part in value)
    return _WORDS[value] if value is None or isinstance(value, bool) else str(value)
