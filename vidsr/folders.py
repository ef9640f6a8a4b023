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

_PARENT = Path("/tmp")  # short: the paths of sockets below it end at 107 bytes
_PREFIX = "vidsr-"
_OWNER = "owner"
_ROUNDS, _ROUND_S = 50, 0.02
TENANT = "VIDSR_FOLDER"
"""The variable that names the folder to processes that must not outlive its owner."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that nobody else may enter, gone at the end. What killed runs left behind goes first."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PARENT))
    try:
        lock = os.open(folder / ".new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.rename(folder / ".new", folder / _OWNER)  # locked before it can be found
            yield folder
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep() -> list[Path]:
    """The folders of ours whose owners are dead: removed, and the processes that lived in them, too.

    An owner holds a lock, which no kill leaves behind. A folder without one is left alone.
    """
    swept = []
    for folder in _PARENT.glob(f"{_PREFIX}*"):
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
    """Kill what was started to work in the folder: Ray's processes do not always notice how their owner died."""
    for _ in range(_ROUNDS):  # again: one of them may have started another
        tenants = [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _lives_in(pid, folder)]
        if not tenants:
            return
        for pid in tenants:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_ROUND_S)


def _lives_in(pid: int, folder: Path) -> bool:
    with suppress(OSError):
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return pid != os.getpid() and os.fsencode(f"{TENANT}={folder}") in variables
    return False
