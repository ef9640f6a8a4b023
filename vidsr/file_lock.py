"""The lock of a file or a directory between processes."""

import fcntl
from typing import BinaryIO


def try_lock(file: int | BinaryIO) -> bool:
    """Lock an open file or directory until it is closed; False if another process has it locked.

    A file system without locks locks nothing, and the result is True.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True
