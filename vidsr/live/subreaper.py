"""The children of the supervisor and, as it is a child subreaper, all orphans below it."""

import ctypes
import os
import signal
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process a child subreaper: orphans below it become its children, and not those of init."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def reap() -> Iterator[tuple[int, int]]:
    """The process ids and exit codes (-n: killed by signal n) of ended children."""
    with suppress(ChildProcessError):  # no children at all
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended[0], os.waitstatus_to_exitcode(ended[1])


def kill_orphans(known: Container[int]) -> None:
    """Send SIGKILL to all children that are not in `known`: they were adopted from a dead parent.

    Their own children are adopted in turn: call it again after each child that ended.
    """
    for pid in own_children():
        if pid not in known:
            kill(pid)


def own_children() -> list[int]:
    """The process ids of the children of this process, including adopted ones and zombies."""
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            found += map(int, task.read_text().split())
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a child, which may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
