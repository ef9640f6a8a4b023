"""Pictures of one instant from two recordings whose times go together, a large one and a small one."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidsr.arrays import Floats, Luma
from vidsr.training.pairing.motion_signature import timed_lumas
from vidsr.training.pairing.registration import Laying, Singles
from vidsr.training.pairing.time_sync import weighted_median

_EARLIER_S = 1e-3  # by which times may be rounded
_AS_GOOD = 0.02  # of the mean square: what lies between is left to the times
_BETWEEN = 0.3  # of the step from one picture to the next, by which an instant may be missed where something moves
_ASTRAY, _FEWEST = 2, 3  # steps by which the offset may be wrong at first, and pictures that tell
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


def tie_of(offset_s: float, jitter_s: float, interval_s: float) -> Tie:
    """The tie with half a step to spare, and what the times are off from one picture to another."""
    return Tie(offset_s=offset_s, slack_s=interval_s / 2 + 3 * jitter_s, interval_s=interval_s)


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
    choice = _Choice(laying, tie, error) if laying else None
    taken = -1
    for number, one, others, off_s in _gathered(small, large, tie, times, lasting_s):
        if number == taken:
            continue
        chosen = choice.of(one, others, off_s) if choice else _nearest(off_s, tie)
        if chosen is not None:
            taken = number
            yield number, one.copy(), others[chosen]
        if taken + 1 == len(times):
            return


def retied(small: Path, large: Path, tie: Tie, times: Sequence[float], *, lasting_s: float, laying: Laying) -> Tie:
    """The tie as pictures at these times have it once they are laid on each other; a step or two from the one given.

    Tiny pictures take a view that is shifted against the other for one that is earlier or later. Raises SourceError.
    """
    show, taken = _Show(laying), -1
    wide = replace(tie, slack_s=tie.slack_s + _ASTRAY * tie.interval_s)
    seen: list[tuple[Floats, Floats]] = []
    for number, one, others, off_s in _gathered(small, large, wide, times, lasting_s):
        if number != taken and len(others) >= _FEWEST:
            taken = number
            seen.append((off_s, show.squares(one, others)))
    weights = np.array([float(np.median(squares) - squares.min()) for _, squares in seen])
    if weights.sum() <= 0:
        return tie
    delays = _delays(seen)
    delay_s = weighted_median(delays, weights)
    jitter_s = weighted_median(np.abs(delays - delay_s), weights)
    return tie_of(tie.offset_s + delay_s, jitter_s, tie.interval_s)


def _delays(seen: Sequence[tuple[Floats, Floats]]) -> Floats:
    """By how much each instant is off; where a picture was sent several times, as much as suits them all best."""

    def cost(delay_s: float) -> float:
        return float(sum(squares[np.abs(off_s - delay_s).argmin()] for off_s, squares in seen))

    common_s = min((float(each) for off_s, _ in seen for each in off_s), key=cost)
    alike = [off_s[squares <= (1 + _AS_GOOD) * squares.min()] for off_s, squares in seen]
    return np.array([off_s[np.abs(off_s - common_s).argmin()] for off_s in alike])


def _gathered(
    small: Path, large: Path, tie: Tie, times: Sequence[float], lasting_s: float
) -> Iterator[tuple[int, Luma, list[Luma], Floats]]:
    """Every small picture for so long from each time on, with its number, the large ones near, and how far off."""
    if not times:
        return
    begin_s = max(0.0, times[0] - _EARLIER_S)
    others = _Others(large, max(0.0, begin_s + tie.offset_s - tie.reach_s - tie.interval_s), tie)
    for time_s, one in timed_lumas(small, begin_s):
        number = bisect_right(times, time_s + _EARLIER_S) - 1
        if number >= 0 and time_s + _EARLIER_S < times[number] + lasting_s:
            near = others.around(time_s + tie.offset_s)
            off_s = np.array([each.time_s - time_s - tie.offset_s for each in near])
            yield number, one, [each.luma for each in near], off_s
        elif number + 1 == len(times):
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


def _nearest(off_s: Floats, tie: Tie) -> int | None:
    """By time alone."""
    if not len(off_s) or np.abs(off_s).min() > tie.slack_s + _EARLIER_S:
        return None
    return int(np.abs(off_s).argmin())


class _Show:
    """Lays large pictures on small ones."""

    def __init__(self, laying: Laying) -> None:
        self._area, self._reduce = laying.covered, laying.reducing(1.0)

    def laid(self, large: Luma) -> Singles:
        """What both show, as the small one would."""
        return self._reduce(large)[self._area]

    def squares(self, small: Luma, others: Sequence[Luma]) -> Floats:
        """The mean square of the difference of each."""
        one = small[self._area].astype(np.float32)
        return np.array([_square(self.laid(each), one) for each in others])


class _Choice:
    """Which of some large pictures shows the same instant as a small one."""

    def __init__(self, laying: Laying, tie: Tie, error: float) -> None:
        self._show, self._tie, self._worst = _Show(laying), tie, (_WORST * error) ** 2 + 1

    def of(self, one: Luma, others: Sequence[Luma], off_s: Floats) -> int | None:
        """Its number; None where there is none, or the instant lies between two in which something moves."""
        if _nearest(off_s, self._tie) is None:
            return None
        squares = self._show.squares(one, others)
        best = int((squares * (1 + _AS_GOOD * np.abs(off_s) / self._tie.interval_s)).argmin())
        if abs(off_s[best]) > self._tie.slack_s + _EARLIER_S or squares[best] > self._worst:
            return None
        if 0 < best < len(others) - 1:
            beside = slice(best - 1, best + 2)
            missed = _missed(off_s[beside] - off_s[best], squares[beside]) > _BETWEEN * self._tie.interval_s
            twin = best + 1 if squares[best + 1] < squares[best - 1] else best - 1
            if missed and not self._same(others[best], others[twin], _AS_GOOD * squares[best]):
                return None
        return best

    def _same(self, one: Luma, other: Luma, square: float) -> bool:
        """Whether two are one picture that was sent twice."""
        return _square(self._show.laid(one), self._show.laid(other)) < square


def _square(one: Singles, other: Singles) -> float:
    return float(((one - other) ** 2).mean())


def _missed(off_s: Floats, squares: Floats) -> float:
    """Seconds from the middle one of three to where the difference would be least; 0 where it is the same."""
    if (squares[0] + squares[2]) / 2 < (1 + _AS_GOOD) * squares[1]:
        return 0.0
    bend, slope, _ = np.polyfit(off_s, squares, 2)
    return abs(float(slope / (2 * bend)))
