"""Measure how time and memory grow: with the size of the picture, the length, the workers, the number of cameras.

  python tools/scaling.py --clip CLIP --output growth.json              everything: about 35 minutes on two cores
  python tools/scaling.py stages resolution --clip CLIP --output growth.json

  stages       what each stage costs a frame, by size and network: what tools/simulate.py is fed with
  resolution   the whole command from 270p to 2160p, with 0, 1 and 2 workers
  length       200, 2,000 and 6,000 small frames
  workers      ways to share out the cores at 360p
  cameras      1, 2 and 4 live sources at 360p

The clips are made of CLIP, scaled. Each figure is in the file as soon as it is measured, and parts can be run one by
one. Whatever else the machine does is noted beside each figure as `others`, in cores: best 0.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cost.clips import SIZES, scaled_clip
from cost.measure_streams import cameras
from cost.process_monitor import Watched, watched

from vidsr.cpu import this_cpu
from vidsr.errors import VidsrError
from vidsr.media.reader import Reader
from vidsr.model.zoo import load_model, model_names
from vidsr.model_selection import select_model

FRAMES = {"270p": 300, "360p": 240, "720p": 90, "1080p": 60, "2160p": 32}
"""Of a run: a third of it fills and drains decoder, workers and encoder, and does not count."""
STAGE_FRAMES = {"270p": 60, "360p": 60, "720p": 32, "1080p": 20, "2160p": 10}
LENGTHS = (200, 2000, 6000)
SHARES = ((0, None), (1, 1), (1, 2), (2, 1), (2, 2), (4, 1))
"""Workers, and threads of each."""
CAMERAS = (1, 2, 4)
_SMALL = (160, 90)
_ENLARGING = Path(__file__).parent / "cost/run_upscale.py"

Row = dict[str, object]


class Bench:
    """What is asked for, and the folder that the clips are made in."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder

    def clip(self, size: tuple[int, int], frames: int) -> Path:
        """A clip of that size and length, made when it is first asked for."""
        path = self.folder / f"{size[0]}x{size[1]}-{frames}.mp4"
        return path if path.exists() else scaled_clip(self.args.clip, path, size=size, frames=frames)

    def enlarge(self, clip: Path, model: str, *, workers: int, threads: int | None = None, edge: int) -> Row:
        """One run of the command and all that was seen of it."""
        asked = json.dumps({"model": model, "workers": workers, "threads": threads, "edge": edge})
        seen = watched([sys.executable, str(_ENLARGING), str(clip), str(self.folder / "out.mp4"), asked])
        return {"workers": workers, "threads": threads, **json.loads(seen.output.splitlines()[-1]), **figures(seen)}


def figures(seen: Watched) -> Row:
    """What is kept of what was watched."""
    names = ("seconds", "peak_mb", "early_mb", "late_mb", "cores", "others", "processes")
    return {name: getattr(seen, name) for name in names}


def edge_of(frames: int) -> int:
    """The frames at the beginning that do not count: as many as x264 takes before it gives any, where there are."""
    return min(24, frames // 2)


def resolution(bench: Bench) -> Iterator[Row]:
    """Every size, network and number of workers that is asked for."""
    args = bench.args
    for name in args.sizes:
        frames = max(8, round(FRAMES[name] * args.effort))
        for model in args.models:
            for workers in args.workers:
                row = bench.enlarge(bench.clip(SIZES[name], frames), model, workers=workers, edge=edge_of(frames))
                yield {"size": name, "model_asked": model, **row}


def length(bench: Bench) -> Iterator[Row]:
    """Small frames, few and many, without workers and with two."""
    for frames in (max(8, round(frames * bench.args.effort)) for frames in LENGTHS):
        clip = bench.clip(_SMALL, frames)
        for workers in (0, 2):
            row = bench.enlarge(clip, bench.args.models[0], workers=workers, edge=edge_of(frames))
            yield {"size": "{}x{}".format(*_SMALL), **row}


def workers(bench: Bench) -> Iterator[Row]:
    """Ways to share out the cores."""
    frames = max(8, round(FRAMES["360p"] * bench.args.effort))
    clip, model = bench.clip(SIZES["360p"], frames), bench.args.models[0]
    for count, threads in SHARES:
        row = bench.enlarge(clip, model, workers=count, threads=threads, edge=edge_of(frames))
        yield {"size": "360p", **row}


def live(bench: Bench) -> Iterator[Row]:
    """Cameras side by side, each a file played at its own speed."""
    seconds = 15.0 * bench.args.effort
    clip = bench.clip(SIZES["360p"], round(25 * (seconds + 30)))
    counts = CAMERAS if bench.args.effort >= 1 else CAMERAS[:1]
    for count in counts:
        yield cameras(clip, count, seconds=seconds, folder=bench.folder)


def stages(bench: Bench) -> Iterator[Row]:
    """What each stage costs, by size and network."""
    from cost.measure_stages import rounded, stage_costs

    for name in bench.args.sizes:
        frames = max(4, round(STAGE_FRAMES[name] * bench.args.effort))
        clip = bench.clip(SIZES[name], frames)
        for model in bench.args.models:
            weights = load_model(chosen(clip) if model == "auto" else model)
            costs, beside = stage_costs(clip, weights, frames=frames, ray=bench.args.effort >= 0.1)
            row = {"size": name, "model_asked": model, "model": str(weights.architecture), "costs": rounded(costs)}
            yield {**row, "beside": {key: float(f"{value:.4g}") for key, value in beside.items()}}


def chosen(clip: Path) -> str:
    """The network that `auto` stands for."""
    with Reader(clip) as reader:
        return select_model(reader.info.compression, still=False, scale=2, names=model_names()).model


def machine() -> Row:
    """What the figures were measured on."""
    from cost.measure_stages import copy_gb_s

    cores = len(os.sched_getaffinity(0))
    copying = {str(threads): round(copy_gb_s(threads), 1) for threads in sorted({1, cores})}
    return {"cpu": str(this_cpu()), "cores": cores, "copy_gb_s": copying}


PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "stages": stages,
    "resolution": resolution,
    "length": length,
    "workers": workers,
    "cameras": live,
}


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="all of them by default")
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--models", nargs="+", default=["auto", "fsrcnn-fast-x2"])
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--effort", type=float, default=1.0, help="below 1: fewer frames; below 0.1 also no Ray in `stages`"
    )
    args = parser.parse_args(arguments)
    if strange := [part for part in args.parts if part not in PARTS]:
        parser.error(f"{strange[0]} is none of {', '.join(PARTS)}")
    return args


def kept(output: Path, part: str, rows: list[Row]) -> None:
    """Put what a part has so far into its place in the file."""
    there = json.loads(output.read_text()) if output.exists() else {"machine": machine()}
    output.write_text(json.dumps({**there, part: rows}, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the parts; what is measured is kept at once."""
    args = options(arguments)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(args, Path(name))
        for part in args.parts or PARTS:
            rows: list[Row] = []
            try:
                for row in PARTS[part](bench):
                    print(json.dumps(row), flush=True)
                    rows.append(row)
                    kept(args.output, part, rows)
            except VidsrError as error:
                raise SystemExit(f"growth: {part}: {error}") from None


if __name__ == "__main__":
    main()
