"""What each stage costs a frame, in seconds of work: what tools/simulate.py is fed with."""

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

from cost.pipeline_model import Costs
from vidsr import Engine, PoolSettings, Reader
from vidsr.arrays import Plane
from vidsr.media.encoders import encoder_options
from vidsr.media.frame import Frame
from vidsr.media.scale import LumaMerger
from vidsr.model.architecture import Architecture
from vidsr.model.weights import Weights
from vidsr.pool import open_pool
from vidsr.settings import EncodeSettings

_CODERS = 4  # threads of x264 while its parts are told apart
_CALLER_LOOKS = "sync-lookahead=0:lookahead-threads=1"  # else a thread of its own looks ahead

Figures = dict[str, float]


def stage_costs(clip: Path, weights: Weights, *, frames: int, ray: bool = True) -> tuple[Costs, Figures]:
    """The costs of the clip's first frames, and what else was measured on the way; `ray` False leaves transfers 0."""
    reading = _reading(clip, frames)
    with Reader(clip) as reader:
        taken: list[Frame] = list(islice(reader, frames))
        planes, depth = [frame.luma for frame in taken], reader.info.depth
        engine, enlarged = _engine(weights, planes, depth)
        merge, large = _merging(taken, enlarged)
        coding = _coding(large, reader.time_base)
    moving = _moving(weights, planes, depth) if ray else dict.fromkeys(("send", "give_back", "receive"), 0.0)
    in_bytes, out_bytes = planes[0].nbytes * 1.5, enlarged[0].nbytes * 1.5
    costs = Costs(
        **reading,
        engine=engine["one_thread"],
        engine_serial=_serial(engine["one_thread"] / engine["two_threads"]),
        **moving,
        merge=merge,
        **{name: coding.pop(name) for name in list(coding) if name.startswith("encode_")},
        in_gb=in_bytes / 1e9,
        out_gb=out_bytes / 1e9,
        engine_gb=planes[0].size * bytes_a_pixel(weights.architecture) / 1e9,
        rows_out=enlarged[0].shape[0],
    )
    return costs, {**{f"engine_{name}": value for name, value in engine.items()}, **coding}


def rounded(costs: Costs) -> Figures:
    """The costs as they are kept, to three or four digits."""
    return {name: float(f"{value:.4g}") for name, value in asdict(costs).items()}


def bytes_a_pixel(architecture: Architecture) -> int:
    """What the layers write and read for a pixel that comes in, were no map ever still in a cache."""
    places = architecture.scale**2 if architecture.upscales_first else 1
    body = sum(layer.inputs + layer.outputs for layer in architecture.body)
    return int(4 * places * (body + architecture.tail.inputs)) + architecture.scale**2


def copy_gb_s(threads: int, *, rounds: int = 5) -> float:
    """Gigabytes a second that so many threads read and write in copying, at their best."""
    pairs = [(np.ones(32 << 20, np.uint8), np.empty(32 << 20, np.uint8)) for _ in range(threads)]

    def copy(pair: tuple[Plane, Plane]) -> None:
        for _ in range(4):
            np.copyto(pair[1], pair[0])

    seconds = []
    for _ in range(rounds):
        crew = [threading.Thread(target=copy, args=(pair,)) for pair in pairs]
        seconds.append(_wall(lambda crew=crew: [[one.start() for one in crew], [one.join() for one in crew]]))
    return float(2 * 4 * threads * (32 << 20) / min(seconds) / 1e9)


def _reading(clip: Path, frames: int) -> Figures:
    """The reader's own thread and those of the decoder."""
    with Reader(clip) as reader, _work() as spent:
        count = sum(1 for _ in islice(reader, frames))
    return {
        "decode_call": spent["own"] / count,
        "decode_threads": max(0.0, spent["all"] - spent["own"]) / count,
    }


def _engine(weights: Weights, planes: Sequence[Plane], depth: int) -> tuple[Figures, list[Plane]]:
    """Seconds a plane with one and two threads, as a pool's worker enlarges, and what came of the planes.

    Both are counted by work, which the neighbours on the machine hardly touch, two threads by that of the one that
    calls: it has its share, and spins while it waits. The best times by the clock are given beside them.
    """
    one, two = (Engine(weights, threads=n) for n in (1, 2))
    enlarged, alone, side_by_side = [], [], []
    for engine in (one, two):
        engine(planes[0], depth)  # compiles
    for plane in planes:
        with _work() as spent:
            result = one(plane, depth)
        alone.append(spent)
        enlarged.append(result.copy())
        with _work() as spent:
            two(plane, depth)
        side_by_side.append(spent)
    return {
        "one_thread": statistics.median(spent["all"] for spent in alone),
        "two_threads": statistics.median(spent["own"] for spent in side_by_side),
        "clock_1": min(spent["wall"] for spent in alone),
        "clock_2": min(spent["wall"] for spent in side_by_side),
    }, enlarged


def _serial(speed_up: float) -> float:
    """The share that Amdahl's law explains the speed-up of two threads with."""
    return min(1.0, max(0.0, 2 / speed_up - 1))


def _merging(frames: Sequence[Frame], enlarged: Sequence[Plane]) -> tuple[float, list[VideoFrame]]:
    merger, pictures, worked = LumaMerger(), [], []
    for frame, plane in zip(frames, enlarged, strict=True):
        with _work() as spent:
            height, width = plane.shape
            pictures.append(merger.resize(merger.merge(frame.av_frame, plane), (width, height)))
        worked.append(spent["own"])
    return statistics.median(worked), pictures


def _coding(pictures: Sequence[VideoFrame], time_base: Fraction) -> Figures:
    """x264's parts: what its caller does, what it does to one picture after the other, and the rest."""
    alone = _coded(pictures, time_base, threads=1)
    beside = _coded(pictures, time_base, threads=_CODERS)
    ahead = _coded(pictures, time_base, threads=_CODERS, told=_CALLER_LOOKS)
    lookahead = max(0.0, ahead["own"] - beside["own"])
    return {
        "encode_call": beside["own"],
        "encode_lookahead": lookahead,
        "encode_threads": max(0.0, beside["all"] - beside["own"] - lookahead),
        "coder_one_thread": alone["all"],
        "coder_clock_1": alone["wall"],
        "coder_clock_2": _coded(pictures, time_base, threads=2)["wall"],
    }


def _coded(pictures: Sequence[VideoFrame], time_base: Fraction, *, threads: int, told: str = "") -> Figures:
    """Seconds a picture: the work of the calling thread, that of all, and the time that passed."""
    context = av.CodecContext.create("libx264", "w")
    first = pictures[0]
    context.width, context.height, context.pix_fmt = first.width, first.height, first.format.name
    context.time_base, context.framerate, context.thread_count = time_base, Fraction(25), threads
    context.thread_type = "FRAME"
    options = encoder_options(EncodeSettings(preset="veryfast"), {})
    context.options = {**options, "x264-params": told} if told else options
    with _work() as spent:
        for picture in pictures:
            context.encode(picture)
        context.encode(None)
    return {name: value / len(pictures) for name, value in spent.items()}


def _moving(weights: Weights, planes: Iterable[Plane], depth: int) -> Figures:
    """What one worker's planes cost beside the engine, one at a time: sending, giving back, receiving."""
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
def _work() -> Iterator[Figures]:
    """The seconds that this thread and the whole process worked, and that passed, once the block has ended."""
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
