"""The processes of a run: what they hold, and what is left when they should be gone."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "VIDSR_TEST_RUN"
"""The environment variable that every process of a run inherits, with the run's own value."""


def of_run(value: str) -> Iterator[psutil.Process]:
    """Every living process of a run, orphans too, whoever is their parent now."""
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == value:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def running(value: str, words: str) -> list[psutil.Process]:
    """Those of a run with these words in their command line or title."""
    found = []
    for process in of_run(value):
        try:
            if words in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the processes of a run hold at one moment."""

    processes: int
    rss_mb: float
    """Memory that is theirs alone, and their part of what is shared (PSS)."""
    threads: int
    fds: int
    shm_mb: float
    """Of /dev/shm as a whole: what is mapped there may have no name."""


def held(value: str) -> Held:
    """What the processes of a run hold now."""
    count, pss, threads, fds = 0, 0, 0, 0
    for process in of_run(value):
        try:
            pss += process.memory_full_info().pss
            threads += process.num_threads()
            fds += process.num_fds()
        except psutil.NoSuchProcess:
            continue
        count += 1
    disk = os.statvfs("/dev/shm")
    shm = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    return Held(processes=count, rss_mb=pss / 1e6, threads=threads, fds=fds, shm_mb=shm / 1e6)


def entries() -> set[Path]:
    """What lies in /tmp and /dev/shm under our name, or Ray's."""
    names = [*Path("/tmp").glob("vidsr-*"), *Path("/tmp").glob("ray*"), *Path("/dev/shm").iterdir()]
    return {path for path in names if not path.name.startswith("sem.")}


def leftovers(value: str, before: set[Path]) -> list[str]:
    """What a run that has ended left behind: its processes, and what was not there `before` and nobody else uses."""
    left = [f"process {process.pid} {' '.join(process.cmdline())[:80]}" for process in of_run(value)]
    return left + [str(path) for path in sorted(entries() - before) if not _in_use(path)]


def _in_use(path: Path) -> bool:
    """Whether a living process names it, or has a file in it open."""
    for process in psutil.process_iter():
        try:
            named = str(path) in " ".join(process.cmdline())
            if named or any(file.path.startswith(str(path)) for file in process.open_files()):
                return True
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return False
