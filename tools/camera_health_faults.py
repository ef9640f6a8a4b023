"""Three cameras in one configuration, and a scripted fault again and again: health at each second, and the evidence.

  tools/camera_health_faults.py                          an hour, a fault per minute
  tools/camera_health_faults.py --minutes 20

`bad` has the faults, each for half of its time; `changing` steps its clock and changes its size within one
connection; `good` has none and must be ok at every second. All record their originals. Prints a line per change of
health, a line per fault, and the frames of each camera that are missing: in the original while the camera was there,
in the enlarged where the original has them. Exit code 1 where health was wrong or a frame is missing. Needs root and
what tools/install-test-packages installs.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/live")]

from kit.cameras import Camera, camera  # noqa: E402
from kit.networks import Network, network, small_disk  # noqa: E402
from kit.recordings import decode_file, recordings  # noqa: E402
from kit.runs import Run, stream  # noqa: E402
from kit.servers import http  # noqa: E402
from kit.sinks import Sink, sink  # noqa: E402
from kit.transport import Kind, mpeg_ts  # noqa: E402

GOOD, BAD, CHANGING = 1, 2, 3
"""The numbers of the cameras."""
FPS = 10
STATES = ("ok", "degraded", "failed")
_SETTINGS = """workers = 0
segment = 10
timeout = 2.0
preset = "ultrafast"
max-delay = 5.0
min-free-gb = 0.0
original = true"""
_NOTICED_S = 20.0
"""The longest time until health shows a fault, or its end: the 10 s of a stall, and what a busy machine adds."""
_DISK_MB = 2000
_WRAP = 1 << 16
"""The numbers of frames begin again here."""


@dataclass
class Fault:
    """What breaks, and the states of `bad` of which one must hold from when it is noticed until it is mended."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]
    states: tuple[str, ...]
    is_away: bool = False
    """Whether the frames of the camera cannot be had until it is mended."""
    restarts: bool = False
    """Whether the camera restarts as it begins and as it is mended."""
    seen: list[tuple[float, str]] = field(default_factory=list)
    """(seconds since it began, the state of `bad`), once per second."""
    began_s: float = 0.0
    """By the monotonic clock."""
    mended_s: float = 0.0

    def first_seen_s(self) -> float | None:
        """When one of its states was first seen."""
        return next((seconds for seconds, state in self.seen if state in self.states), None)

    def n_wrong(self) -> int:
        """The seconds in which health was wrong: another state while the fault lasts, or failed long after."""
        lasts_s = self.mended_s - self.began_s
        wrong = 0
        for seconds, state in self.seen:
            if _NOTICED_S < seconds < lasts_s:
                wrong += state not in self.states
            elif seconds > lasts_s + _NOTICED_S:
                wrong += state not in ("ok", "degraded")
        return wrong


def read_only(disk: Path) -> None:
    """Let nobody write to a disk, which is as it is when a file system was damaged: what is open stays open."""
    subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)


def fill(disk: Path) -> None:
    """Take all of a disk."""
    with (disk / "filler").open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 20))


def another(source: Camera, *arguments: str) -> None:
    """Restart a camera with these options."""
    source.kill()
    source.start(*arguments)


def faults_of(source: Camera, server: Sink, net: Network, disk: Path, run: Run) -> list[Fault]:
    """All faults of `bad`."""
    as_ever = lambda: another(source)  # noqa: E731
    return [
        Fault("camera killed", source.kill, source.start, ("failed",), is_away=True),
        Fault("server of a target killed", server.kill, server.start, ("degraded",)),
        Fault("camera frozen", source.freeze, source.resume, ("failed",), is_away=True),
        Fault("disk of a target full", lambda: fill(disk), (disk / "filler").unlink, ("degraded",)),
        Fault("cable cut", net.cut, net.restore, ("failed",), is_away=True),
        Fault("B-frames", lambda: another(source, "--bframes", "2"), as_ever, ("ok", "degraded"), restarts=True),
        Fault("disk read-only", lambda: read_only(disk), lambda: unmount(disk), ("degraded",)),
        Fault(
            "another size", lambda: another(source, "--size", "160x120"), as_ever, ("ok", "degraded"), restarts=True
        ),
        Fault("2 % of the packets lost", lambda: net.lose(2, "tcp"), lambda: net.lose_none(), ("ok", "degraded")),
        Fault("reload", lambda: os.kill(run.process.pid, signal.SIGHUP), lambda: None, ("ok", "degraded")),
    ]


def unmount(disk: Path) -> None:
    """End `read_only`."""
    subprocess.run(["umount", "-l", str(disk)], check=True)


def changing_stream(every_s: float) -> Iterator[bytes]:
    """A transport stream whose clock goes an hour forward and back, and whose size changes, within one connection."""
    kind, ticks_s, begin, part = Kind(fps=FPS, camera=CHANGING), 90_000, int(time.monotonic() * FPS), 0
    while True:
        hours, size = ((0, (160, 120)), (1, (160, 120)), (1, (320, 240)), (0, (160, 120)))[part % 4]
        passed = round(part * every_s * ticks_s) + hours * 3600 * ticks_s
        first, count = begin + round(part * every_s * FPS), round(every_s * FPS)
        pieces = mpeg_ts(replace(kind, size=size), lambda _i, ticks, passed=passed: passed + ticks, first=first)  # type: ignore[misc]
        yield from islice(pieces, count)
        part += 1


def states_of(run: Run) -> dict[str, tuple[str, str]]:
    """The state of each camera by /healthz, and why."""
    cameras = json.loads(run.get("/healthz")[1] or '{"cameras": {}}')["cameras"]
    return {name: (camera["state"], "; ".join(camera["reasons"])) for name, camera in cameras.items()}


def watch(run: Run, faults: list[Fault], server: Sink, *, every_s: float, until_s: float) -> tuple[list[Fault], int]:
    """The faults as they were seen, and the seconds in which `good` was not ok or `changing` failed."""
    began, done, n_wrong, before = time.monotonic(), list[Fault](), 0, dict[str, str]()
    while (now_s := time.monotonic() - began) + every_s <= until_s:
        fault = replace(faults[len(done) % len(faults)], seen=[], began_s=time.monotonic(), mended_s=0.0)
        done.append(fault)
        print(f"{now_s:6.0f} s  {fault.name} begins", flush=True)
        fault.begin()
        while (passed_s := time.monotonic() - fault.began_s) < every_s:
            if passed_s > every_s / 2 and not fault.mended_s:
                fault.end()
                fault.mended_s = time.monotonic()
                print(f"{time.monotonic() - began:6.0f} s  {fault.name} is over", flush=True)
            server.listen_again()
            found = states_of(run)
            states = {name: state for name, (state, _) in found.items()}
            n_wrong += states.get("good") != "ok" or states.get("changing") not in ("ok", "degraded")
            fault.seen.append((passed_s, states.get("bad", "no answer")))
            if states != before:
                print(f"{time.monotonic() - began:6.0f} s  {found}", flush=True)
            before = states
            time.sleep(1)
    return done, n_wrong


def print_table(done: list[Fault]) -> bool:
    """A line per fault; True where each was seen in time, and no second was wrong."""
    print("| fault | must be | seen after s | seconds ok / degraded / failed | wrong | at its end |")
    print("|---|---|---|---|---|---|")
    is_right = True
    for fault in done:
        first_s, n_wrong = fault.first_seen_s(), fault.n_wrong()
        is_right &= first_s is not None and first_s < _NOTICED_S and n_wrong == 0
        counts = " / ".join(str(sum(state == each for _, state in fault.seen)) for each in STATES)
        shown, must = "never" if first_s is None else f"{first_s:.0f}", " or ".join(fault.states)
        print(f"| {fault.name} | {must} | {shown} | {counts} | {n_wrong} | {fault.seen[-1][1]} |")
    return is_right


def numbers_of(paths: list[Path], number: int) -> list[int]:
    """The numbers of a camera's frames in these files, those after `_WRAP` going on."""
    found: list[int] = []
    decoded = (decode_file(path, may_be_damaged=".original." in path.name) for path in paths)
    for mark in (mark for file in decoded for mark in file.marks if mark):
        assert mark.camera == number, f"a frame of camera {mark.camera} in the recordings of {number}"
        last = found[-1] if found else mark.number
        found.append(last + (mark.number - last) % _WRAP)
    return found


def missing(folder: Path, number: int, away: list[range]) -> tuple[int, int, int]:
    """How many frames the original has; how many it lacks but in `away`; how many of its frames the enlarged lacks.

    The last two seconds do not count: the end of the run cuts originals and enlarged at different frames.
    """
    paths = recordings(folder)
    original = numbers_of([path for path in paths if ".original." in path.name], number)
    enlarged = set(numbers_of([path for path in paths if ".original." not in path.name], number))
    counted = range(original[0], original[-1] - 2 * FPS)
    there = set(original)
    lost = [each for each in counted if each not in there and not any(each in gone for gone in away)]
    late = [each for each in original if each in counted and each not in enlarged]
    print(f"{folder.name}: lost {lost[:20]}, not enlarged {late[:20]}")
    return len(original), len(lost), len(late)


def away_frames(done: list[Fault], source: Camera) -> list[range]:
    """The numbers of the frames of `bad` that cannot be had: from before its fault until it had time to reconnect."""
    gone = []
    for fault in done:
        begun = [fault.began_s] if fault.is_away else [fault.began_s, fault.mended_s] if fault.restarts else []
        for began_s in begun:
            until_s = (fault.mended_s if fault.is_away else began_s) + _NOTICED_S
            first_s, last_s = began_s - 2 - source.began_s, until_s - source.began_s
            gone.append(range(int(first_s * FPS), int(last_s * FPS)))
    return gone


def ended(run: Run) -> int:
    """The exit code, 1 where something is left behind, which is printed: what was recorded is counted all the same."""
    try:
        return run.end()
    except AssertionError as error:
        print(error)
        return 1


def parse_args() -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=60.0, metavar="S", help="between two faults")
    parser.add_argument("--warm-up", type=float, default=60.0, metavar="S", help="the time that health looks back")
    parser.add_argument("--model", default="fsrcnn-fast-x2")
    return parser.parse_args()


def write_config(path: Path, sources: dict[str, str], targets: dict[str, list[str]], model: str) -> None:
    """The configuration of all cameras."""
    cameras = (
        f'[cameras.{name}]\nsource = "{url}"\ntargets = {json.dumps(targets[name])}' for name, url in sources.items()
    )
    path.write_text("\n".join([f'[defaults]\nmodel = "{model}"\n{_SETTINGS}', *cameras]) + "\n")


def main() -> int:
    """The exit code."""
    args = parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        net = stack.enter_context(network())
        good = stack.enter_context(camera("--number", str(GOOD)))
        bad = stack.enter_context(camera("--number", str(BAD), host=net.host, inside=net.inside))
        changing = stack.enter_context(http(lambda: changing_stream(args.every / 2)))
        disk, server = (
            stack.enter_context(small_disk(folder / "disk", _DISK_MB)),
            stack.enter_context(sink("rtsp", folder)),
        )
        targets = {name: [str(folder / name)] for name in ("good", "bad", "changing")}
        targets["bad"] += [server.url, str(disk / "x")]
        sources = {"good": good.url, "bad": bad.url, "changing": changing}
        write_config(folder / "cameras.toml", sources, targets, args.model)
        options = ["--config", str(folder / "cameras.toml")]
        run = stack.enter_context(stream(options=options, folder=folder, hard_s=60 * args.minutes + 600))
        for name in sources:
            run.wait_for_frames(camera=f'camera="{name}"', within_s=90)
        time.sleep(args.warm_up)
        faults = faults_of(bad, server, net, disk, run)
        done, n_wrong = watch(run, faults, server, every_s=args.every, until_s=60 * args.minutes)
        is_right = print_table(done)
        code = ended(run)
        print(f"{n_wrong} s in which good was not ok or changing failed; exit code {code}")
        n_missing = 0
        for name, number in (("good", GOOD), ("bad", BAD), ("changing", CHANGING)):
            away = away_frames(done, bad) if number == BAD else []
            n_frames, n_lost, n_late = missing(folder / name, number, away)
            print(
                f"{name}: {n_frames} frames in the original, {n_lost} missing; {n_late} of them not enlarged",
                flush=True,
            )
            n_missing += n_lost + n_late
    return 0 if is_right and n_wrong == n_missing == code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
