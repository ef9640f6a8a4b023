"""Two cameras in one configuration, and a scripted fault again and again: what health said at each second.

  tools/camera_health_faults.py                          an hour, a fault per minute
  tools/camera_health_faults.py --minutes 20

All faults are those of the camera `bad`: `good` must be ok at every second, and no frame of it may be missing. A fault
lasts for half of its time. Prints a line per second in which something changed, then a line per fault; exit code 1
where health was wrong or a frame of `good` is missing. Needs root and what tools/install-test-packages installs.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests/live")]

from kit.cameras import camera  # noqa: E402
from kit.networks import small_disk  # noqa: E402
from kit.recordings import decode_all, frame_numbers  # noqa: E402
from kit.runs import Run, stream  # noqa: E402
from kit.sinks import sink  # noqa: E402

GOOD, BAD = 1, 2
"""The numbers of the cameras."""
STATES = ("ok", "degraded", "failed")
_SETTINGS = 'workers = 0\nsegment = 10\ntimeout = 2.0\npreset = "ultrafast"\nmax-delay = 5.0\nmin-free-gb = 0.0'
_NOTICED_S = 20.0
"""The longest time until health shows a fault: the 10 s of a stall, and what a busy machine adds."""


@dataclass
class Fault:
    """What breaks, and the states of `bad` of which one must be seen before it is mended."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]
    states: tuple[str, ...]
    seen: list[tuple[float, str]] = field(default_factory=list)
    """(seconds since it began, the state of `bad`), once per second."""

    def first_seen_s(self) -> float | None:
        """When one of its states was first seen."""
        return next((seconds for seconds, state in self.seen if state in self.states), None)


def fill(disk: Path) -> None:
    """Take all of a disk."""
    with (disk / "filler").open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))


def states_of(run: Run) -> dict[str, tuple[str, str]]:
    """The state of each camera by /healthz, and why."""
    cameras = json.loads(run.get("/healthz")[1] or '{"cameras": {}}')["cameras"]
    return {name: (camera["state"], "; ".join(camera["reasons"])) for name, camera in cameras.items()}


def watch(run: Run, faults: list[Fault], *, every_s: float, until_s: float) -> tuple[list[Fault], int]:
    """The faults as they were seen, and the seconds in which `good` was not ok."""
    began, done, n_wrong, before = time.monotonic(), list[Fault](), 0, dict[str, str]()
    while (now_s := time.monotonic() - began) + every_s <= until_s:
        template = faults[len(done) % len(faults)]
        fault = Fault(template.name, template.begin, template.end, template.states)
        done.append(fault)
        print(f"{now_s:6.0f} s  {fault.name} begins", flush=True)
        fault.begin()
        begun_s, is_over = time.monotonic(), False
        while (passed_s := time.monotonic() - begun_s) < every_s:
            if passed_s > every_s / 2 and not is_over:
                fault.end()
                is_over = True
                print(f"{time.monotonic() - began:6.0f} s  {fault.name} is over", flush=True)
            found = states_of(run)
            states = {name: state for name, (state, _) in found.items()}
            n_wrong += states.get("good") != "ok"
            fault.seen.append((passed_s, states.get("bad", "no answer")))
            if states != before:
                print(f"{time.monotonic() - began:6.0f} s  {found}", flush=True)
            before = states
            time.sleep(1)
    return done, n_wrong


def print_table(done: list[Fault]) -> bool:
    """A line per fault; True where each was seen in time."""
    print("| fault | must be | seen after s | seconds ok / degraded / failed | at its end |\n|---|---|---|---|---|")
    is_right = True
    for fault in done:
        first_s = fault.first_seen_s()
        is_right &= first_s is not None and first_s < _NOTICED_S
        counts = " / ".join(str(sum(state == each for _, state in fault.seen)) for each in STATES)
        shown = "never" if first_s is None else f"{first_s:.0f}"
        print(f"| {fault.name} | {' or '.join(fault.states)} | {shown} | {counts} | {fault.seen[-1][1]} |")
    return is_right


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=60.0, metavar="S", help="between two faults")
    parser.add_argument("--warm-up", type=float, default=60.0, metavar="S", help="the time that health looks back")
    parser.add_argument("--model", default="fsrcnn-fast-x2")
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        good, bad = (stack.enter_context(camera("--number", str(number))) for number in (GOOD, BAD))
        disk, server = stack.enter_context(small_disk(folder / "disk", 30)), stack.enter_context(sink("rtsp", folder))
        config = folder / "cameras.toml"
        targets = [str(folder / "bad"), server.url, str(disk / "x")]
        config.write_text(
            f'[defaults]\nmodel = "{args.model}"\n{_SETTINGS}\n[cameras.good]\nsource = "{good.url}"\n'
            f'targets = ["{folder / "good"}"]\n[cameras.bad]\nsource = "{bad.url}"\ntargets = {json.dumps(targets)}\n'
        )
        hard_s = 60 * args.minutes + 600
        run = stack.enter_context(stream(options=["--config", str(config)], folder=folder, hard_s=hard_s))
        run.wait_for_frames(camera='camera="good"', within_s=90)
        run.wait_for_frames(camera='camera="bad"', within_s=90)
        time.sleep(args.warm_up)
        faults = [
            Fault("camera killed", bad.kill, bad.start, ("failed",)),
            Fault("server of a target killed", server.kill, server.start, ("degraded",)),
            Fault("camera frozen", bad.freeze, bad.resume, ("failed",)),
            Fault("disk of a target full", lambda: fill(disk), (disk / "filler").unlink, ("degraded",)),
            Fault("reload", lambda: os.kill(run.process.pid, signal.SIGHUP), lambda: None, ("ok", "degraded")),
        ]
        done, n_wrong = watch(run, faults, every_s=args.every, until_s=60 * args.minutes)
        is_right = print_table(done)
        counts = {name: run.number(f"vidsr_frames_{name}_total", 'camera="good"') for name in ("dropped", "missed")}
        code = run.end()
        numbers = frame_numbers(decode_all(folder / "good"), camera=GOOD)
        n_missing = numbers[-1] - numbers[0] + 1 - len(numbers)
        print(f"good: {n_wrong} s not ok, {len(numbers)} frames, {n_missing} missing, {counts}; exit code {code}")
    return 0 if is_right and n_wrong == n_missing == code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
