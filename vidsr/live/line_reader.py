"""Lines out of a pipe, as they come, without waiting."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

_READ = 1 << 16
_LONGEST = 1 << 16


class Lines:
    """What a pipe brings, in whole lines. Of one that is longer than 64 KiB the beginning is kept."""

    def __init__(self, pipe: BinaryIO) -> None:
        os.set_blocking(pipe.fileno(), False)
        self.pipe = pipe
        self.ended = False
        self._begun = b""

    def read(self) -> Iterator[str]:
        """The lines that ended since the last time, from one read; at the end of the pipe the last, ended or not."""
        with suppress(BlockingIOError):
            data = os.read(self.pipe.fileno(), _READ)
            self.ended = not data
            *lines, begun = (self._begun + data).split(b"\n")
            self._begun = begun[:_LONGEST]
            if self.ended and begun:
                lines.append(begun)
            yield from (line.decode(errors="replace") for line in lines)
