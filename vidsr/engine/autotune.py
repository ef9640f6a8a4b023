"""The fastest precision and blocking of a network on this machine, by measuring all of them in turn."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import median

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from openvino import opset15 as ops

from vidsr.arrays import Luma
from vidsr.cpu import this_cpu
from vidsr.engine import BAND_PIXELS, Engine
from vidsr.engine.accuracy import AccuracyCheck
from vidsr.engine.autotune_cache import save_tuning
from vidsr.engine.blocking import OutputBlocking, blockings, default_blocking
from vidsr.engine.compiled_network import CompiledNetwork, InaccurateGraphError
from vidsr.engine.openvino_core import openvino_core
from vidsr.engine.precision import precision_on, precision_order
from vidsr.errors import ModelError
from vidsr.model.weights import Weights

MIN_GAIN = 0.97
"""The share of the default blocking's time that another must not exceed to be chosen: less is noise."""
_MIN_ROUNDS, _MAX_ROUNDS = 5, 20
_FRAME_RUNS = 5
_SIDE = 1024  # of the matrices
_Run = tuple[str, OutputBlocking]
"""A precision and a blocking."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The times of a network in all its precisions and blockings, each measured once per round."""

    threads: int
    size: tuple[int, int]
    """(width, height) of a frame."""
    ms: Mapping[str, Mapping[OutputBlocking, list[float]]]
    """Milliseconds per frame by precision and blocking, one per round; the default blocking comes first."""
    gflop: float
    """Per frame, by the usual count: two for each multiply-add of `Architecture.multiplies`."""
    product_gflops: float
    """GFLOP/s of a matrix product in float32, in the same rounds, on as many threads."""
    unusable: tuple[str, ...] = ()
    """The precisions without a right graph on this CPU."""
    rejected: list[str] = field(default_factory=list)
    """A sentence per graph that is wrong on this CPU."""

    def blocking(self, precision: str) -> OutputBlocking:
        """The fastest blocking; the default one where none is clearly faster: in its pairs, in median and minimum."""
        ms = self.ms[precision]
        default = next(iter(ms))
        best = min(ms, key=partial(_ratio, ms, default))
        clearly = all(mean(ms[best]) <= MIN_GAIN * mean(ms[default]) for mean in (median, min))
        return best if clearly and _ratio(ms, default, best) <= MIN_GAIN else default

    def best_ms(self, precision: str) -> float:
        """The median time in the chosen blocking."""
        return median(self.ms[precision][self.blocking(precision)])

    def default_ms(self, precision: str) -> float:
        """The median time in the default blocking."""
        return median(next(iter(self.ms[precision].values())))

    def keep(self, weights: Weights) -> None:
        """Write the times and the blockings where engines find them. Raises OSError."""
        default = default_blocking(weights.architecture)
        chosen = {precision: self.blocking(precision) for precision in self.ms}
        blocking = {precision: each if each != default else None for precision, each in chosen.items()}
        times = {precision: round(self.best_ms(precision), 3) for precision in self.ms}
        times |= dict.fromkeys(self.unusable, math.inf)
        save_tuning(weights.architecture, threads=self.threads, ms=times, blocking=blocking, size=self.size)


def tune(weights: Weights, *, size: tuple[int, int], threads: int, precision: str, limit_s: float) -> Tuning:
    """The times on planes of (width, height), 8 bits, in rounds: 5, and up to 20 that begin within `limit_s`.

    `precision` "auto" measures f32 and every precision whose loss is recorded. Raises ModelError for integers without
    a calibration, and where no graph is right.
    """
    plane = noise_plane(size)
    precisions = _precisions(weights, precision)
    networks, rejected = _accurate(weights, plane, threads=threads, precisions=precisions)
    if not networks:
        raise ModelError(f"no graph is right here: {rejected[0]}")
    product = _matrix_product(threads)
    product()
    product_ms, ms = list[float](), {run: list[float]() for run in networks}
    began = time.perf_counter()
    for done in range(_MAX_ROUNDS):
        if done >= _MIN_ROUNDS and time.perf_counter() - began >= limit_s:
            break
        product_ms.append(run_ms(product))
        for run, network in networks.items():
            ms[run].append(run_ms(partial(network.upscale, plane, 8, band_pixels=BAND_PIXELS)))
    return Tuning(
        threads=threads,
        size=size,
        unusable=tuple(name for name in precisions if name not in {own for own, _ in networks}),
        ms={name: {block: times for (own, block), times in ms.items() if own == name} for name, _ in ms},
        gflop=2 * weights.architecture.multiplies * plane.size / 1e9,
        product_gflops=2 * _SIDE**3 / median(product_ms) / 1e6,
        rejected=rejected,
    )


def frame_ms(engine: Engine, size: tuple[int, int]) -> float:
    """Milliseconds per frame of (width, height), 8 bits: the median of five, after one that compiles."""
    plane = noise_plane(size)
    engine(plane)
    return median(run_ms(partial(engine, plane)) for _ in range(_FRAME_RUNS))


def noise_plane(size: tuple[int, int]) -> Luma:
    """A plane of (width, height), on which nothing can be spared."""
    width, height = size
    return np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)


def _precisions(weights: Weights, precision: str) -> list[str]:
    if precision != "auto":
        return [precision_order(precision, weights)[0].precision]
    known = weights.calibration.losses if weights.calibration else {}
    return [
        name
        for name in dict.fromkeys(precision_on(name, this_cpu()) for name in ("int8", "bf16", "f32"))
        if name == "f32" or name in known
    ]


def _accurate(
    weights: Weights, plane: Luma, *, threads: int, precisions: list[str]
) -> tuple[dict[_Run, CompiledNetwork], list[str]]:
    """The networks whose graphs for the plane are accurate, compiled for it, and the faults of the others."""
    default = default_blocking(weights.architecture)
    build = partial(CompiledNetwork, weights, threads=threads)
    check = AccuracyCheck(weights, build(precision="f32", blocking=default).upscale_tiles)
    networks, rejected = dict[_Run, CompiledNetwork](), list[str]()
    for precision in precisions:
        for blocking in blockings(weights.architecture):
            network = build(precision=precision, blocking=blocking, check=None if precision == "f32" else check)
            try:
                network.upscale(plane, 8, band_pixels=BAND_PIXELS)
                networks[precision, blocking] = network
            except InaccurateGraphError as error:
                rejected.append(str(error))
    return networks, rejected


def _matrix_product(threads: int) -> Callable[[], object]:
    """A matrix times a constant one, as the weights of a network are: no slower than NumPy's product."""
    first, second = np.random.default_rng(0).random((2, _SIDE, _SIDE), dtype=np.float32)
    factor = ops.parameter([_SIDE, _SIDE], ov.Type.f32, "factor")
    model = ov.Model([ops.matmul(factor, ops.constant(second), False, False)], [factor], "product")
    config = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino_core().compile_model(model, "CPU", config).create_infer_request()
    return partial(request.infer, [first], share_inputs=True, share_outputs=True)


def _ratio(ms: Mapping[OutputBlocking, list[float]], default: OutputBlocking, blocking: OutputBlocking) -> float:
    """Of the default blocking's time, in the median of the rounds."""
    return median(own / other for own, other in zip(ms[blocking], ms[default], strict=True))


def run_ms(call: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)
