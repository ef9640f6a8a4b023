"""Compare vidsr with what users would pick instead, side by side in one run, as JSON and a plot.

  pip install -c tools/constraints.txt -r tools/peers.txt
  python tools/compare_peers.py --clip CLIP --images SET5 --weights FOLDER --output peers.json --plot peers.png
  python tools/readme_tables.py --peers peers.json

Every way enlarges twice, with the same threads on the same CPUs: alone on the frames of the clip, in turn; pictures
and the reduced clip for PSNR and SSIM; and as a whole command with the same encoder, rounds in turn. Figures are
medians; `times` says how many times as long as vidsr's default a way takes, frame by frame. WAYs are vidsr:MODEL,
vidsr:MODEL:PRECISION, opencv, opencv-small, pytorch, openvino, pyanime4k and lanczos. A peer that is not there is left
out, and the output says so. --weights is the folder of OpenCV's FSRCNN_x2.pb and FSRCNN-small_x2.pb.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from peers.backends import PEERS, PREFIX, MissingPeerError, Setting, Way, open_way, versions
from peers.end_to_end import cut, run_command
from peers.engine_bench import clip_scores, picture_scores, speeds

from vidsr.cpu import this_cpu
from vidsr.cpu_affinity import describe_machine, usable_cpus
from vidsr.errors import VidsrError, exit_code
from vidsr.media.reader import Reader
from vidsr.quality.evaluation import collect

DEFAULT = "fsrcnn-narrow-x2"
OURS = [f"{PREFIX}{DEFAULT}", f"{PREFIX}{DEFAULT}:f32", f"{PREFIX}fsrcnn-x2:f32", f"{PREFIX}fsrcnn-fast-x2"]
Figures = dict[str, dict[str, float | str | bool]]
Note = Callable[[str], None]


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--images", type=Path, help="a folder of pictures, Set5 as a rule")
    parser.add_argument("--weights", type=Path, default=Path())
    parser.add_argument("--ways", nargs="+", default=[*OURS, *PEERS], metavar="WAY")
    parser.add_argument("--commands", nargs="*", metavar="WAY", help="ways to run as whole commands")
    parser.add_argument("--threads", type=int, default=len(_cpus()))
    parser.add_argument("--frames", type=int, default=60, help="of the clip, for each way alone (default: 60)")
    parser.add_argument("--command-frames", type=int, default=100, help="8 at the least (default: 100)")
    parser.add_argument("--rounds", type=int, default=3, help="of the whole commands (default: 3)")
    parser.add_argument("--crf", type=int, default=18)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    if unknown := [way for way in [*args.ways, *(args.commands or [])] if not way.startswith(PREFIX) | (way in PEERS)]:
        parser.error(f"no way named {unknown[0]!r}")
    if not 1 <= args.threads <= len(_cpus()) or min(args.frames, args.rounds) < 1 or args.command_frames < 8:
        parser.error(f"threads are 1 to {len(_cpus())}, frames and rounds 1 at the least, frames of commands 8")
    return args


def _cpus() -> list[int]:
    return [cpu for node in usable_cpus(describe_machine()) for cpu in node]


def opened(keys: list[str], setting: Setting, note: Note) -> dict[str, Way]:
    """The ways that are there."""
    ways = {}
    for key in keys:
        try:
            ways[key] = open_way(key, setting)
        except MissingPeerError as error:
            note(str(error))
    return ways


def compare(args: argparse.Namespace, note: Note) -> dict[str, object]:
    """All that is measured."""
    setting = Setting(model=DEFAULT, threads=args.threads, weights=args.weights)
    ways = opened(args.ways, setting, note)
    rows: Figures = {key: {"name": way.name, "ours": way.ours} for key, way in ways.items()}
    _add(rows, speeds(ways, args.clip, args.frames))
    _add(rows, clip_scores(ways, args.clip, args.frames))
    if args.images:
        (pictures,) = collect([args.images], 2, note)
        _add(rows, picture_scores(ways, list(pictures.pictures)))
    asked = args.commands if args.commands is not None else [OURS[0], *PEERS]
    _add(rows, commands([key for key in asked if key in ways], args, setting, note))
    with Reader(args.clip) as reader:
        size = f"{reader.info.width}x{reader.info.height}"
    return {
        "cpu": str(this_cpu()),
        "threads": args.threads,
        "versions": versions(),
        "clip": args.clip.name,
        "size": size,
        "frames": args.frames,
        "set": args.images.name if args.images else None,
        "command_frames": args.command_frames,
        "rounds": args.rounds,
        "encoder": f"libx264 veryfast, CRF {args.crf}",
        "ways": rows,
    }


def commands(keys: list[str], args: argparse.Namespace, setting: Setting, note: Note) -> dict[str, dict[str, float]]:
    """{way: medians of the whole command}, one command of each way in a round."""
    runs: dict[str, list[dict[str, float]]] = {key: [] for key in keys}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mkv"
        cut(args.clip, clip, args.command_frames)
        for _ in range(args.rounds):
            for key in list(runs):
                try:
                    runs[key].append(run_command(key, clip, setting, args.crf))
                except MissingPeerError as error:
                    note(str(error))
                    del runs[key]
    return {
        key: {name: round(statistics.median(run[name] for run in own), 2) for name in own[0]}
        for key, own in runs.items()
    }


def _add(rows: Figures, figures: dict[str, dict[str, float]]) -> None:
    for key, own in figures.items():
        rows[key] |= own


def main() -> int:
    """Measure, and write what came out."""
    args = options()
    os.sched_setaffinity(0, _cpus()[: args.threads])  # some peers can be told their threads in no other way
    missing: list[str] = []

    def note(sentence: str) -> None:
        missing.append(sentence)
        print(sentence, file=sys.stderr)

    try:
        figures = {**compare(args, note), "missing": missing}
    except VidsrError as error:
        print(error, file=sys.stderr)
        return exit_code(error)
    args.output.write_text(json.dumps(figures, indent=2) + "\n")
    if args.plot:
        from peers.chart import draw

        draw(figures, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
