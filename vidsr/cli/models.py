"""List networks, their cost and their scores: those that ship, or those of some files.

  vidsr models
  vidsr models --time --size 1280x720 fsrcnn-x2 mine.npz

Weights are those of the kernels; multiplies are multiply-adds for a pixel of the source; scores are PSNR in dB of the
luma, as the file has them. --time measures milliseconds a frame, on all cores that this process may use.
"""

import argparse
import dataclasses
import json
import re
from dataclasses import dataclass

from vidsr.cli.options import Parser
from vidsr.cli.output import UsageError, aligned
from vidsr.engine import Engine
from vidsr.engine.autotune import frame_ms
from vidsr.model.weights import Facts
from vidsr.model.zoo import load_model, model_names, model_path

_SIZE = "640x360"
_LARGEST = 1 << 14


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """The facts of one network."""

    name: str
    network: str
    scale: int
    weights: int
    multiplies: int
    bytes: int
    ms: float | None
    """Per frame; None without --time."""
    scores: dict[str, float]


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.intermixed = True
    parser.add_argument("models", nargs="*", metavar="MODEL", help="a name or an .npz file (default: all that ship)")
    parser.add_argument("--time", action="store_true", help="measure milliseconds per frame")
    parser.add_argument("--size", metavar="WxH", help=f"frame size for --time (default: {_SIZE})")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    if args.size and not args.time:
        raise UsageError("--size needs --time, which measures")
    size = frame_size(args.size or _SIZE) if args.time else None
    rows = [_row(model, size) for model in args.models or model_names()]
    if args.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows]))
    else:
        print(_table(rows))
    return 0


def frame_size(text: str) -> tuple[int, int]:
    """(width, height) of --size. Raises UsageError for anything but a size like 640x360."""
    if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", text):
        raise UsageError(f"--size must be a size like 640x360, not {text!r}")
    width, height = map(int, text.split("x"))
    if max(width, height) > _LARGEST:
        raise UsageError(f"--size must be at most {_LARGEST} each way, not {text}")
    return width, height


def _row(model: str, size: tuple[int, int] | None) -> ModelRow:
    weights, path = load_model(model), model_path(model)
    architecture = weights.architecture
    numbers = ",".join(map(str, architecture.dimensions))
    return ModelRow(
        name=str(path) if model.endswith(".npz") else path.stem,
        network=f"{architecture.family}({numbers})",
        scale=architecture.scale,
        weights=architecture.weights,
        multiplies=architecture.multiplies,
        bytes=path.stat().st_size,
        ms=round(frame_ms(Engine(weights), size), 1) if size else None,
        scores=scores(weights.facts),
    )


def scores(facts: Facts) -> dict[str, float]:
    """PSNR in dB by set, from {"scores": {"set5": ...}} and, in the oldest files, "kodak24_psnr"."""
    known = facts.get("scores", {})
    pairs = [*(known.items() if isinstance(known, dict) else ()), *_older(facts)]
    return {name: round(float(value), 3) for name, value in pairs if isinstance(value, int | float)}


def _older(facts: Facts) -> list[tuple[str, object]]:
    return [(name.removesuffix("_psnr"), value) for name, value in facts.items() if name.endswith("_psnr")]


def _table(rows: list[ModelRow]) -> str:
    """The table, with aligned columns."""
    sets = sorted({name for row in rows for name in row.scores}, key=_by_number)
    timed = ["ms"] if any(row.ms is not None for row in rows) else []
    lines = [["name", "network", "scale", "weights", "multiplies", "kB", *timed, *sets]]
    for row in rows:
        cells = [row.name, row.network, f"x{row.scale}", f"{row.weights:,}", f"{row.multiplies:,}"]
        cells += [f"{row.bytes / 1000:.0f}", *([f"{row.ms:.1f}"] if row.ms is not None else [])]
        lines.append([*cells, *(f"{row.scores[name]:.2f}" if name in row.scores else "-" for name in sets)])
    return aligned(lines, text_columns=2)


def _by_number(name: str) -> list[tuple[int, str]]:
    """A key that sorts set5 before set14."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
