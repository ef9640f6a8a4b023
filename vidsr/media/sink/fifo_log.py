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


class FifoLog:
    """The log of one fifo muxer: `trouble` is what is wrong, in words without an address, or "".

    Each muxer has a thread, by which its lines are told from others'. Packets are written within `writing`, and the
    muxer is closed within `closing`, after which nothing is heard.
    """

    def __init__(self) -> None:
        self._others = _consumers()
        self._thread = 0
        self._writes = False
        self._words, self._said_s = "", 0.0
        self._board = _switchboard()
        self._board.logs.append(self)
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
            self._board.logs.remove(self)
            if self._board.logs:
                av.logging.set_level(av.logging.INFO)

    def hear(self, line: str) -> None:
        """Take a line of some fifo muxer, in the thread that said it."""
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


class _Switchboard(logging.Filter):
    """Hands on to `logs` what FFmpeg says, and lets none of it through: the lines hold addresses with passwords."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: list[FifoLog] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """False, when all have heard it."""
        line = record.getMessage()
        for log in tuple(self.logs):
            log.hear(line)
        return False


def _switchboard() -> _Switchboard:
    """The one there is; the other lines of FFmpeg, of rtmp and tcp among them, are not to be had by anybody."""
    logging.getLogger("libav").setLevel(logging.CRITICAL + 1)
    logger = logging.getLogger(_LOGGER)
    logger.setLevel(logging.INFO)
    for present in logger.filters:
        if isinstance(present, _Switchboard):
            return present
    board = _Switchboard()
    logger.addFilter(board)
    return board


def _consumers() -> set[int]:
    """The threads of all fifo muxers; none where the system does not tell."""
    found = set()
    with suppress(OSError):
        for task in _TASKS.iterdir():
            with suppress(OSError):  # a thread that has ended by now
                if (task / "comm").read_text().strip() == _CONSUMER:
                    found.add(int(task.name))
    return found
