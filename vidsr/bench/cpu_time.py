"""The time on cores that this process and those below it have taken, as the kernel counts it."""

import os
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

OWN, WORKERS, RAY = "this process", "workers", "Ray"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CoreTime:
    """Seconds on cores, and seconds for which a thread could have gone on and others had the cores."""

    ran_s: float = 0.0
    waited_s: float = 0.0

    def __add__(self, other: "CoreTime") -> "CoreTime":
        return CoreTime(self.ran_s + other.ran_s, self.waited_s + other.waited_s)

    def __sub__(self, other: "CoreTime") -> "CoreTime":
        return CoreTime(self.ran_s - other.ran_s, self.waited_s - other.waited_s)


@dataclass(frozen=True)
class _Process:
    parent: int
    name: str
    cpu_s: float
    began_s: float
    """After the machine's own start."""


def core_times() -> dict[str, CoreTime]:
    """So far, of this process, of Ray's actors below it, and of the rest of Ray."""
    spent: dict[str, CoreTime] = defaultdict(CoreTime)
    processes = _processes()
    for pid, process in processes.items():
        if pid == os.getpid():
            spent[OWN] += _core_time(pid, process)
        elif _descends(pid, processes):
            name = WORKERS if process.name.startswith("ray::Worker") else RAY
            spent[name] += _core_time(pid, process)
    return dict(spent)


def age_s() -> float:
    """Seconds since this process was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - _process(os.getpid()).began_s


def _core_time(pid: int, process: _Process) -> CoreTime:
    waited_ns = 0
    with suppress(OSError):  # it ended meanwhile, or this kernel does not count
        for task in os.listdir(f"/proc/{pid}/task"):
            waited_ns += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[1])
    return CoreTime(process.cpu_s, waited_ns / 1e9)


def _processes() -> dict[int, _Process]:
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):  # it ended meanwhile
                found[int(name)] = _process(int(name))
    return found


def _process(pid: int) -> _Process:
    name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition(" (")[2].rpartition(") ")
    fields = rest.split()  # from the third on, as proc(5) counts them
    return _Process(
        parent=int(fields[1]),
        name=name,
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        began_s=int(fields[19]) / _TICKS,
    )


def _descends(pid: int, processes: dict[int, _Process]) -> bool:
    while pid in processes:
        pid = processes[pid].parent
        if pid == os.getpid():
            return True
    return False
