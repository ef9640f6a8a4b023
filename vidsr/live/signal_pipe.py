"""The signals of the supervisor, as a socket that wakes its wait for pipes."""

import signal
import socket
import time
from types import FrameType
from typing import Self

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SAME_SIGNAL_S = 0.5
"""Two signals within this time count as one: timeout(1) signals a process and then its group, and reaches it twice."""


class SignalPipe:
    """Within `with`, a signal makes `socket` readable; `stop_signals` holds the last ones that stop.

    With `reloads`, SIGHUP does not stop: it sets `reload_asked`.
    """

    def __init__(self, *, reloads: bool) -> None:
        self.stop_signals: list[int] = []
        self.reload_asked = False
        self._reloads = reloads
        self._stopped_at = 0.0
        self.socket, self._sender = socket.socketpair()

    def __enter__(self) -> Self:
        for end in (self.socket, self._sender):
            end.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._stop) for number in _STOP_SIGNALS}
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _wake)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self.socket.close()
        self._sender.close()

    def drain(self) -> None:
        """Empty the socket."""
        try:
            while self.socket.recv(4096):
                pass
        except BlockingIOError:
            return

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and self._reloads:
            self.reload_asked = True
            return
        now, before = time.monotonic(), self._stopped_at
        self._stopped_at = now
        if not self.stop_signals or now - before > _SAME_SIGNAL_S:
            self.stop_signals = [*self.stop_signals[-1:], number]  # the last two suffice


def _wake(number: int, frame: FrameType | None) -> None:
    """Ignore SIGCHLD here: its arrival alone wakes the wait for pipes."""
