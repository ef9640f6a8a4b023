"""Find the fastest precision and blocking of each network on this machine; both are used from now on.

  vidsr tune
  vidsr tune fsrcnn-x2 mine.npz --size 1280x720 --threads 1

A network can be computed in f32, bf16 or int8, and its last layer in several blockings: blocks of pixels that are
computed at once. Precisions differ in speed and a little in quality, blockings in speed alone. Each is compared with
f32 first; one that is wrong on this CPU is named and never used. Results are kept per processor, versions of vidsr and
OpenVINO, network and threads, in autotune.json in ~/.cache/vidsr (or XDG_CACHE_HOME), which may be deleted. A blocking
is kept where it takes at least 3 % less time than the built-in one: on a busy machine often none is. GFLOP/s count the
network's own multiply-adds; "of product" is their share of a matrix product's in float32, of the same rounds.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from vidsr.cli.models import frame_size
from vidsr.cli.options import Parser
from vidsr.cli.output import UsageError, aligned
from vidsr.cpu import describe_machine, plan_cores
from vidsr.engine.autotune import Tuning, tune
from vidsr.engine.autotune_cache import cache_path
from vidsr.engine.precision import precision_order
from vidsr.errors import TargetError
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model, model_names
from vidsr.settings import PRECISIONS

_LIMIT_S = 8.0  # per network and number of threads


@dataclass(frozen=True, kw_only=True)
class TuningRow:
    """The measurement of one network on a number of threads."""

    name: str
    threads: int
    default: str
    """The built-in precision and blocking."""
    default_ms: float
    """Per frame, the median; the same for `best_ms`."""
    best: str
    """The precision and blocking from now on."""
    best_ms: float
    gain: float
    """`default_ms` / `best_ms`."""
    gflops: float
    product_share: float
    """Of a matrix product's GFLOP/s."""
    rejected: list[str]
    """A sentence per graph that is wrong on this CPU."""


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.intermixed = True
    help_ = "a name or an .npz file (default: all that ship)"
    parser.add_argument("models", nargs="*", metavar="MODEL", help=help_)
    parser.add_argument("--size", default="640x360", metavar="WxH", help="frame size to measure (default: 640x360)")
    help_ = "threads of an engine (default: 1, and as many as a worker of `vidsr upscale` gets)"
    parser.add_argument("--threads", type=int, metavar="N", help=help_)
    help_ = "f32, bf16 or int8 (default: auto, which measures each whose loss is recorded)"
    parser.add_argument("--precision", default="auto", choices=PRECISIONS, metavar="P", help=help_)


def run(args: argparse.Namespace) -> int:
    """Measure, keep and print."""
    size = frame_size(args.size)
    if args.threads is not None and args.threads < 1:
        raise UsageError(f"--threads must be at least 1, not {args.threads}")
    (share, *_) = plan_cores(describe_machine(), threads=args.threads)
    networks = _distinct(args.models or model_names(), args.precision)
    _require_cache()
    rows = [
        _tuned(name, weights, size=size, threads=threads, precision=args.precision)
        for name, weights in networks.items()
        for threads in sorted({share.threads} if args.threads else {1, share.threads})
    ]
    print(json.dumps([asdict(row) for row in rows]) if args.json else _table(rows))
    return 0


def _distinct(models: Iterable[str], precision: str) -> dict[str, Weights]:
    """The networks by name; of those that are computed alike only the first: other weights take the same time."""
    found = {name: load_model(name) for name in models}
    kinds = {
        name: (weights.architecture, tuple(choice.precision for choice in precision_order(precision, weights)))
        for name, weights in found.items()
    }
    firsts = {kind: name for name, kind in reversed(kinds.items())}
    return {name: weights for name, weights in found.items() if firsts[kinds[name]] == name}


def _require_cache() -> None:
    folder = cache_path().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(f"{folder}: cannot be made ({error.strerror}); set XDG_CACHE_HOME to a folder") from error


def _tuned(name: str, weights: Weights, *, size: tuple[int, int], threads: int, precision: str) -> TuningRow:
    """Measure one network and keep the result."""
    tuning = tune(weights, size=size, threads=threads, precision=precision, limit_s=_LIMIT_S)
    try:
        tuning.keep(weights)
    except OSError as error:
        raise TargetError(f"{cache_path()}: cannot be written ({error.strerror})") from error
    return _row(name, weights, tuning, precision)


def _row(name: str, weights: Weights, tuning: Tuning, precision: str) -> TuningRow:
    times = {each: tuning.best_ms(each) for each in tuning.ms}
    usual = _first_measured(weights, tuning, precision)
    best = _first_measured(weights, tuning, "auto", times) if precision == "auto" else usual
    gflops = tuning.gflop / times[best] * 1000
    return TuningRow(
        name=name,
        threads=tuning.threads,
        default=f"{usual} {next(iter(tuning.ms[usual]))}",
        default_ms=round(tuning.default_ms(usual), 1),
        best=f"{best} {tuning.blocking(best)}",
        best_ms=round(times[best], 1),
        gain=round(tuning.default_ms(usual) / times[best], 2),
        gflops=float(f"{gflops:.3g}"),
        product_share=float(f"{gflops / tuning.product_gflops:.3g}"),
        rejected=tuning.rejected,
    )


def _first_measured(weights: Weights, tuning: Tuning, precision: str, times: dict[str, float] | None = None) -> str:
    """The first precision in the order that engines try, of those that were measured."""
    order = precision_order(precision, weights, tuned_ms=times)
    return next((choice.precision for choice in order if choice.precision in tuning.ms), next(iter(tuning.ms)))


def _table(rows: list[TuningRow]) -> str:
    lines = [["name", "threads", "built in", "ms", "best", "ms", "gain", "GFLOP/s", "of product"]]
    for row in rows:
        cells = [row.name, str(row.threads), row.default, f"{row.default_ms:.1f}", row.best, f"{row.best_ms:.1f}"]
        lines.append([*cells, f"{row.gain:.2f}", f"{row.gflops:.1f}", f"{row.product_share:.2f}"])
    rejected = sorted({sentence for row in rows for sentence in row.rejected})
    return "\n".join([aligned(lines, text_columns=1), *rejected])
