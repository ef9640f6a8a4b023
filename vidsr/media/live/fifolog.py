"""What FFmpeg's fifo muxer says of the server it sends to, which it tells nobody but the log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_native_id
from time import monotonic, sleep

import av

_LOGGER = "libav.fifo"
_TASKS = Path("/proc/self/task")
_CONSUMER = "fifo-consumer"
_FRESH_S = 15.0  # a server that is not there is dialled every few seconds, and each time it is said
_FIRST_LOOK_S = 0.2
_LINE_S = 0.05  # more than a line takes


class FifoLog(logging.Handler):
    """The log of one fifo muxer: `trouble` is what is wrong, in words without an address, or "".

    Each muxer has a thread, by which its lines are told from others'. Packets are written within `writing`, and the
    muxer is closed within `closing`, after which nothing is heard.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._others = _consumers()
        self._thread = 0
        self._writes = False
        self._words, self._said_s = "", 0.0
        logger = logging.getLogger(_LOGGER)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # the lines hold addresses with their passwords
        logger.addHandler(self)
        logging.getLogger("libav").setLevel(logging.CRITICAL + 1)  # as do those of rtmp and tcp
        av.logging.set_skip_repeated(False)
        av.logging.set_level(av.logging.INFO)

    @property
    def trouble(self) -> str:
        """What is wrong with the server."""
        return self._words if monotonic() - self._said_s < _FRESH_S else ""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write a packet, the first of which has the muxer make its thread."""
        self._writes = True
        try:
            yield
        finally:
            self._writes = False
            self._thread = self._thread or self._found()

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close the muxer. PyAV waits for its thread with the interpreter locked: a line of it would never get in."""
        av.logging.set_level(None)
        sleep(_LINE_S)
        try:
            yield
        finally:
            logger = logging.getLogger(_LOGGER)
            logger.removeHandler(self)
            if logger.handlers:
                av.logging.set_level(av.logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        line = record.getMessage()
        if get_native_id() == self._thread:
            if line.startswith(("Error opening", "Recovery failed")):
                self._say(f"the server does not take the stream ({line.rpartition(': ')[2]})")
            elif line.startswith("Recovery successful"):
                self._say("")
        elif self._writes and line.startswith("FIFO queue full"):
            self._say(self._words or "the server does not keep up, and pictures are left out")

    def _say(self, words: str) -> None:
        self._words, self._said_s = words, monotonic()

    def _found(self) -> int:
        until = monotonic() + _FIRST_LOOK_S
        while not (new := _consumers() - self._others) and monotonic() < until:
            sleep(0.002)
        return max(new, default=0)


def _consumers() -> set[int]:
    """The threads of all fifo muxers; none where the system does not tell."""
    found = set()
    with suppress(OSError):
        for task in _TASKS.iterdir():
            with suppress(OSError):  # a thread that has ended by now
                if (task / "comm").read_text().strip() == _CONSUMER:
                    found.add(int(task.name))
    return found
