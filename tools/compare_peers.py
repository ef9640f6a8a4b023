"""Compare vidsr with other upscaling tools in one run; writes JSON and a chart.

  pip install -c tools/constraints.txt -r tools/peers.txt
  python tools/compare_peers.py --clip CLIP --images SET5 --weights FOLDER --output peers.json --plot peers.png
  python tools/readme_tables.py --peers peers.json

Every backend upscales by 2 with the same threads on the same CPUs: the frames of the clip, in turn, for speed; images
and the reduced clip for PSNR and SSIM; and end to end with the same encoder, in rounds. Figures are medians; `times`
is the time per frame relative to vidsr's default. BACKENDs are vidsr:MODEL, vidsr:MODEL:PRECISION, opencv,
opencv-small, pytorch, openvino, pyanime4k and lanczos. Missing backends are skipped and listed in the output.
--weights is the folder of OpenCV's FSRCNN_x2.pb and FSRCNN-small_x2.pb.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from peers.backends import PEERS, PREFIX, Backend, BackendOptions, MissingBackendError, open_backend, versions
from peers.end_to_end import run_command, trim_clip
from peers.engine_bench import clip_scores, image_scores, measure_speed

from vidsr.callbacks import OnWarning
from vidsr.cpu import describe_machine, this_cpu, usable_cpus
from vidsr.errors import VidsrError, exit_code
from vidsr.media.reader import Reader
from vidsr.quality.evaluation import collect

DEFAULT = "fsrcnn-narrow-x2"
OURS = [f"{PREFIX}{DEFAULT}", f"{PREFIX}{DEFAULT}:f32", f"{PREFIX}fsrcnn-x2:f32", f"{PREFIX}fsrcnn-fast-x2"]
Figures = dict[str, dict[str, float | str | bool]]


def parse_args() -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--images", type=Path, help="a folder of images, usually Set5")
    parser.add_argument("--weights", type=Path, default=Path())
    parser.add_argument("--backends", nargs="+", default=[*OURS, *PEERS], metavar="BACKEND")
    parser.add_argument("--commands", nargs="*", metavar="BACKEND", help="backends to run end to end")
    parser.add_argument("--threads", type=int, default=len(_cpus()))
    parser.add_argument("--frames", type=int, default=60, help="of the clip, for speed and quality (default: 60)")
    parser.add_argument(
        "--command-frames", type=int, default=100, help="of the clip end to end, at least 8 (default: 100)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of end-to-end runs (default: 3)")
    parser.add_argument("--crf", type=int, default=18)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    keys = [*args.backends, *(args.commands or [])]
    if unknown := [key for key in keys if not key.startswith(PREFIX) and key not in PEERS]:
        parser.error(f"unknown backend {unknown[0]!r}")
    if not 1 <= args.threads <= len(_cpus()) or min(args.frames, args.rounds) < 1 or args.command_frames < 8:
        limits = "--frames and --rounds must be 1 or more, --command-frames 8 or more"
        parser.error(f"--threads must be 1 to {len(_cpus())}, {limits}")
    return args


def _cpus() -> list[int]:
    return [cpu for node in usable_cpus(describe_machine()) for cpu in node]


def open_backends(keys: list[str], options: BackendOptions, on_warning: OnWarning) -> dict[str, Backend]:
    """The installed backends, by key; a warning for each other one."""
    backends = {}
    for key in keys:
        try:
            backends[key] = open_backend(key, options)
        except MissingBackendError as error:
            on_warning(str(error))
    return backends


def compare(args: argparse.Namespace, on_warning: OnWarning) -> dict[str, object]:
    """All measurements."""
    options = BackendOptions(model=DEFAULT, threads=args.threads, weights=args.weights)
    backends = open_backends(args.backends, options, on_warning)
    rows: Figures = {key: {"name": backend.name, "ours": backend.ours} for key, backend in backends.items()}
    _add(rows, measure_speed(backends, args.clip, args.frames))
    _add(rows, clip_scores(backends, args.clip, args.frames))
    if args.images:
        (images,) = collect([args.images], 2, on_warning)
        _add(rows, image_scores(backends, list(images.images)))
    keys = args.commands if args.commands is not None else [OURS[0], *PEERS]
    _add(rows, measure_commands([key for key in keys if key in backends], args, options, on_warning))
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
        "backends": rows,
    }


def measure_commands(
    keys: list[str], args: argparse.Namespace, options: BackendOptions, on_warning: OnWarning
) -> dict[str, dict[str, float]]:
    """{backend: medians of its end-to-end runs}; each round runs every backend once."""
    runs: dict[str, list[dict[str, float]]] = {key: [] for key in keys}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mkv"
        trim_clip(args.clip, clip, args.command_frames)
        for _ in range(args.rounds):
            for key in list(runs):
                try:
                    runs[key].append(run_command(key, clip, options, args.crf))
                except MissingBackendError as error:
                    on_warning(str(error))
                    del runs[key]
    return {
        key: {name: round(statistics.median(run[name] for run in values), 2) for name in values[0]}
        for key, values in runs.items()
    }


def _add(rows: Figures, figures: dict[str, dict[str, float]]) -> None:
    for key, values in figures.items():
        rows[key] |= values


def main() -> int:
    """Measure, and write JSON and the chart; the exit code."""
    args = parse_args()
    os.sched_setaffinity(0, _cpus()[: args.threads])  # some backends have no other setting of their threads
    missing: list[str] = []

    def on_warning(sentence: str) -> None:
        missing.append(sentence)
        print(sentence, file=sys.stderr)

    try:
        figures = {**compare(args, on_warning), "missing": missing}
    except VidsrError as error:
        print(error, file=sys.stderr)
        return exit_code(error)
    args.output.write_text(json.dumps(figures, indent=2) + "\n")
    if args.plot:
        from peers.chart import draw_chart

        draw_chart(figures, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
