"""The processes of a run: their resources, and their leftovers."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "VIDSR_TEST_RUN"
"""An environment variable that all processes of a run inherit; its value identifies the run."""


def run_processes(value: str) -> Iterator[psutil.Process]:
    """All living processes of a run, including orphans."""
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == value:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def running(value: str, words: str) -> list[psutil.Process]:
    """The processes of a run with `words` in their command line or title."""
    found = []
    for process in run_processes(value):
        try:
            if words in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def hurry(pid: int) -> None:
    """Have a process that yields to all others run as they do: on a busy machine a test would wait for ever."""
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("0")
    with suppress(OSError):
        os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, pid, 0)


@dataclass(frozen=True, kw_only=True)
class ResourceUsage:
    """The resources of all processes of a run at one moment."""

    processes: int
    memory_mb: float
    """Anonymous memory; file pages are not counted, as other processes may share them."""
    shm_mb: float
    """Shared memory, not included in `memory_mb`."""
    threads: int
    fds: int


def resource_usage(value: str) -> ResourceUsage:
    """The current resources of the processes of a run."""
    count, anonymous, shm, threads, fds = 0, 0, 0, 0, 0
    for process in run_processes(value):
        try:
            kilobytes = _rolled_up(process.pid)
            threads += process.num_threads()
            fds += process.num_fds()
        except (psutil.NoSuchProcess, OSError):
            continue
        count += 1
        anonymous += kilobytes["Pss_Anon"]
        shm += kilobytes["Pss_Shmem"]
    return ResourceUsage(processes=count, memory_mb=anonymous / 1e3, shm_mb=shm / 1e3, threads=threads, fds=fds)


def _rolled_up(pid: int) -> dict[str, int]:
    """Kilobytes by kind, from /proc/PID/smaps_rollup."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return {name.rstrip(":"): int(number) for name, number, *_ in lines}


def temp_entries() -> set[Path]:
    """The files of vidsr and Ray in /tmp and /dev/shm."""
    names = [*Path("/tmp").glob("vidsr-*"), *Path("/tmp").glob("ray*"), *Path("/dev/shm").iterdir()]
    return {path for path in names if not path.name.startswith("sem.")}


def leftovers(value: str, before: set[Path]) -> list[str]:
    """What an ended run has left: its processes, and temporary files that were not there `before` and are not in use.

    Other runs may begin and end meanwhile; their folders are locked while they live, but for moments at both ends.
    """
    left = [f"process {process.pid} {' '.join(process.cmdline())[:80]}" for process in run_processes(value)]
    new = [path for path in sorted(temp_entries() - before) if not _in_use(path)]
    if new:
        time.sleep(1)
    return left + [str(path) for path in new if path.exists() and not _in_use(path)]


def _locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _in_use(path: Path) -> bool:
    """Whether a living process names it, has a file in it open, or holds its lock."""
    if _locked(path / "owner"):
        return True
    for process in psutil.process_iter():
        try:
            named = str(path) in " ".join(process.cmdline())
            if named or any(file.path.startswith(str(path)) for file in process.open_files()):
                return True
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return False
