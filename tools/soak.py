"""Soak test: a camera connection is lost again and again, and the resources of the stream must not grow.

  tools/soak                           an hour, one loss per minute
  tools/soak --minutes 20 --every 10

After ten seconds of frames the reconnect delay is reset: from `--every 20` on the stream reconnects within seconds.

Memory, threads, open files and shared memory of all processes are sampled just before each loss. The slopes after a
warm-up are printed; exit code 1 where one exceeds its limit.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/live")]

from kit.cameras import Camera, camera  # noqa: E402
from kit.processes import ResourceUsage, resource_usage  # noqa: E402
from kit.recordings import decode_all, frame_numbers  # noqa: E402
from kit.runs import Run, stream  # noqa: E402

LIMITS = {"processes": 0.5, "memory_mb": 10.0, "threads": 2.0, "fds": 2.0, "shm_mb": 1.0}
"""The growth allowed per hour, or in the whole of a shorter run."""
WARM_UP = 0.5
"""The share of the run whose samples are ignored: each of the first 15 or so connections takes a heap of its own."""
_RECONNECT_S = 100.0
"""The longest reconnect delay, plus the time that a busy machine adds."""


def parse_args() -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=60.0, metavar="S", help="between two losses")
    parser.add_argument("--workers", default="1", help="0: no Ray")
    parser.add_argument("--model", default="auto")
    return parser.parse_args()


def soak(run: Run, source: Camera, args: argparse.Namespace) -> list[tuple[float, ResourceUsage]]:
    """(seconds, resources) just before each loss."""
    began, samples = time.monotonic(), []
    while time.monotonic() < began + 60 * args.minutes:
        time.sleep(args.every)
        samples.append((time.monotonic() - began, resource_usage(run.mark)))
        print(f"{samples[-1][0]:6.0f} s  {samples[-1][1]}  {run.written():.0f} frames", flush=True)
        source.kill()
        source.start()
        run.wait_for_frames(within_s=_RECONNECT_S)
    return samples


def all_flat(samples: list[tuple[float, ResourceUsage]]) -> bool:
    """Print the slopes; True where all are within their limits."""
    counted = samples[int(len(samples) * WARM_UP) :]
    hours = np.array([seconds / 3600 for seconds, _ in counted])
    good = True
    for name, limit in LIMITS.items():
        values = np.array([asdict(one)[name] for _, one in counted])
        slope = float(np.polyfit(hours, values, 1)[0])
        growth = slope * min(1.0, float(hours[-1] - hours[0]))
        good &= growth <= limit
        verdict = "flat" if growth <= limit else "grows"
        print(f"{name:10} {values[0]:8.1f} → {values[-1]:8.1f}  slope {slope:+8.2f} per hour  {verdict}")
    return good


def main() -> int:
    """The exit code."""
    args = parse_args()
    if 60 * args.minutes < 5 * args.every:
        print("soak: a slope needs five losses or more; raise --minutes or lower --every", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name, camera("--size", "320x240") as source:
        folder = Path(name)
        quick = ["--model", args.model, "--workers", args.workers, "--segment", "10", "--timeout", "2"]
        limits = ["--keep-gb", "0.2", "--min-free-gb", "0", "--preset", "ultrafast"]
        hard_s = 60 * args.minutes + 600
        with stream(source.url, folder / "x", options=[*quick, *limits], folder=folder, hard_s=hard_s) as run:
            run.wait_for_frames()
            good = all_flat(soak(run, source, args))
            print("reconnects", int(run.number("vidsr_reconnects_total")))
            assert run.end() == 0, "the stream did not exit with code 0"
        print("frames recorded, in order", len(frame_numbers(decode_all(folder / "x"))))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
