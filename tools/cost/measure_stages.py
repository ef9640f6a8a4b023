"""The cost of each stage per frame, in CPU seconds: the input of tools/simulate.py."""

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av import VideoFrame

from cost.pipeline_model import StageCosts
from vidsr import Engine, PoolSettings, Reader
from vidsr.arrays import Plane
from vidsr.media.encoders import encoder_options
from vidsr.media.frame import Frame
from vidsr.media.luma_merger import LumaMerger
from vidsr.model.architecture import Architecture
from vidsr.model.weights import Weights
from vidsr.pool import open_pool
from vidsr.settings import EncodeSettings

_CODERS = 4  # threads of x264 while its parts are measured separately
_LOOKAHEAD_IN_CALLER = "sync-lookahead=0:lookahead-threads=1"  # default: a thread of its own

Figures = dict[str, float]


def measure_stage_costs(clip: Path, weights: Weights, *, frames: int, ray: bool = True) -> tuple[StageCosts, Figures]:
    """The costs over the clip's first frames, and further figures; without `ray` the transfers cost 0."""
    decoder = _decoder(clip, frames)
    with Reader(clip) as reader:
        taken: list[Frame] = list(islice(reader, frames))
        planes, depth = [frame.luma for frame in taken], reader.info.depth
        engine, upscaled = _engine(weights, planes, depth)
        merge, large = _merger(taken, upscaled)
        coding = _encoder(large, reader.time_base)
    transfers = _transfers(weights, planes, depth) if ray else dict.fromkeys(("send", "give_back", "receive"), 0.0)
    in_bytes, out_bytes = planes[0].nbytes * 1.5, upscaled[0].nbytes * 1.5
    costs = StageCosts(
        **decoder,
        engine=engine["one_thread"],
        engine_serial=_serial(engine["one_thread"] / engine["two_threads"]),
        **transfers,
        merge=merge,
        **{name: coding.pop(name) for name in list(coding) if name.startswith("encode_")},
        in_gb=in_bytes / 1e9,
        out_gb=out_bytes / 1e9,
        engine_gb=planes[0].size * bytes_per_pixel(weights.architecture) / 1e9,
        rows_out=upscaled[0].shape[0],
    )
    return costs, {**{f"engine_{name}": value for name, value in engine.items()}, **coding}


def rounded_costs(costs: StageCosts) -> Figures:
    """The costs to four significant digits."""
    return {name: float(f"{value:.4g}") for name, value in asdict(costs).items()}


def bytes_per_pixel(architecture: Architecture) -> int:
    """Memory traffic of all layers per input pixel, if no feature map stays in a cache."""
    places = architecture.scale**2 if architecture.upscales_first else 1
    body = sum(layer.inputs + layer.outputs for layer in architecture.body)
    return int(4 * places * (body + architecture.tail.inputs)) + architecture.scale**2


def copy_gb_s(threads: int, *, rounds: int = 5) -> float:
    """Best copy bandwidth of `threads` threads in GB per second, reads plus writes."""
    pairs = [(np.ones(32 << 20, np.uint8), np.empty(32 << 20, np.uint8)) for _ in range(threads)]

    def copy(pair: tuple[Plane, Plane]) -> None:
        for _ in range(4):
            np.copyto(pair[1], pair[0])

    seconds = []
    for _ in range(rounds):
        workers = [threading.Thread(target=copy, args=(pair,)) for pair in pairs]
        seconds.append(
            _wall(lambda workers=workers: [[one.start() for one in workers], [one.join() for one in workers]])
        )
    return float(2 * 4 * threads * (32 << 20) / min(seconds) / 1e9)


def _decoder(clip: Path, frames: int) -> Figures:
    """Costs of the reader's own thread and of the decoder's threads."""
    with Reader(clip) as reader, _timed() as spent:
        count = sum(1 for _ in islice(reader, frames))
    return {
        "decode_call": spent["own"] / count,
        "decode_threads": max(0.0, spent["all"] - spent["own"]) / count,
    }


def _engine(weights: Weights, planes: Sequence[Plane], depth: int) -> tuple[Figures, list[Plane]]:
    """Seconds per plane with one and two threads, as in a worker, and the upscaled planes.

    Both are CPU times, which other load on the machine hardly changes; with two threads that of the calling thread,
    which does its share and spins while it waits. `clock_1` and `clock_2` are the best wall-clock times.
    """
    one, two = (Engine(weights, threads=n) for n in (1, 2))
    upscaled, alone, side_by_side = [], [], []
    for engine in (one, two):
        engine(planes[0], depth)  # compiles
    for plane in planes:
        with _timed() as spent:
            result = one(plane, depth)
        alone.append(spent)
        upscaled.append(result.copy())
        with _timed() as spent:
            two(plane, depth)
        side_by_side.append(spent)
    return {
        "one_thread": statistics.median(spent["all"] for spent in alone),
        "two_threads": statistics.median(spent["own"] for spent in side_by_side),
        "clock_1": min(spent["wall"] for spent in alone),
        "clock_2": min(spent["wall"] for spent in side_by_side),
    }, upscaled


def _serial(speed_up: float) -> float:
    """The serial share, by Amdahl's law, from the speed-up of two threads."""
    return min(1.0, max(0.0, 2 / speed_up - 1))


def _merger(frames: Sequence[Frame], upscaled: Sequence[Plane]) -> tuple[float, list[VideoFrame]]:
    merger, merged, cpu_s = LumaMerger(), [], []
    for frame, plane in zip(frames, upscaled, strict=True):
        with _timed() as spent:
            height, width = plane.shape
            merged.append(merger.resize(merger.merge(frame.av_frame, plane), (width, height)))
        cpu_s.append(spent["own"])
    return statistics.median(cpu_s), merged


def _encoder(frames: Sequence[VideoFrame], time_base: Fraction) -> Figures:
    """x264's parts: the calling thread, the lookahead, and the rest."""
    alone = _encode(frames, time_base, threads=1)
    beside = _encode(frames, time_base, threads=_CODERS)
    ahead = _encode(frames, time_base, threads=_CODERS, params=_LOOKAHEAD_IN_CALLER)
    lookahead = max(0.0, ahead["own"] - beside["own"])
    return {
        "encode_call": beside["own"],
        "encode_lookahead": lookahead,
        "encode_threads": max(0.0, beside["all"] - beside["own"] - lookahead),
        "coder_one_thread": alone["all"],
        "coder_clock_1": alone["wall"],
        "coder_clock_2": _encode(frames, time_base, threads=2)["wall"],
    }


def _encode(frames: Sequence[VideoFrame], time_base: Fraction, *, threads: int, params: str = "") -> Figures:
    """Seconds per frame: CPU time of the calling thread, CPU time of all threads, and wall-clock time."""
    context = av.CodecContext.create("libx264", "w")
    first = frames[0]
    context.width, context.height, context.pix_fmt = first.width, first.height, first.format.name
    context.time_base, context.framerate, context.thread_count = time_base, Fraction(25), threads
    context.thread_type = "FRAME"
    options = encoder_options(EncodeSettings(preset="veryfast"))
    context.options = {**options, "x264-params": params} if params else options
    with _timed() as spent:
        for frame in frames:
            context.encode(frame)
        context.encode(None)
    return {name: value / len(frames) for name, value in spent.items()}


def _transfers(weights: Weights, planes: Iterable[Plane], depth: int) -> Figures:
    """The overhead of one worker per plane: sending, storing the result, receiving."""
    sent, given, received = [], [], []
    with open_pool(weights, PoolSettings(workers=1, threads=1)) as pool:
        for plane in planes:
            before = pool.engine_s
            began = time.thread_time()
            ticket = pool.send(plane, depth)
            sent.append(time.thread_time() - began)
            waited = time.perf_counter()
            while not ticket.ready():
                time.sleep(0.0002)
            waited = time.perf_counter() - waited
            began = time.thread_time()
            ticket.result()
            received.append(time.thread_time() - began)
            given.append(waited - (pool.engine_s - before))
    return {
        "send": statistics.median(sent),
        "give_back": max(0.0, min(given)),
        "receive": statistics.median(received),
    }


@contextmanager
def _timed() -> Iterator[Figures]:
    """CPU seconds of this thread and of the process, and wall-clock seconds; filled in when the block ends."""
    spent: Figures = {}
    own, all_, wall = time.thread_time(), time.process_time(), time.perf_counter()
    yield spent
    spent["own"] = time.thread_time() - own
    spent["all"] = time.process_time() - all_
    spent["wall"] = time.perf_counter() - wall


def _wall(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
