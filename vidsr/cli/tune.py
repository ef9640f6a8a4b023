"""`vidsr tune`: which form of each network is fastest on this machine, measured and kept."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from vidsr.cli.messages import UsageError
from vidsr.cli.models import frame_size
from vidsr.cli.options import Commands, Help, add_output
from vidsr.cli.tables import aligned
from vidsr.cpu_affinity import describe_machine, plan_cores
from vidsr.engine.autotune import Trial, tried
from vidsr.engine.autotune_cache import tuned_path, tuned_with
from vidsr.engine.precision import settled
from vidsr.errors import TargetError
from vidsr.media.atomic_file import whole_file
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model, model_names

_EXAMPLE = """Measure which form of each network is fastest on this machine, and keep it for all runs that follow.

  vidsr tune
  vidsr tune fsrcnn-x2 mine.npz --size 1280x720 --precision f32

The last layer of a network can be computed in several forms, which give the same picture and take more or less time.
A form is kept for this processor, the versions of vidsr and OpenVINO, the network, the precision and the threads,
where it takes at least 3 % less time than the one that is built in; forms.json in ~/.cache/vidsr (or XDG_CACHE_HOME)
holds them, and may be deleted. On a busy machine nothing is found. GFLOP/s are of the network's own multiply-adds;
beside them stands their share of a matrix product's in float32, measured in the same rounds.
"""
_LIMIT_S = 8.0  # a network
_PRECISIONS = ("auto", "f32", "bf16", "int8")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one network."""

    name: str
    precision: str
    threads: int
    default: str
    """The form that is built in."""
    default_ms: float
    """A frame, in the median, as all that follows."""
    best: str
    """The form to be taken from now on: the same, where none is clearly faster."""
    best_ms: float
    gflops: float
    product_share: float
    """Of a matrix product's GFLOP/s."""


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "find the fastest form of the networks on this machine"
    parser = commands.add_parser("tune", help=text, description=_EXAMPLE, formatter_class=Help)
    parser.intermixed = True
    help_ = "a name or an .npz file; without one, all that ship"
    parser.add_argument("models", nargs="*", metavar="MODEL", help=help_)
    parser.add_argument("--size", default="640x360", metavar="WxH", help="of a frame (default: 640x360)")
    help_ = "threads of an engine (default: as many as a worker of `vidsr upscale` gets)"
    parser.add_argument("--threads", type=int, metavar="N", help=help_)
    help_ = "auto, f32, bf16 or int8 (default: auto)"
    parser.add_argument("--precision", default="auto", choices=_PRECISIONS, metavar="P", help=help_)
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, keep and print."""
    size = frame_size(args.size)
    if args.threads is not None and args.threads < 1:
        raise UsageError(f"--threads must be at least 1, not {args.threads}")
    (share, *_) = plan_cores(describe_machine(), threads=args.threads)
    networks = _different(args.models or model_names(), args.precision)
    _make(tuned_path().parent)
    rows = []
    for name, weights in networks.items():
        trial = tried(weights, size=size, threads=share.threads, precision=args.precision, limit_s=_LIMIT_S)
        _keep(trial, weights, threads=share.threads)
        rows.append(_row(name, trial, threads=share.threads))
    print(json.dumps([asdict(row) for row in rows]) if args.json else _table(rows))
    return 0


def _different(models: Iterable[str], precision: str) -> dict[str, Weights]:
    """The networks by name, of those that are computed alike only the first: other weights take the same time."""
    found = {name: load_model(name) for name in models}
    kinds = {name: (weights.architecture, settled(precision, weights)) for name, weights in found.items()}
    firsts = {kind: name for name, kind in reversed(kinds.items())}
    return {name: weights for name, weights in found.items() if firsts[kinds[name]] == name}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(f"{folder}: {error.strerror}") from error


def _keep(trial: Trial, weights: Weights, *, threads: int) -> None:
    form = trial.chosen if trial.chosen != trial.default else None
    text = tuned_with(form, weights.architecture, precision=trial.precision, threads=threads)
    with whole_file(tuned_path(), overwrite=True) as file:
        file.write(text.encode())


def _row(name: str, trial: Trial, *, threads: int) -> Row:
    gflops = trial.gflops(trial.chosen)
    return Row(
        name=name,
        precision=trial.precision,
        threads=threads,
        default=str(trial.default),
        default_ms=round(median(trial.ms[trial.default]), 1),
        best=str(trial.chosen),
        best_ms=round(median(trial.ms[trial.chosen]), 1),
        gflops=round(gflops, 1),
        product_share=round(gflops / trial.product_gflops, 2),
    )


def _table(rows: list[Row]) -> str:
    lines = [["name", "precision", "threads", "default", "ms", "best", "ms", "GFLOP/s", "of a product"]]
    lines += [
        [
            row.name,
            row.precision,
            str(row.threads),
            *(row.default, f"{row.default_ms:.1f}", row.best, f"{row.best_ms:.1f}"),
            *(f"{row.gflops:.1f}", f"{row.product_share:.2f}"),
        ]
        for row in rows
    ]
    return aligned(lines, text_columns=2)
