"""Memory and CPU time of a command with its descendants, and of the rest of the machine, from outside."""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, kw_only=True)
class ProcessUsage:
    """The resource usage of a command."""

    output: str
    """Its stdout."""
    seconds: float
    peak_mb: float
    """The sum of the PSS of all its processes, which counts shared memory once."""
    early_mb: float
    late_mb: float
    """`early_mb` and `late_mb` are means over the second and the last quarter of the run."""
    cores: float
    """Mean number of busy cores."""
    others: float
    """Mean number of cores that other processes kept busy."""
    processes: int


def run_monitored(command: Sequence[str], *, pause_s: float = 0.2) -> ProcessUsage:
    """Run a command and monitor it. Raises SystemExit with its stderr where it fails."""
    began, machine = time.perf_counter(), machine_cpu_s()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        tree = ProcessTree(process.pid)
        while process.poll() is None:
            tree.sample()
            time.sleep(pause_s)
        output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}\n{errors}")
    return tree.usage(output, time.perf_counter() - began, machine_cpu_s() - machine)


class ProcessTree:
    """A process and its descendants."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._mb: list[float] = []
        self._cpu_s: dict[int, float] = {}
        self._offset_s = 0.0
        self._max_processes = 0

    def sample(self) -> None:
        """Record their memory and their CPU time so far."""
        pss = count = 0
        for process in self._processes():
            try:
                pss += process.memory_full_info().pss
                self._cpu_s[process.pid] = sum(process.cpu_times()[:2])
                count += 1
            except psutil.Error:
                continue  # the process has ended
        self._max_processes = max(self._max_processes, count)
        self._mb.append(pss / 2**20)

    def reset_cpu(self) -> None:
        """Start counting CPU time from the last sample."""
        self._offset_s = sum(self._cpu_s.values())

    def usage(self, output: str, seconds: float, machine_cpu_s: float) -> ProcessUsage:
        """The usage over `seconds`, in which the whole machine used `machine_cpu_s` of CPU time."""
        cpu_s, quarter = sum(self._cpu_s.values()) - self._offset_s, max(1, len(self._mb) // 4)
        second = self._mb[quarter : 2 * quarter] or self._mb
        return ProcessUsage(
            output=output,
            seconds=round(seconds, 2),
            peak_mb=round(max(self._mb)),
            early_mb=round(sum(second) / len(second), 1),
            late_mb=round(sum(self._mb[-quarter:]) / quarter, 1),
            cores=round(cpu_s / seconds, 2),
            others=round(max(0.0, machine_cpu_s - cpu_s) / seconds, 2),
            processes=self._max_processes,
        )

    def _processes(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []


def machine_cpu_s() -> float:
    """CPU seconds of all cores since boot."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system
