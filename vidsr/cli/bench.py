"""Measure the stages of a run: `vidsr upscale` on the first frames of a video; the output is discarded.

  vidsr bench holiday.mp4
  vidsr bench --preset veryfast --picture stages.png holiday.mp4
  vidsr bench --plan holiday.mp4

--plan tries several numbers of workers and threads, and prints the fastest command.
"""

import argparse
import dataclasses
import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path

from vidsr.bench import BenchRun, candidate_plans, process_age_s, run_bench
from vidsr.cli.options import Parser, settings
from vidsr.cli.output import UsageError, aligned, png_file, print_message
from vidsr.cli.signals import GracefulStop
from vidsr.cli.upscale import add_settings
from vidsr.cpu import describe_machine, usable_cores
from vidsr.errors import DAMAGED, STOPPED, Stopped
from vidsr.pipeline import STAGES
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.stage_timer import TimedSpan

_FRAMES = 100
_DRAWN_FRAMES = 24  # more would make the bars too narrow
RunPlan = Callable[[PoolSettings], BenchRun]


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", type=Path, help="a video")
    group = parser.add_argument_group("measuring")
    group.add_argument(
        "--frames", metavar="N", type=int, default=_FRAMES, help=f"frames to measure (default: {_FRAMES})"
    )
    group.add_argument("--plan", action="store_true", help="try workers and threads, and print the fastest")
    group.add_argument("--picture", metavar="FILE", type=Path, help="draw the stages over time as a PNG")
    add_settings(parser)


def run(args: argparse.Namespace) -> int:
    """Measure one run, or one per plan."""
    if args.frames < 1:
        raise UsageError(f"--frames must be 1 or more, not {args.frames}")
    if args.segments:
        raise UsageError("bench measures the stages of a run by frames; omit --segments")
    if args.plan and args.picture:
        raise UsageError("--picture draws a single run; omit --plan")
    with GracefulStop("measuring ends here") as stop:
        attempt = partial(_attempt, args, stop=stop)
        try:
            code = _plan(args, attempt, stop) if args.plan else _one(args, attempt)
        except Stopped:
            return STOPPED + stop.signal
        return STOPPED + stop.signal if stop() else code


def _attempt(args: argparse.Namespace, pool: PoolSettings, *, stop: Callable[[], bool]) -> BenchRun:
    return run_bench(
        args.source,
        settings=settings(UpscaleSettings, args),
        encode=settings(EncodeSettings, args),
        pool=pool,
        frames=args.frames,
        traced_frames=_DRAWN_FRAMES if args.picture else 0,
        should_stop=stop,
    )


def _one(args: argparse.Namespace, attempt: RunPlan) -> int:
    loaded_s = process_age_s()
    pool = settings(PoolSettings, args)
    if args.picture:
        with png_file(args.picture, source=args.source, overwrite=args.overwrite) as drawing:
            from vidsr.plots import timeline

            done = attempt(pool)
            timeline(_rows(done.spans), drawing, title=f"{args.source.name}: waits for {done.bottleneck}")
    else:
        done = attempt(pool)
    print(json.dumps(_facts(done, loaded_s), default=str) if args.json else _table(done, loaded_s))
    for sentence in done.report.damage:
        print_message(f"{args.source}: {sentence}")
    return DAMAGED if done.report.damage else 0


def _plan(args: argparse.Namespace, attempt: RunPlan, stop: Callable[[], bool]) -> int:
    plans = candidate_plans(usable_cores(describe_machine()), settings(PoolSettings, args))
    trials = []
    for pool in plans:
        trials.append(attempt(pool))
        if stop():
            return 0
    best = max(trials, key=lambda done: done.fps)
    choice = f"--workers {best.report.workers} --threads {best.report.threads}"
    if args.json:
        print(json.dumps([{**_facts(done), "best": done is best} for done in trials], default=str))
        return 0
    head = ["", "workers", "threads", "fps", "cores busy", "wanted", "to the first frame"]
    print(aligned([head, *(_plan_row(done, best) for done in trials)], text_columns=1))
    print(f"\nvidsr upscale {choice} {shlex.quote(str(args.source))} TARGET")
    return 0


def _plan_row(done: BenchRun, best: BenchRun) -> list[str]:
    cells = [
        done.report.workers,
        done.report.threads,
        f"{done.fps:.1f}",
        f"{done.busy:.0%}",
        f"{done.wanted:.0%}",
        f"{done.start_s:.1f} s",
    ]
    return ["*" if done is best else "", *map(str, cells)]


def _rows(spans: list[TimedSpan]) -> dict[str, list[TimedSpan]]:
    """The spans of each stage, and of each worker."""
    lanes = sorted({(STAGES.index(span.stage), span.lane) for span in spans})
    several = sum(STAGES[stage] == "upscale" for stage, _ in lanes) > 1
    names = [
        STAGES[stage] + (f" {lane + 1}" if several and STAGES[stage] == "upscale" else "") for stage, lane in lanes
    ]
    return {
        name: [span for span in spans if (STAGES.index(span.stage), span.lane) == lane]
        for name, lane in zip(names, lanes, strict=True)
    }


def _table(done: BenchRun, loaded_s: float) -> str:
    report, frames = done.report, max(1, done.report.frames_written)
    stages = [
        [name, f"{stage.seconds:.2f}", f"{1e3 * stage.seconds / frames:.1f}", f"{stage.seconds / report.seconds:.0%}"]
        for name, stage in report.stages.items()
    ]
    steady_s, steady_frames = done.steady_s or 1.0, max(1, done.steady_frames)
    processes = [
        [
            name,
            f"{time.ran_s:.2f}",
            f"{1e3 * time.ran_s / steady_frames:.1f}",
            f"{time.ran_s / steady_s / done.cores:.0%}",
        ]
        for name, time in done.core_times.items()
    ]
    return "\n".join(
        [
            f"{report.model}, {frames} frames to {report.size[0]}x{report.size[1]}, "
            f"{report.workers} workers of {report.threads} threads on {done.cores} cores: {done.fps:.1f} fps",
            "",
            aligned([["stage", "busy s", "ms per frame", "of the run"], *stages], text_columns=1),
            "",
            aligned([["process", "core-s", "core-ms per frame", "of the cores"], *processes], text_columns=1),
            "",
            f"cores busy: {done.busy:.0%}, wanted: {done.wanted:.0%}",
            f"to the first frame: {done.start_s:.1f} s, and {loaded_s:.1f} s before that to start",
            f"bottleneck: {done.bottleneck}",
        ]
    )


def _facts(done: BenchRun, loaded_s: float | None = None) -> dict[str, object]:
    facts = dataclasses.asdict(dataclasses.replace(done, spans=[]))
    del facts["spans"]
    facts |= {"fps": done.fps, "busy": done.busy, "wanted": done.wanted}
    return facts | {"bottleneck": done.bottleneck} | ({} if loaded_s is None else {"loaded_s": loaded_s})
