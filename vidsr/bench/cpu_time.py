"""CPU time of this process and its descendants, read from /proc."""

import os
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

OWN, WORKERS, RAY = "this process", "workers", "Ray"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CpuTime:
    """Seconds on a core, and seconds for which a runnable thread waited for one."""

    ran_s: float = 0.0
    waited_s: float = 0.0

    def __add__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.ran_s + other.ran_s, self.waited_s + other.waited_s)

    def __sub__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.ran_s - other.ran_s, self.waited_s - other.waited_s)


@dataclass(frozen=True)
class _Process:
    parent: int
    name: str
    cpu_s: float
    start_s: float
    """After the boot of the machine."""


def cpu_times() -> dict[str, CpuTime]:
    """CPU time so far of this process, of its Ray workers, and of the rest of Ray."""
    spent: dict[str, CpuTime] = defaultdict(CpuTime)
    processes = _processes()
    for pid, process in processes.items():
        if pid == os.getpid():
            spent[OWN] += _cpu_time(pid, process)
        elif _descends(pid, processes):
            name = WORKERS if process.name.startswith("ray::Worker") else RAY
            spent[name] += _cpu_time(pid, process)
    return dict(spent)


def process_age_s() -> float:
    """Seconds since the start of this process."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - _process(os.getpid()).start_s


def _cpu_time(pid: int, process: _Process) -> CpuTime:
    waited_ns = 0
    with suppress(OSError):  # the process has ended, or the kernel has no schedstat
        for task in os.listdir(f"/proc/{pid}/task"):
            waited_ns += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[1])
    return CpuTime(process.cpu_s, waited_ns / 1e9)


def _processes() -> dict[int, _Process]:
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):  # the process has ended
                found[int(name)] = _process(int(name))
    return found


def _process(pid: int) -> _Process:
    name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition(" (")[2].rpartition(") ")
    fields = rest.split()  # fields[0] is the third field in proc(5)
    return _Process(
        parent=int(fields[1]),
        name=name,
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        start_s=int(fields[19]) / _TICKS,
    )


def _descends(pid: int, processes: dict[int, _Process]) -> bool:
    while pid in processes:
        pid = processes[pid].parent
        if pid == os.getpid():
            return True
    return False
