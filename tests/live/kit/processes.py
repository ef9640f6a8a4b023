"""The processes of a run: what they hold, and what is left when they should be gone."""

import fcntl
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
    memory_mb: float
    """What they allocated; not pages of files, which others may share from one moment to the next."""
    shm_mb: float
    """Shared memory, which is not in `memory_mb`."""
    threads: int
    fds: int


def held(value: str) -> Held:
    """What the processes of a run hold now."""
    count, anonymous, shm, threads, fds = 0, 0, 0, 0, 0
    for process in of_run(value):
        try:
            kilobytes = _rolled_up(process.pid)
            threads += process.num_threads()
            fds += process.num_fds()
        except (psutil.NoSuchProcess, OSError):
            continue
        count += 1
        anonymous += kilobytes["Pss_Anon"]
        shm += kilobytes["Pss_Shmem"]
    return Held(processes=count, memory_mb=anonymous / 1e3, shm_mb=shm / 1e3, threads=threads, fds=fds)


def _rolled_up(pid: int) -> dict[str, int]:
    """Kilobytes by kind, from the kernel's summary of all that is mapped."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return {name.rstrip(":"): int(number) for name, number, *_ in lines}


def entries() -> set[Path]:
    """What lies in /tmp and /dev/shm under our name, or Ray's."""
    names = [*Path("/tmp").glob("vidsr-*"), *Path("/tmp").glob("ray*"), *Path("/dev/shm").iterdir()]
    return {path for path in names if not path.name.startswith("sem.")}


def leftovers(value: str, before: set[Path]) -> list[str]:
    """What a run that has ended left behind: its processes, and what was not there `before` and nobody else uses.

    Other runs may begin and end meanwhile; their folders are locked as long as they live, and then gone.
    """
    left = [f"process {process.pid} {' '.join(process.cmdline())[:80]}" for process in of_run(value)]
    return left + [str(path) for path in sorted(entries() - before) if not _in_use(path)]


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
