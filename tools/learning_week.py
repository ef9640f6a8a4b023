"""A rehearsed week: days of real clips are replayed as the two streams of a camera, which learns from them by itself.

  python tools/learning_week.py clips/ --day 300 --min-gain-db 0.05

`clips/` holds a folder per day, in order of their names, with clips of one camera and size. Each day is replayed for
`--day` seconds by two RTSP servers, the main stream as it is and the source half as large; after the last days a
network is asked for, as `vidsr learn now` does. Printed are the moments of each day, what happened, the gains of each
network on the newest day, which taught nothing, and the frames that were lost while networks were learned and swapped.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/live")]

from kit.cameras import Camera, camera  # noqa: E402
from kit.processes import hurry, running  # noqa: E402
from kit.runs import Run, stream  # noqa: E402

from vidsr.arrays import Luma  # noqa: E402
from vidsr.learn_dir import LearnDir  # noqa: E402
from vidsr.quality.matlab import imresize  # noqa: E402
from vidsr.quality.upscalers import crop_to_multiple, to_uint8  # noqa: E402
from vidsr.training.pairing.time_sync import timed_lumas  # noqa: E402

CONFIG = """
[cameras.gate]
source = "{source}"
targets = ["{target}"]
workers = 0
preset = "ultrafast"
segment = 10
min-free-gb = 0
timeout = 10
max-delay = 10

[cameras.gate.learn]
main = "{main}"
hours = "{hour}-{hour_after}"
every = {every}
moment = 5
day = {day}
steps = {steps}
min-gain-db = {min_gain_db}
"""
_MULTIPLE = 16  # pixels: what the servers can send at half the size
_NIGHT_S = 7200.0


def parse_args() -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--day", type=float, default=300.0, metavar="S", help="seconds of a day")
    parser.add_argument("--every", type=float, default=20.0, metavar="S", help="seconds from moment to moment")
    parser.add_argument("--nights", type=int, default=1, metavar="N", help="last days after which it learns")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--min-gain-db", type=float, default=0.3)
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--kbps", type=int, default=300, help="of the source; the main stream has eight times as much")
    parser.add_argument("--hurry", action="store_true", help="learn at usual priority: the machine does other work")
    return parser.parse_args()


def read_day(folder: Path, fps: int) -> list[Luma]:
    """The luma of all clips of a day, one after the other, at this rate."""
    planes = []
    for path in sorted(folder.iterdir()):
        due_s = 0.0
        for time_s, luma in timed_lumas(path):
            if time_s >= due_s:
                due_s += 1 / fps
                planes.append(crop_to_multiple(luma, _MULTIPLE).copy())
    return planes


def write_day(main: Sequence[Luma], folder: Path) -> None:
    """Write what both servers send."""
    source = [to_uint8(imresize(plane, 0.5)) for plane in main]
    for name, planes in (("main", main), ("source", source)):
        (folder / f"{name}.luma").write_bytes(b"".join(plane.tobytes() for plane in planes))


@contextmanager
def both_streams(folder: Path, first: Luma, args: argparse.Namespace) -> Iterator[list[Camera]]:
    """The servers of the source and the main stream, in this order."""
    height, width = first.shape
    sizes = {"source": (f"{width // 2}x{height // 2}", args.kbps), "main": (f"{width}x{height}", 8 * args.kbps)}
    options = [
        ("--frames", str(folder / f"{name}.luma"), "--size", size, "--kbps", str(kbps))
        for name, (size, kbps) in sizes.items()
    ]
    with camera(*options[0], fps=args.fps) as source, camera(*options[1], fps=args.fps) as main:
        yield [source, main]


def config_text(cameras: Sequence[Camera], target: Path, args: argparse.Namespace) -> str:
    """The file of cameras; it learns only when asked to."""
    hour = (time.localtime().tm_hour + 12) % 24
    return CONFIG.format(
        source=cameras[0].url,
        main=cameras[1].url,
        target=target,
        hour=hour,
        hour_after=(hour + 1) % 24,
        **vars(args),
    )


def lost(run: Run) -> float:
    """The frames that were lost so far."""
    return run.number("vidsr_frames_missed_total") + run.number("vidsr_frames_dropped_total")


def push(run: Run, args: argparse.Namespace) -> None:
    """Have what collects and learns go on where other work would keep it from doing so."""
    for process in running(run.mark, "vidsr.learning") if args.hurry else []:
        hurry(process.pid)


def pass_day(run: Run, learn_dir: LearnDir, name: str, args: argparse.Namespace) -> None:
    """Wait until a day has passed, and print how many moments it gave."""
    before, until = learn_dir.collect_state(), time.monotonic() + args.day
    run.wait_for_frames(within_s=120)
    while time.monotonic() < until:
        push(run, args)
        time.sleep(1)
    state = learn_dir.collect_state()
    print(f"{name}: {state.collected - before.collected} moments; refused so far: {state.refused}", flush=True)


def pass_night(run: Run, learn_dir: LearnDir, args: argparse.Namespace) -> None:
    """Ask for a network, wait until it is used or not, and print the frames that were lost meanwhile."""
    attempt_s, lost_before, began, events = learn_dir.attempt_s, lost(run), time.monotonic(), len(learn_dir.events())
    learn_dir.request()
    while learn_dir.attempt_s == attempt_s:
        assert time.monotonic() < began + _NIGHT_S, run.log[-3000:]
        push(run, args)
        time.sleep(1)
    print(f"  night of {time.monotonic() - began:.0f} s")
    for event in learn_dir.events()[events:]:
        print(f"  {event['event']}", flush=True)
    run.wait_for_frames(more=10 * args.fps, within_s=120)
    print(f"  {lost(run) - lost_before:.0f} frames lost", flush=True)


def main() -> int:
    """The exit code."""
    args = parse_args()
    days = sorted(folder for folder in args.clips.iterdir() if folder.is_dir())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target, learn_dir = folder / "gate", LearnDir(folder / "gate" / "learn")
        planes = read_day(days[0], args.fps)
        write_day(planes, folder)
        with both_streams(folder, planes[0], args) as cameras:
            (folder / "cameras.toml").write_text(config_text(cameras, target, args))
            hard_s = len(days) * (args.day + 300) + args.nights * (_NIGHT_S + 300)
            with stream("--config", str(folder / "cameras.toml"), folder=folder, hard_s=hard_s) as run:
                for number, day in enumerate(days):
                    if number:
                        replay(cameras, read_day(day, args.fps), folder)
                    pass_day(run, learn_dir, day.name, args)
                    if number >= len(days) - args.nights:
                        pass_night(run, learn_dir, args)
                code = run.end()
        for network in learn_dir.networks():
            print(network.name, network.proof)
    return code


def replay(cameras: Sequence[Camera], planes: Sequence[Luma], folder: Path) -> None:
    """Have both servers send another day."""
    for each in cameras:
        each.kill()
    write_day(planes, folder)
    for each in cameras:
        each.start()


if __name__ == "__main__":
    sys.exit(main())
