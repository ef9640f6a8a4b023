"""How long to wait before asking again."""

from random import Random

SHORTEST_S, LONGEST_S = 1.0, 60.0
GOOD_S = 30.0
"""Seconds of frames after which a loss is a new one: a camera lost every minute should not be waited for as long."""


class Backoff:
    """The pauses between attempts: twice as long each time, from 1 to 60 s, until things went well for half a minute.

    Each is drawn from the upper half of its step: cameras that were lost together do not all come back at once.
    """

    def __init__(self, chance: Random | None = None) -> None:
        self._chance = chance or Random()
        self._step_s = SHORTEST_S

    def next_s(self, *, slow: bool = False) -> float:
        """Seconds to wait now, at most 60; `slow`: 60 to 90, for asking often locks the account."""
        step_s = self._step_s
        self._step_s = min(2 * step_s, LONGEST_S)
        if slow:
            return LONGEST_S * self._chance.uniform(1, 1.5)
        return step_s * self._chance.uniform(0.5, 1)

    def good(self, seconds: float) -> None:
        """Frames have been flowing for so long without a break: after half a minute the next pause is a short one."""
        if seconds >= GOOD_S:
            self._step_s = SHORTEST_S
