"""Pictures of one instant from two recordings whose times go together, a large one and a small one."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsr.training.glimpses import Reals, timed_lumas
from vidsr.training.laying import Laying, Singles
from vidsr.training.sources import Luma

_EARLIER_S = 1e-3  # by which times may be rounded
_AS_GOOD = 0.02  # of the mean square: what lies between is left to the times
_BETWEEN = 0.3  # of the step from one picture to the next, by which an instant may be missed where something moves
_WORST = 2.0  # times the usual difference: beyond, one of the two is damaged


@dataclass(frozen=True, kw_only=True)
class Tie:
    """How the times of two recordings go together."""

    offset_s: float
    """Seconds of the large recording, less those of the small one, at the same instant."""
    slack_s: float
    """How far off a picture of the same instant may be."""
    interval_s: float
    """From one picture to the next, in the recording that has more."""

    @property
    def reach_s(self) -> float:
        """How far off pictures are looked at."""
        return self.slack_s + 1.5 * self.interval_s


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    time_s: float
    luma: Luma


def meetings(
    small: Path,
    large: Path,
    tie: Tie,
    times: Sequence[float],
    *,
    lasting_s: float,
    laying: Laying | None,
    error: float = 0.0,
) -> Iterator[tuple[int, Luma, Luma]]:
    """The number of each of the rising times, and the first small picture from it on that a large one belongs to.

    A number is left out where there is none within `lasting_s`, or before the next time.
    Which one, the pictures say, by how they differ once laid on each other, usually by `error` grey levels; or their
    times alone, where no laying is known yet. Both recordings are read once, and a few pictures of them held.
    Raises SourceError.
    """
    if not times:
        return
    begin_s = max(0.0, times[0] - _EARLIER_S)
    others = _Others(large, max(0.0, begin_s + tie.offset_s - tie.reach_s - tie.interval_s), tie)
    choice = _Choice(laying, tie, error) if laying else None
    number = 0
    for time_s, one in timed_lumas(small, begin_s):
        while number + 1 < len(times) and times[number + 1] <= time_s + _EARLIER_S:
            number += 1
        waited_s = time_s + _EARLIER_S - times[number]
        if waited_s >= lasting_s and number + 1 == len(times):
            return
        if not 0 <= waited_s < lasting_s:
            continue
        near = others.around(time_s + tie.offset_s)
        off_s = np.array([each.time_s - time_s - tie.offset_s for each in near])
        chosen = choice.of(one, [each.luma for each in near], off_s) if choice else _nearest(off_s, tie)
        if chosen is None:
            continue
        yield number, one.copy(), near[chosen].luma
        number += 1
        if number == len(times):
            return


class _Others:
    """The pictures of the large recording around a time that only rises."""

    def __init__(self, path: Path, start_s: float, tie: Tie) -> None:
        self._coming = timed_lumas(path, start_s)
        self._near: deque[_Candidate] = deque()
        self._reach_s = tie.reach_s

    def around(self, time_s: float) -> list[_Candidate]:
        """Those within reach, in order."""
        while not self._near or self._near[-1].time_s <= time_s + self._reach_s:
            if (coming := next(self._coming, None)) is None:
                break
            self._near.append(_Candidate(time_s=coming[0], luma=coming[1].copy()))
        while self._near and self._near[0].time_s < time_s - self._reach_s:
            self._near.popleft()
        return [each for each in self._near if each.time_s <= time_s + self._reach_s]


def _nearest(off_s: Reals, tie: Tie) -> int | None:
    """By time alone."""
    if not len(off_s) or np.abs(off_s).min() > tie.slack_s + _EARLIER_S:
        return None
    return int(np.abs(off_s).argmin())


class _Choice:
    """Which of some large pictures shows the same instant as a small one."""

    def __init__(self, laying: Laying, tie: Tie, error: float) -> None:
        self._area, self._reduce = laying.covered, laying.reducing(1.0)
        self._tie, self._worst = tie, (_WORST * error) ** 2 + 1

    def of(self, one: Luma, others: Sequence[Luma], off_s: Reals) -> int | None:
        """Its number; None where there is none, or the instant lies between two in which something moves."""
        if _nearest(off_s, self._tie) is None:
            return None
        laid = [self._reduce(each)[self._area] for each in others]
        squares = np.array([_square(each, one[self._area].astype(np.float32)) for each in laid])
        best = int((squares * (1 + _AS_GOOD * np.abs(off_s) / self._tie.interval_s)).argmin())
        if abs(off_s[best]) > self._tie.slack_s + _EARLIER_S or squares[best] > self._worst:
            return None
        if 0 < best < len(others) - 1:
            beside = slice(best - 1, best + 2)
            missed = _missed(off_s[beside] - off_s[best], squares[beside]) > _BETWEEN * self._tie.interval_s
            twin = best + 1 if squares[best + 1] < squares[best - 1] else best - 1
            if missed and _square(laid[best], laid[twin]) > _AS_GOOD * squares[best]:  # else: one picture, twice
                return None
        return best


def _square(one: Singles, other: Singles) -> float:
    return float(((one - other) ** 2).mean())


def _missed(off_s: Reals, squares: Reals) -> float:
    """Seconds from the middle one of three to where the difference would be least; 0 where it is the same."""
    if (squares[0] + squares[2]) / 2 < (1 + _AS_GOOD) * squares[1]:
        return 0.0
    bend, slope, _ = np.polyfit(off_s, squares, 2)
    return abs(float(slope / (2 * bend)))
