"""Measure how time and memory scale with frame size, length, workers, and number of cameras.

  python tools/scaling_study.py --clip CLIP --output growth.json              all parts: about 35 minutes on two cores
  python tools/scaling_study.py stages resolution --clip CLIP --output growth.json

  stages       cost of each stage per frame, by size and network: the input of tools/simulate.py
  resolution   the whole command from 270p to 2160p, with 0, 1 and 2 workers
  length       200, 2,000 and 6,000 small frames
  workers      numbers of workers and threads at 360p
  cameras      1, 2 and 4 live sources at 360p

The clips are made from CLIP by scaling. Each figure is written as soon as it is measured, and parts can be run one by
one. `others` is the number of cores that other processes kept busy: ideally 0.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cost.clips import SIZES, scaled_clip
from cost.measure_streams import measure_cameras
from cost.process_monitor import ProcessUsage, run_monitored

from vidsr.cpu import this_cpu
from vidsr.errors import VidsrError
from vidsr.media.reader import Reader
from vidsr.model.zoo import load_model, model_names
from vidsr.model_selection import select_model

FRAMES = {"270p": 300, "360p": 240, "720p": 90, "1080p": 60, "2160p": 32}
"""Per run; a third of them fills and drains the pipeline and is not measured."""
STAGE_FRAMES = {"270p": 60, "360p": 60, "720p": 32, "1080p": 20, "2160p": 10}
LENGTHS = (200, 2000, 6000)
WORKERS_AND_THREADS = ((0, None), (1, 1), (1, 2), (2, 1), (2, 2), (4, 1))
"""Workers, and threads of each."""
CAMERAS = (1, 2, 4)
_SMALL = (160, 90)
_RUN_UPSCALE = Path(__file__).parent / "cost/run_upscale.py"

Row = dict[str, object]


class ScalingBench:
    """The options, and the folder of the scaled clips."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder

    def clip(self, size: tuple[int, int], frames: int) -> Path:
        """The clip of a size and length, made on first use."""
        path = self.folder / f"{size[0]}x{size[1]}-{frames}.mp4"
        return path if path.exists() else scaled_clip(self.args.clip, path, size=size, frames=frames)

    def upscale(self, clip: Path, model: str, *, workers: int, threads: int | None = None, edge: int) -> Row:
        """The figures of one run of the command."""
        options = json.dumps({"model": model, "workers": workers, "threads": threads, "edge": edge})
        usage = run_monitored([sys.executable, str(_RUN_UPSCALE), str(clip), str(self.folder / "out.mp4"), options])
        return {"workers": workers, "threads": threads, **json.loads(usage.output.splitlines()[-1]), **figures(usage)}


def figures(usage: ProcessUsage) -> Row:
    """The figures of a monitored run."""
    names = ("seconds", "peak_mb", "early_mb", "late_mb", "cores", "others", "processes")
    return {name: getattr(usage, name) for name in names}


def edge_of(frames: int) -> int:
    """The frames at the start that are not measured: those that x264 takes before its first output, if possible."""
    return min(24, frames // 2)


def resolution(bench: ScalingBench) -> Iterator[Row]:
    """Every requested size, network and number of workers."""
    args = bench.args
    for name in args.sizes:
        frames = max(8, round(FRAMES[name] * args.effort))
        for model in args.models:
            for workers in args.workers:
                row = bench.upscale(bench.clip(SIZES[name], frames), model, workers=workers, edge=edge_of(frames))
                yield {"size": name, "model_asked": model, **row}


def length(bench: ScalingBench) -> Iterator[Row]:
    """Short and long clips of small frames, without workers and with two."""
    for frames in (max(8, round(frames * bench.args.effort)) for frames in LENGTHS):
        clip = bench.clip(_SMALL, frames)
        for workers in (0, 2):
            row = bench.upscale(clip, bench.args.models[0], workers=workers, edge=edge_of(frames))
            yield {"size": "{}x{}".format(*_SMALL), **row}


def workers(bench: ScalingBench) -> Iterator[Row]:
    """Numbers of workers and threads."""
    frames = max(8, round(FRAMES["360p"] * bench.args.effort))
    clip, model = bench.clip(SIZES["360p"], frames), bench.args.models[0]
    for count, threads in WORKERS_AND_THREADS:
        row = bench.upscale(clip, model, workers=count, threads=threads, edge=edge_of(frames))
        yield {"size": "360p", **row}


def live(bench: ScalingBench) -> Iterator[Row]:
    """Several cameras, each a file that is read in real time."""
    seconds = 15.0 * bench.args.effort
    clip = bench.clip(SIZES["360p"], round(25 * (seconds + 30)))
    counts = CAMERAS if bench.args.effort >= 1 else CAMERAS[:1]
    for count in counts:
        yield measure_cameras(clip, count, seconds=seconds, folder=bench.folder)


def stages(bench: ScalingBench) -> Iterator[Row]:
    """The cost of each stage, by size and network."""
    from cost.measure_stages import measure_stage_costs, rounded_costs

    for name in bench.args.sizes:
        frames = max(4, round(STAGE_FRAMES[name] * bench.args.effort))
        clip = bench.clip(SIZES[name], frames)
        for model in bench.args.models:
            weights = load_model(selected_model(clip) if model == "auto" else model)
            costs, beside = measure_stage_costs(clip, weights, frames=frames, ray=bench.args.effort >= 0.1)
            row = {
                "size": name,
                "model_asked": model,
                "model": str(weights.architecture),
                "costs": rounded_costs(costs),
            }
            yield {**row, "beside": {key: float(f"{value:.4g}") for key, value in beside.items()}}


def selected_model(clip: Path) -> str:
    """The network that `auto` selects."""
    with Reader(clip) as reader:
        return select_model(reader.info.compression, still=False, scale=2, names=model_names()).model


def machine() -> Row:
    """The machine of the measurements."""
    from cost.measure_stages import copy_gb_s

    cores = len(os.sched_getaffinity(0))
    copy_bandwidth = {str(threads): round(copy_gb_s(threads), 1) for threads in sorted({1, cores})}
    return {"cpu": str(this_cpu()), "cores": cores, "copy_gb_s": copy_bandwidth}


PARTS: dict[str, Callable[[ScalingBench], Iterator[Row]]] = {
    "stages": stages,
    "resolution": resolution,
    "length": length,
    "workers": workers,
    "cameras": live,
}


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all")
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--models", nargs="+", default=["auto", "fsrcnn-fast-x2"])
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--effort", type=float, default=1.0, help="below 1: fewer frames; below 0.1 also no Ray in `stages`"
    )
    args = parser.parse_args(arguments)
    if unknown := [part for part in args.parts if part not in PARTS]:
        parser.error(f"unknown part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    return args


def save_rows(output: Path, part: str, rows: list[Row]) -> None:
    """Write the rows of a part into the file, which keeps its other parts."""
    content = json.loads(output.read_text()) if output.exists() else {"machine": machine()}
    output.write_text(json.dumps({**content, part: rows}, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the parts, and write each row at once."""
    args = parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        bench = ScalingBench(args, Path(name))
        for part in args.parts or PARTS:
            rows: list[Row] = []
            try:
                for row in PARTS[part](bench):
                    print(json.dumps(row), flush=True)
                    rows.append(row)
                    save_rows(args.output, part, rows)
            except VidsrError as error:
                raise SystemExit(f"scaling_study: {part}: {error}") from None


if __name__ == "__main__":
    main()
