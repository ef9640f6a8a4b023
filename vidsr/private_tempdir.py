"""Private temporary directories of runs, and the cleanup after runs that were killed."""

import fcntl
import logging
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

_PREFIX = "vidsr-"
_LOCK_NAME = "owner"
_KILL_ROUNDS, _KILL_ROUND_S = 50, 0.02


@contextmanager
def private_tempdir(*, max_bytes: int = 4096) -> Iterator[Path]:
    """A new directory of mode 0700, removed at the end; the directories of killed runs are removed first.

    It is in TMPDIR, or, with a warning where that cannot be used, in /tmp. `max_bytes` limits the length of its path:
    the path of a socket holds 107 bytes. Raises OSError, a sentence, where neither can be used.
    """
    remove_stale()
    folder = _new_folder(max_bytes)
    lock = None
    try:
        (folder / ".new").write_bytes(_this_boot())
        # For reading: processes that write in the directory are killed, and this one may fork.
        lock = os.open(folder / ".new", os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(folder / ".new", folder / _LOCK_NAME)  # locked before remove_stale can find it
        yield folder
    finally:
        _kill_lingering_processes(folder)  # they would create the directory again
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:  # not before: another run would take this one for a leftover
            os.close(lock)


def remove_stale() -> list[Path]:
    """Remove the directories whose owners are dead, kill the processes that write in them, and return the paths.

    An owner holds a lock, which the kernel releases when the owner is killed. A directory without a lock file is kept,
    and one of another boot: TMPDIR may be shared with machines whose locks are not seen here.
    """
    removed = []
    for folder in (folder for root in _roots() for folder in root.glob(f"{_PREFIX}*")):
        with suppress(OSError):
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                continue
            # For reading: another run that removes the directory kills the processes that write in it.
            lock = os.open(folder / _LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.fstat(lock).st_nlink or os.read(lock, 64) != _this_boot():
                    continue
                _kill_lingering_processes(folder)
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
            finally:
                os.close(lock)
    return removed


def _roots() -> list[Path]:
    """The directories to try, the wanted one first."""
    return list(dict.fromkeys(Path(os.path.abspath(root)) for root in (os.environ.get("TMPDIR"), "/tmp") if root))


def _new_folder(max_bytes: int) -> Path:
    faults = []
    for root in _roots():
        try:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        except OSError as error:
            faults.append(f"{root}: {error.strerror}")
            continue
        excess = len(os.fsencode(folder)) - max_bytes
        if excess <= 0:
            for fault in faults:
                log.warning("TMPDIR cannot be used, %s is: %s", root, fault)
            return folder
        folder.rmdir()
        faults.append(f"{root}: longer by {excess} bytes than the path of a socket may be")
    raise OSError(f"no directory for temporary files ({'; '.join(faults)}); set TMPDIR to a short, writable one")


def _this_boot() -> bytes:
    """Identifies the running kernel; the same for all containers on it."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    return b""


def _kill_lingering_processes(folder: Path) -> None:
    """Kill the processes that write in the directory: Ray's do not always notice that their owner died."""
    for _ in range(_KILL_ROUNDS):  # a killed process may have started another
        lingering = [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _writes_in(pid, folder)]
        if not lingering:
            return
        for pid in lingering:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_KILL_ROUND_S)


def _writes_in(pid: int, folder: Path) -> bool:
    """Whether a process has a file in the directory open for writing, as a log; Ray overwrites its environment."""
    files = Path(f"/proc/{pid}/fd")
    with suppress(OSError):  # another user's process, or one that has ended
        if Path(f"/proc/{pid}/cmdline").read_bytes() == Path("/proc/self/cmdline").read_bytes():
            return False  # the holder of the lock, or forked by it
        return any(_writes(file, folder) for file in files.iterdir())
    return False


def _writes(file: Path, folder: Path) -> bool:
    """Whether an open file, a link in /proc, is in the directory and open for writing."""
    with suppress(OSError):  # the file was closed
        return bool(file.lstat().st_mode & stat.S_IWUSR) and os.readlink(file).startswith(f"{folder}/")
    return False
