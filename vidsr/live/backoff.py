"""The pauses between attempts."""

from random import Random

MIN_S, MAX_S = 1.0, 60.0
RESET_S = 30.0
"""Seconds of continuous frames after which the pauses start from the shortest again."""


class Backoff:
    """Pauses that double from 1 to 60 s with each attempt, until `on_success` resets them.

    Each pause is drawn from the upper half of its step, so that cameras lost together do not reconnect together.
    """

    def __init__(self, chance: Random | None = None) -> None:
        self._chance = chance or Random()
        self._step_s = MIN_S

    def next_s(self, *, slow: bool = False) -> float:
        """Seconds to wait now, at most 60; with `slow` 60 to 90, as frequent attempts may lock an account."""
        step_s = self._step_s
        self._step_s = min(2 * step_s, MAX_S)
        if slow:
            return MAX_S * self._chance.uniform(1, 1.5)
        return step_s * self._chance.uniform(0.5, 1)

    def on_success(self, seconds: float) -> None:
        """Frames have flowed for `seconds` without a break; 30 s reset the pauses."""
        if seconds >= RESET_S:
            self._step_s = MIN_S
