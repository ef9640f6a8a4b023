"""An hour of a camera that is lost again and again: what the processes of the stream hold must not grow.

  tools/soak                           an hour, the camera lost every minute
  tools/soak --minutes 20 --every 10

Half a minute of pictures makes the next pause a short one: from `--every 40` on each loss is answered within seconds.

Just before each loss, when all is quiet, memory, threads, files and shared memory of the whole tree are noted. The
slopes over the time behind a warm-up are printed; exit code 1 when one is too steep.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests/live")]

from kit.cameras import Camera, camera  # noqa: E402
from kit.processes import ResourceUsage, resource_usage  # noqa: E402
from kit.recordings import decode_all, frame_numbers  # noqa: E402
from kit.runs import Run, stream  # noqa: E402

LIMITS = {"processes": 0.5, "memory_mb": 10.0, "threads": 2.0, "fds": 2.0, "shm_mb": 1.0}
"""The growth that is let pass in an hour, and in a shorter run as a whole."""
WARM_UP = 0.5
"""The part of the run whose notes do not count: each of the first 15 or so connections takes a heap of its own."""
_BACK_S = 100.0
"""The longest pause between two attempts, and what a busy machine adds."""


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=60.0, metavar="S", help="from one loss to the next")
    parser.add_argument("--workers", default="1", help="0: no Ray")
    parser.add_argument("--model", default="auto")
    return parser.parse_args()


def soak(run: Run, source: Camera, asked: argparse.Namespace) -> list[tuple[float, ResourceUsage]]:
    """What was held, with the second that it was noted in."""
    began, notes = time.monotonic(), []
    while time.monotonic() < began + 60 * asked.minutes:
        time.sleep(asked.every)
        notes.append((time.monotonic() - began, resource_usage(run.mark)))
        print(f"{notes[-1][0]:6.0f} s  {notes[-1][1]}  {run.written():.0f} pictures", flush=True)
        source.kill()
        source.start()
        run.wait_for_frames(within_s=_BACK_S)
    return notes


def judged(notes: list[tuple[float, ResourceUsage]]) -> bool:
    """Print the slopes; whether all are flat enough."""
    counted = notes[int(len(notes) * WARM_UP) :]
    hours = np.array([seconds / 3600 for seconds, _ in counted])
    good = True
    for name, limit in LIMITS.items():
        values = np.array([asdict(one)[name] for _, one in counted])
        slope = float(np.polyfit(hours, values, 1)[0])
        growth = slope * min(1.0, float(hours[-1] - hours[0]))
        good &= growth <= limit
        verdict = "flat" if growth <= limit else "grows"
        print(f"{name:10} {values[0]:8.1f} → {values[-1]:8.1f}  slope {slope:+8.2f} an hour  {verdict}")
    return good


def main() -> int:
    """The exit code."""
    asked = options()
    if 60 * asked.minutes < 5 * asked.every:
        print("soak: a slope needs five losses at the least: --minutes, --every", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name, camera("--size", "320x240") as source:
        folder = Path(name)
        quick = ["--model", asked.model, "--workers", asked.workers, "--segment", "10", "--timeout", "2"]
        limits = ["--keep-gb", "0.2", "--min-free-gb", "0", "--preset", "ultrafast"]
        hard_s = 60 * asked.minutes + 600
        with stream(source.url, folder / "x", options=[*quick, *limits], folder=folder, hard_s=hard_s) as run:
            run.wait_for_frames()
            good = judged(soak(run, source, asked))
            print("reconnects", int(run.number("vidsr_reconnects_total")))
            assert run.end() == 0, "it did not stop in order"
        print("pictures kept, in order", len(frame_numbers(decode_all(folder / "x"))))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
