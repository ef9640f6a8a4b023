"""A process that ends with the one that started it."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Have this process killed when the thread of `parent` that started it ends, also by SIGKILL or while paused.

    `parent` is a process id; where it is not that of the parent any more, this process ends at once.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it had ended before
        os._exit(128 + signal.SIGKILL)
