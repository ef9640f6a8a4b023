"""Stopping when asked to: the first signal ends the work in order, a second one at once."""

import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Self

from vidsr.exits import STOPPED

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether SIGINT or SIGTERM came, while `with` is open; `signal` is its number, 0 before.

    `promise` is what is said at the first: what becomes of the work.
    """

    def __init__(self, promise: str) -> None:
        self.signal = 0
        self._sentence = f"\nvidsr: stopping; {promise} (once more to give it up)\n".encode()

    def __call__(self) -> bool:
        """Whether it is time to stop."""
        return self.signal != 0

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._caught) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise SystemExit(STOPPED + number)
        self.signal = number
        os.write(sys.stderr.fileno(), self._sentence)  # print() here would fail inside a print() that it interrupts
