"""Child processes: their end with the parent, orphans, and an end that waits for no thread."""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from vidsr.errors import BUG

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def end_with_parent(parent: int) -> None:
    """Have this process killed when the thread of `parent` that started it ends, also by SIGKILL or while paused.

    `parent` is a process id; where it is not that of the parent any more, this process ends at once.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it had ended before
        os._exit(128 + signal.SIGKILL)


def adopt_orphans() -> None:
    """Make this process a child subreaper: orphans below it become its children, and not those of init."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def children_of(pid: int) -> Iterator[int]:
    """The process ids of the children of a process, including adopted ones and zombies."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            yield from map(int, task.read_text().split())


def exit_at_once(main: Callable[[], int]) -> NoReturn:
    """End this process with the exit code of `main`, or 1 after a bug.

    It waits for no thread: one may be in a read of FFmpeg, which cannot be interrupted.
    """
    try:
        code = main()
    except Exception:
        traceback.print_exc()
        code = BUG
    sys.stderr.flush()
    os._exit(code)
