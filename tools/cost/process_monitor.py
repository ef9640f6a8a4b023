"""A command and all processes below it, watched from outside: memory, work, and what else the machine did."""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was seen of a command."""

    output: str
    """What it wrote to stdout."""
    seconds: float
    peak_mb: float
    """Of all its processes together, shared memory counted once (the sum of their PSS)."""
    early_mb: float
    late_mb: float
    """The means of the second and the last quarter of its time."""
    cores: float
    """That it kept busy on average."""
    others: float
    """Cores that others kept busy meanwhile."""
    processes: int


def watched(command: Sequence[str], *, pause_s: float = 0.2) -> Watched:
    """What a command came to. Raises SystemExit with what it says when it fails."""
    began, machine = time.perf_counter(), machine_s()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        tree = Tree(process.pid)
        while process.poll() is None:
            tree.look()
            time.sleep(pause_s)
        output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}\n{errors}")
    return tree.seen(output, time.perf_counter() - began, machine_s() - machine)


class Tree:
    """A process and all below it."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._mb: list[float] = []
        self._work_s: dict[int, float] = {}
        self._before_s = 0.0
        self._most = 0

    def look(self) -> None:
        """Note what they hold now, and what each has worked so far."""
        held = count = 0
        for one in self._all():
            try:
                held += one.memory_full_info().pss
                self._work_s[one.pid] = sum(one.cpu_times()[:2])
                count += 1
            except psutil.Error:
                continue  # it ended meanwhile
        self._most = max(self._most, count)
        self._mb.append(held / 2**20)

    def forget_work(self) -> None:
        """Count their work from what they have done by now."""
        self._before_s = sum(self._work_s.values())

    def seen(self, output: str, seconds: float, machine_s: float) -> Watched:
        """What was noted, of `seconds` in which all that ran on the machine worked for `machine_s`."""
        work_s, quarter = sum(self._work_s.values()) - self._before_s, max(1, len(self._mb) // 4)
        second = self._mb[quarter : 2 * quarter] or self._mb
        return Watched(
            output=output,
            seconds=round(seconds, 2),
            peak_mb=round(max(self._mb)),
            early_mb=round(sum(second) / len(second), 1),
            late_mb=round(sum(self._mb[-quarter:]) / quarter, 1),
            cores=round(work_s / seconds, 2),
            others=round(max(0.0, machine_s - work_s) / seconds, 2),
            processes=self._most,
        )

    def _all(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []


def machine_s() -> float:
    """The seconds that all cores together have worked since the machine began."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system
