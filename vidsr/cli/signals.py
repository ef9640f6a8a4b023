"""A graceful stop: the first signal ends the job in order, a second one at once."""

import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Self

from vidsr.errors import STOPPED

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SAME_S = 0.5  # the same signal to a process and to its group, by timeout(1) and others, is one


class GracefulStop:
    """Whether SIGINT or SIGTERM arrived, within `with`; `signal` is its number, 0 before.

    `promise` is printed at the first one: what becomes of the job; it may change meanwhile. With `closes_input`,
    standard input ends as well: the job may wait for more of it.
    """

    def __init__(self, promise: str, *, closes_input: bool = False) -> None:
        self._closes_input = closes_input
        self.signal, self._received_s = 0, 0.0
        self.promise = promise

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.signal != 0

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signal == number and time.monotonic() - self._received_s < _SAME_S:
            return
        if self.signal:
            raise SystemExit(STOPPED + number)
        self.signal, self._received_s = number, time.monotonic()
        if self._closes_input:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        with suppress(OSError):  # print() would fail inside a print() that the signal interrupts
            os.write(sys.stderr.fileno(), f"\nvidsr: stopping; {self.promise} (once more to abort)\n".encode())
