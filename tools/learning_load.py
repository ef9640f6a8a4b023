"""What learning costs another camera: two cameras share the machine, and one of them learns in every second phase.

  taskset -c 0 python tools/learning_load.py --seconds 60 --phases 4

Printed per phase are the frame rate of the other camera, the delay of its frames from arrival to writing, between the
bounds of the histogram in proportion, the CPU time of learning, and the load of the machine.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests/live"), str(ROOT / "tests")]

from kit.cameras import camera  # noqa: E402
from kit.drawn_moments import write_drawn_moments  # noqa: E402
from kit.processes import running  # noqa: E402
from kit.runs import Run, stream  # noqa: E402

from vidsr.learn_dir import LearnDir  # noqa: E402

CAMERA = """
[cameras.{name}]
source = "{url}"
targets = ["{target}"]
workers = 0
preset = "ultrafast"
original = true
min-free-gb = 0
"""
LEARNS = """
[cameras.gate.learn]
hours = "always"
every = 86400
steps = {steps}
"""
_BUCKET = re.compile(r'vidsr_delay_seconds_bucket\{camera="yard",le="([^"]+)"\} (\S+)')
_SETTLE_S = 15.0
_MODULE = "vidsr.learning.learn_process"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What was measured in one phase."""

    learns: bool
    fps: float
    p50_s: float
    p99_s: float
    learning_s: float
    load: float

    def __str__(self) -> str:
        what = "learning" if self.learns else "not learning"
        delays = f"delay p50 {self.p50_s:.3f} p99 {self.p99_s:.3f} s"
        return f"{what:12}  {self.fps:6.2f} fps  {delays}  {self.learning_s:5.1f} CPU s learned  load {self.load:.1f}"


def parse_args() -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase")
    parser.add_argument("--phases", type=int, default=4)
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--steps", type=int, default=4000, help="of training: so many that it lasts for all phases")
    return parser.parse_args()


def buckets(run: Run) -> list[tuple[float, float]]:
    """(upper bound in seconds, frames up to it) of the other camera's delays."""
    return [(float(bound), float(count)) for bound, count in _BUCKET.findall(run.get("/metrics")[1])]


def quantile(before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]], share: float) -> float:
    """The delay that this share of the frames between two readings stays below, in seconds."""
    counts = [(0.0, 0.0), *((bound, count - then) for (bound, count), (_, then) in zip(after, before, strict=True))]
    wanted = share * counts[-1][1]
    for (low, below), (high, upto) in pairwise(counts):
        if upto >= wanted and upto > below:
            return low + (high - low) * (wanted - below) / (upto - below)
    return float("nan")


def learning_s(run: Run) -> float:
    """The CPU seconds of the process that learns so far; 0 without one."""
    return sum(sum(process.cpu_times()[:2]) for process in running(run.mark, _MODULE))


def measure(run: Run, args: argparse.Namespace, *, learns: bool) -> Phase:
    """Wait until all is at work, and measure the other camera."""
    for name in ("gate", "yard"):
        run.wait_for_frames(within_s=120, more=10, camera=name)
    if learns:
        run.wait_until(lambda: learning_s(run) > 0, within_s=300, what="it learns")
    time.sleep(_SETTLE_S)
    before, cpu_before = buckets(run), learning_s(run)
    fps = run.rate(args.seconds, "yard")
    after = buckets(run)
    return Phase(
        learns=learns,
        fps=fps,
        p50_s=quantile(before, after, 0.5),
        p99_s=quantile(before, after, 0.99),
        learning_s=learning_s(run) - cpu_before,
        load=os.getloadavg()[0],
    )


def main() -> int:
    """The exit code."""
    args = parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_drawn_moments(LearnDir(folder / "gate" / "learn"))
        text = ""
        for number, name in enumerate(("gate", "yard")):
            source = stack.enter_context(camera("--size", args.size, "--number", str(number), fps=args.fps))
            text += CAMERA.format(name=name, url=source.url, target=folder / name)
        for number in range(args.phases):
            learns = bool(number % 2)
            config = folder / "cameras.toml"
            config.write_text(text + (LEARNS.format(steps=args.steps) if learns else ""))
            hard_s = args.seconds + 600
            with stream("--config", str(config), folder=folder, hard_s=hard_s) as run:
                print(measure(run, args, learns=learns), flush=True)
                run.end(within_s=60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
