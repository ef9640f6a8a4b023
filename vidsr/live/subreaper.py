"""Children, grandchildren, and those whose parents died: none outlives its camera unseen."""

import ctypes
import os
import signal
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on a process below this one whose parent dies becomes a child of this one, and not of init."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def reaped() -> Iterator[tuple[int, int]]:
    """The process ids and exit codes (-n: killed by signal n) of the children that have ended."""
    with suppress(ChildProcessError):  # there is none at all
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended[0], os.waitstatus_to_exitcode(ended[1])


def kill_orphans(known: Container[int]) -> None:
    """SIGKILL to every child that is not known: the parent that it was adopted from is dead.

    The children of those are adopted in turn: call it again after each that ended.
    """
    for pid in own_children():
        if pid not in known:
            kill(pid)


def own_children() -> list[int]:
    """The process ids of the children of this process, adopted ones and dead ones that were not reaped among them."""
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # that thread has ended
            found += map(int, task.read_text().split())
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a child a signal; it may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
