"""Signals, to be waited for together with pipes."""

import signal
import socket
import time
from types import FrameType, TracebackType
from typing import Self

_STOPS = (signal.SIGINT, signal.SIGTERM)
_ONE_S = 0.5
"""Two signals so close are one: who signals a process and then its group, as timeout(1) does, reaches it twice."""


class Wakeups:
    """While `with` is open, a signal makes `socket` readable; `stops` are the numbers of those that ask to stop."""

    def __init__(self) -> None:
        self.stops: list[int] = []
        self._stopped_at = 0.0
        self.socket, self._sender = socket.socketpair()

    def __enter__(self) -> Self:
        for end in (self.socket, self._sender):
            end.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._stop) for number in _STOPS}
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _wake)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self.socket.close()
        self._sender.close()

    def drain(self) -> None:
        """Make it unreadable again."""
        try:
            while self.socket.recv(4096):
                pass
        except BlockingIOError:
            return

    def _stop(self, number: int, frame: FrameType | None) -> None:
        now, before = time.monotonic(), self._stopped_at
        self._stopped_at = now
        if not self.stops or now - before > _ONE_S:
            self.stops = [*self.stops[-1:], number]  # more than two say no more than two


def _wake(number: int, frame: FrameType | None) -> None:
    """A child ended: the wait for pipes ends, too."""
