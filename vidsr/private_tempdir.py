"""Private folders of a run in /tmp, and what is left of runs that were killed."""

import fcntl
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = Path("/tmp")  # short: the paths of sockets below it end at 107 bytes
_PREFIX = "vidsr-"
_OWNER = "owner"
_ROUNDS, _ROUND_S = 50, 0.02


@contextmanager
def private_tempdir(parent: Path = TEMPORARY) -> Iterator[Path]:
    """A new folder that nobody else may enter, gone at the end. What killed runs left behind goes first."""
    remove_stale(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        lock = os.open(folder / ".new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.rename(folder / ".new", folder / _OWNER)  # locked before it can be found
            yield folder
        finally:
            os.close(lock)
    finally:
        _end_tenants(folder)  # who would make the folder once more
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale(parent: Path = TEMPORARY) -> list[Path]:
    """The folders of ours whose owners are dead: removed, and the processes that lived in them, too.

    An owner holds a lock, which no kill leaves behind. A folder that no owner has locked yet is left alone.
    """
    swept = []
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            lock = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _end_tenants(folder)
                shutil.rmtree(folder, ignore_errors=True)
                swept.append(folder)
            finally:
                os.close(lock)
    return swept


def _end_tenants(folder: Path) -> None:
    """Kill who still writes in the folder: Ray's processes do not always notice that their owner died."""
    for _ in range(_ROUNDS):  # again: one of them may have started another
        tenants = [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _writes_in(pid, folder)]
        if not tenants:
            return
        for pid in tenants:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_ROUND_S)


def _writes_in(pid: int, folder: Path) -> bool:
    """Whether a process has a file open there for writing, as a log is: over its environment Ray writes titles."""
    if pid == os.getpid():  # which holds the lock
        return False
    files = Path(f"/proc/{pid}/fd")
    with suppress(OSError):  # it is another user's, or has ended
        return any(_writes(file, folder) for file in files.iterdir())
    return False


def _writes(file: Path, folder: Path) -> bool:
    """Whether an open file, as /proc links to it, is in the folder and open for writing."""
    with suppress(OSError):  # it was closed
        return bool(file.lstat().st_mode & stat.S_IWUSR) and os.readlink(file).startswith(f"{folder}/")
    return False
