"""Standard input as a source, and standard output as a target: from begin to end, once."""

import fcntl
import os
import select
from contextlib import suppress
from pathlib import Path

from vidsr.media.atomic_file import FullWriteFile

STDIN, STDOUT = Path("/dev/stdin"), Path("/dev/stdout")
PIPE_BUFFER = 1 << 20
"""Bytes between FFmpeg and a pipe: 32 KiB, its default, are a hundred calls per frame."""
_POLL_S = 0.2  # after which a file that has taken the place of standard input is seen


class InputPipe:
    """Standard input for FFmpeg, which cannot seek in it; `count` is the number of bytes that were read."""

    def __init__(self) -> None:
        self.count = 0
        _enlarge(0)

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        while not select.select([0], [], [], _POLL_S)[0]:
            pass
        data = os.read(0, size)
        self.count += len(data)
        return data


class OutputPipe:
    """Standard output as a target: `file` is what is piped; all else that is printed there goes to stderr meanwhile.

    It has the methods of an `AtomicFile`, but what was written stays.
    """

    def __init__(self) -> None:
        self.file = _PipeFile(os.dup(1), "wb")
        _enlarge(self.file.fileno())
        os.dup2(2, 1)

    def commit(self) -> None:
        """End the output."""
        self.discard()

    def discard(self) -> None:
        """End the output; does nothing after `commit`."""
        if not self.file.closed:
            os.dup2(self.file.fileno(), 1)
            self.file.close()


class _PipeFile(FullWriteFile):
    """A file in which nothing is corrected later, even where it is a regular one."""

    def seekable(self) -> bool:
        return False


def _enlarge(descriptor: int) -> None:
    with suppress(OSError):  # it is no pipe, or the system allows no more
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BUFFER)
