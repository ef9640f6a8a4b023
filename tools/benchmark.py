"""Measure speed and memory on this machine, as ratios within one run.

  python tools/benchmark.py engine --model fsrcnn-x2       the engine, OpenVINO's conversion, and PyTorch
  python tools/benchmark.py command --clip CLIP            the whole command, and the limit set by its parts
  python tools/benchmark.py memory                         peak memory of the engine and of the whole command

Each prints one line of JSON, and with --output FILE adds it to the file, which tools/readme_tables.py turns into a
table. Run on an idle machine; calls alternate, so that a drift of the machine affects all of them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from cost.process_monitor import run_monitored

from vidsr import EncodeSettings, Engine, PoolSettings, Reader, UpscaleSettings, Writer, upscale
from vidsr.arrays import Plane
from vidsr.cpu import this_cpu
from vidsr.media.luma_merger import LumaMerger
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model

Figures = dict[str, float | int | str]
ROUNDS = 9


def medians(*calls: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each call; the calls alternate, after a warm-up round."""
    seconds: list[list[float]] = [[] for _ in calls]
    for round_ in range(rounds + 1):
        for call, spent in zip(calls, seconds, strict=True):
            time.sleep(0.1)  # threads of the previous call still spin, PyTorch's above all
            began = time.perf_counter()
            call()
            if round_:
                spent.append(time.perf_counter() - began)
    return [statistics.median(spent) for spent in seconds]


def bench_engine(args: argparse.Namespace) -> Figures:
    """Milliseconds per frame of the engine, of the same layers by OpenVINO's conversion, and of PyTorch."""
    width, height = map(int, args.size.split("x"))
    plane = np.random.default_rng(0).integers(16, 236, (height, width), dtype=np.uint8)
    weights = load_model(args.model)
    ms = _frame_times_ms(weights, plane, args.threads)
    a, b = np.random.default_rng(1).random((2, 2048, 2048), dtype=np.float32)
    (product,) = medians(lambda: a @ b, rounds=3)
    gflop = 2 * weights.architecture.multiplies * plane.size / 1e9
    return {
        "cpu": str(this_cpu()),
        "model": str(weights.architecture),
        "size": args.size,
        "threads": args.threads,
        **{f"{name}_ms": round(one, 1) for name, one in ms.items()},
        "times_plain_openvino": round(ms["plain_openvino"] / ms["engine"], 2),
        "times_pytorch": round(ms["pytorch"] / ms["engine"], 2),
        "times_plain_openvino_beside": round(ms["plain_openvino"] / ms["engines_beside"], 2),
        "gflops": round(1e3 * gflop / ms["engine"], 1),
        "gflops_beside": round(1e3 * gflop / ms["engines_beside"], 1),
        "sgemm_gflops": round(2 * 2048**3 / product / 1e9, 1),
    }


def _frame_times_ms(weights: Weights, plane: Plane, threads: int) -> dict[str, float]:
    """Milliseconds per frame of each upscaler with all threads, and of engines in parallel, as in a pool.

    There are as many parallel engines as threads; each has one thread and a frame of its own.
    """
    import reference_model

    engine = partial(Engine, weights, precision="f32")
    upscalers = (
        engine(threads=threads),
        reference_model.openvino_upscaler(weights, threads),
        reference_model.pytorch_upscaler(weights, threads),
    )
    one_thread_engines = [engine(threads=1) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as executor:
        parallel = partial(_run_parallel, executor, one_thread_engines, plane)
        seconds = medians(*(partial(upscale, plane) for upscale in upscalers), parallel)
    names, frames = ("engine", "plain_openvino", "pytorch", "engines_beside"), (1, 1, 1, threads)
    return {name: 1e3 * one / count for name, one, count in zip(names, seconds, frames, strict=True)}


def _run_parallel(executor: Executor, engines: Sequence[Callable[[Plane], Plane]], plane: Plane) -> None:
    """Upscale the plane with every engine at the same time."""
    list(executor.map(lambda engine: engine(plane), engines))


def bench_command(args: argparse.Namespace) -> Figures:
    """Frames per second of the whole command, and of its engine and its encoder alone with all cores."""
    encode = EncodeSettings(preset=args.preset)
    with tempfile.TemporaryDirectory() as folder:
        engine_fps, encoder_fps = _parts(args.clip, Path(folder) / "alone.mp4", args.model, encode)
        times: list[float] = []
        report = upscale(
            args.clip,
            Path(folder) / "whole.mp4",
            settings=UpscaleSettings(model=args.model),
            encode=encode,
            pool=PoolSettings(workers=args.workers),
            on_progress=lambda done, total: times.append(time.perf_counter()),
        )
    window = 2 * (args.workers + 2)  # frames that fill and drain the pipeline, not measured
    steady = times[window:-window]
    fps = (len(steady) - 1) / (steady[-1] - steady[0])
    allowed = 1 / (1 / engine_fps + 1 / encoder_fps)
    return {
        "model": report.model,
        "frames": report.frames_written,
        "workers": args.workers,
        "preset": args.preset or "medium",
        "engine_fps": round(engine_fps, 2),
        "encoder_fps": round(encoder_fps, 2),
        "allowed_fps": round(allowed, 2),
        "command_fps": round(fps, 2),
        "command_fps_with_start": round(report.fps, 2),
        "share_of_allowed": round(fps / allowed, 2),
    }


def _parts(clip: Path, target: Path, model: str, encode: EncodeSettings) -> tuple[float, float]:
    """Frames per second of engine and encoder, each alone, over the first frames of the clip."""
    engine, merger = Engine(model, threads=len(os.sched_getaffinity(0))), LumaMerger()
    with Reader(clip) as reader:
        frames = [frame for frame, _ in zip(reader, range(100), strict=False)]
        engine(frames[0].luma, reader.info.depth)
        began = time.perf_counter()
        planes = [engine(frame.luma, reader.info.depth) for frame in frames]
        engine_s = time.perf_counter() - began
        upscaled = [merger.merge(frame.av_frame, plane) for frame, plane in zip(frames, planes, strict=True)]
        began = time.perf_counter()
        size = (upscaled[0].width, upscaled[0].height)
        with Writer(target, reader.template, size=size, encode=encode) as writer:
            for frame in upscaled:
                writer.write(frame)
            writer.finish(())
        return len(frames) / engine_s, len(frames) / (time.perf_counter() - began)


def bench_memory(args: argparse.Namespace) -> Figures:
    """Peak MB of the engine on a 4K plane, and of all processes of the command, 1080p to 2160p; growth with length."""
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large.mp4", Path(folder) / "small.mp4"
        _noise_clip(large, (1920, 1080), args.frames)
        _noise_clip(small, (160, 90), 2000)
        options = ["--model", args.model, "--preset", "veryfast", "--overwrite", "-q"]
        whole = run_monitored([*_vidsr(large, folder), *options]).peak_mb
        short = _peak_of_one([*_vidsr(small, folder), *options, "--workers", "0", "--end", "6.66"])
        long = _peak_of_one([*_vidsr(small, folder), *options, "--workers", "0"])
    code = f"import numpy, vidsr; vidsr.Engine({args.model!r})(numpy.zeros((2160, 3840), numpy.uint8))"
    return {
        "engine_2160p_mb": round(_peak_of_one([sys.executable, "-c", code])),
        "command_1080p_to_2160p_mb": round(whole),
        "command_200_frames_mb": round(short, 1),
        "command_2000_frames_mb": round(long, 1),
        "growth": round(long / short - 1, 3),
    }


def _vidsr(source: Path, folder: str) -> list[str]:
    return [sys.executable, "-m", "vidsr", "upscale", str(source), str(Path(folder) / "out.mp4")]


def _noise_clip(path: Path, size: tuple[int, int], frames: int) -> None:
    import av

    random = np.random.default_rng(0)
    width, height = size
    base = random.integers(0, 256, (height + 64, width + 64, 3), dtype=np.uint8)
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(frames):
            view = base[i % 64 : i % 64 + height, i % 64 : i % 64 + width]
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(view), format="rgb24")))
        output.mux(stream.encode(None))


def _peak_of_one(command: list[str]) -> float:
    """Peak resident MB of a process without children."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1024


def main() -> None:
    """Run one benchmark, print its figures, and add them to --output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("engine", "command", "memory"))
    parser.add_argument("--model", default="fsrcnn-x2")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--preset")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    if args.what == "command" and not args.clip:
        parser.error("command needs --clip")
    figures = {"engine": bench_engine, "command": bench_command, "memory": bench_memory}[args.what](args)
    print(json.dumps(figures))
    if args.output:
        content = json.loads(args.output.read_text()) if args.output.exists() else {}
        args.output.write_text(json.dumps({**content, args.what: figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
