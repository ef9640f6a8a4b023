"""The state of FFmpeg's fifo muxer, which it reports only through its log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_native_id
from time import monotonic, sleep

import av

_LOGGER = "libav.fifo"
_THREADS = Path("/proc/self/task")
_THREAD_NAME = "fifo-consumer"
_MAX_AGE_S = 15.0  # without a server, FFmpeg logs an error at each attempt, every few seconds
_THREAD_WAIT_S = 0.2
_LOG_WAIT_S = 0.05  # longer than a line takes


class FifoLog:
    """The log of one fifo muxer; `problem` is what is wrong with its server, without the URL.

    The lines of a muxer are recognised by the thread that it logs from. Packets are written within `during_write`, and
    the muxer is closed within `during_close`, after which no line is processed.
    """

    def __init__(self) -> None:
        self._other_threads = _fifo_threads()
        self._thread = 0
        self._is_writing = False
        self._problem, self._problem_s = "", 0.0
        self._router = _log_router()
        self._router.logs.append(self)
        av.logging.set_skip_repeated(False)
        av.logging.set_level(av.logging.INFO)

    @property
    def problem(self) -> str:
        """What is wrong with the server; "" for nothing."""
        return self._problem if monotonic() - self._problem_s < _MAX_AGE_S else ""

    @contextmanager
    def during_write(self) -> Iterator[None]:
        """To be entered for each packet; the muxer starts its thread with the first one."""
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False
            self._thread = self._thread or self._find_thread()

    @contextmanager
    def during_close(self) -> Iterator[None]:
        """To be entered to close the muxer.

        PyAV joins the thread of the muxer while it holds the GIL, so a line logged meanwhile would deadlock.
        """
        av.logging.set_level(None)
        sleep(_LOG_WAIT_S)
        try:
            yield
        finally:
            self._router.logs.remove(self)
            if self._router.logs:
                av.logging.set_level(av.logging.INFO)

    def on_line(self, line: str) -> None:
        """Process a line of any fifo muxer, in the thread that logged it."""
        if get_native_id() == self._thread:
            if line.startswith(("Error opening", "Recovery failed")):
                self._set_problem(f"the server rejects the stream ({line.rpartition(': ')[2]})")
            elif line.startswith("Recovery successful"):
                self._set_problem("")
        elif self._is_writing and line.startswith("FIFO queue full"):
            self._set_problem(self._problem or "the server is too slow; frames are dropped")

    def _set_problem(self, problem: str) -> None:
        self._problem, self._problem_s = problem, monotonic()

    def _find_thread(self) -> int:
        until = monotonic() + _THREAD_WAIT_S
        while not (new := _fifo_threads() - self._other_threads) and monotonic() < until:
            sleep(0.002)
        return max(new, default=0)


class _LogRouter(logging.Filter):
    """Passes the log lines of FFmpeg to `logs`, and suppresses their output: they hold URLs with passwords."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: list[FifoLog] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass on the line, and return False."""
        line = record.getMessage()
        for log in tuple(self.logs):
            log.on_line(line)
        return False


def _log_router() -> _LogRouter:
    """The single router. All other log lines of FFmpeg, such as those of rtmp and tcp, are suppressed."""
    logging.getLogger("libav").setLevel(logging.CRITICAL + 1)
    logger = logging.getLogger(_LOGGER)
    logger.setLevel(logging.INFO)
    for present in logger.filters:
        if isinstance(present, _LogRouter):
            return present
    router = _LogRouter()
    logger.addFilter(router)
    return router


def _fifo_threads() -> set[int]:
    """The threads of all fifo muxers; empty where /proc is missing."""
    found = set()
    with suppress(OSError):
        for task in _THREADS.iterdir():
            with suppress(OSError):  # the thread has ended
                if (task / "comm").read_text().strip() == _THREAD_NAME:
                    found.add(int(task.name))
    return found
