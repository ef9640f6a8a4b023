"""What enlarges the next picture, so that it is written in time."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_EASY, _HARD = 0.8, 0.98  # of the time; between them a rung is neither taken up nor given up for its cost
_CALM, _SLIPPING, _LATE, _LAST = 0.3, 0.35, 0.7, 0.9  # of the longest delay
_CALM_S = 2.0
_CATCH_UP_S = 2.0
_SETTLE_S = 0.4  # until a change shows: what is on its way was begun before
_START_S = 3.0  # in which a camera sends what it had kept and networks are compiled: nothing is dropped for that
_DROPPING_S = 5.0
_LASTING_S = 30.0
_SHORTEST_HOLD_S, _LONGEST_HOLD_S, _HOLD_GROWS = 10.0, 300.0, 3.0
_LEARNT = 5  # pictures after which a rung's cost is known


@dataclass(kw_only=True)
class _Rung:
    name: str
    cost_s: float = 0.0
    """Of a picture, lately."""
    pictures: int = 0
    """Since the rung was taken."""
    dearer: float = 1.0
    """How many times the cost of the rung below it takes, as they were seen last."""

    def learn(self, cost_s: float) -> None:
        if self.pictures:  # for the first one the network may have been compiled
            self.cost_s += (cost_s - self.cost_s) * max(1 / self.pictures, 1 / 16)
        self.pictures += 1


class Ladder:
    """Which of the rungs, best first, enlarges the next picture, by what became of those before.

    It steps down, one rung at a time, when pictures come late or soon will; on the last rung `late` says when what
    waits undecoded is to be dropped. It steps up when there is room: when the cost of the rung above, as it compared
    with this one's when both ran, fits. Where it does not, the rung is tried now and then, after 10 s at first and
    5 minutes at last, for what was learnt may not hold any more. `say` is told of each change and its reason, in
    words. Any thread may call.
    """

    def __init__(self, rungs: Sequence[str], max_delay_s: float, *, say: Callable[[str], None]) -> None:
        self._rungs = [_Rung(name=name) for name in rungs]
        self._max_delay_s, self._say = max_delay_s, say
        self._at = 0
        self._step_s = 0.0  # of the source, from picture to picture
        self._time_s: float | None = None
        self._delay_s = 0.0
        self._hold_s = _SHORTEST_HOLD_S
        self._expected: bool | None = None  # of a step up that has yet to prove itself: whether it was to fit
        self._measures: _Rung | None = None  # what was left for the rung below, until that one's cost is known
        self._begun_s = self._changed_s = self._dropped_s = -_LONGEST_HOLD_S
        self._calm_s = self._distrust_s = -_LONGEST_HOLD_S
        self._mark = (0.0, 0.0)  # when it was last looked whether the delay falls, and the delay then
        self._stuck = False
        self._lock = threading.Lock()

    @property
    def rung(self) -> str:
        """Who enlarges the next picture."""
        return self._rungs[self._at].name

    def dropping(self, now_s: float) -> bool:
        """Whether work was dropped in the last seconds: even the last rung is not cheap enough."""
        return now_s - self._dropped_s < _DROPPING_S

    def begin(self, now_s: float) -> None:
        """A connection begins: for a few seconds lateness has other reasons than load."""
        with self._lock:
            self._begun_s, self._time_s, self._delay_s = now_s, None, 0.0

    def note(self, *, now_s: float, rung: str, time_s: float, delay_s: float, cost_s: float) -> None:
        """A picture was written: whose time in the source was `time_s`, `delay_s` after it had arrived.

        `cost_s` is how long the busiest stage took for it; where several workers enlarge, a worker's seconds divided
        by their number: what would be from picture to picture if they came as fast as they can be enlarged.
        """
        with self._lock:
            if self._time_s is not None and time_s > self._time_s:
                step_s = time_s - self._time_s
                usual_s = self._step_s or step_s
                self._step_s = usual_s + (min(step_s, 3 * usual_s) - usual_s) / 32
            self._time_s, self._delay_s = time_s, delay_s
            self._learn(rung, cost_s)
            self._judge(now_s, delay_s)

    def late(self, *, now_s: float, backlog_s: float) -> bool:
        """Whether what waits undecoded is to be dropped now; `backlog_s` is how long the oldest of it has waited.

        To be asked before each packet, and while none is written: it is how the ladder learns that nothing goes on.
        """
        with self._lock:
            behind_s = max(backlog_s, self._delay_s)
            self._judge(now_s, behind_s)
            longest_s = self._max_delay_s + (_START_S if self._starting(now_s) else 0)
            # The delay counts for what is on its way, too; but that of a picture from before a drop says nothing.
            if not self._lowest() or behind_s <= _LAST * longest_s or backlog_s <= longest_s / 2:
                return False
            if not self.dropping(now_s):
                self._say(f"dropping what waits to be decoded: {backlog_s:.1f} s behind, and nothing is cheaper")
            self._dropped_s = now_s
            return True

    def _lowest(self) -> bool:
        return self._at == len(self._rungs) - 1

    def _starting(self, now_s: float) -> bool:
        return now_s - self._begun_s < _START_S

    def _learn(self, name: str, cost_s: float) -> None:
        rung = next(rung for rung in self._rungs if rung.name == name)
        rung.learn(cost_s)
        if rung is not self._rungs[self._at] or rung.pictures != _LEARNT or not rung.cost_s:
            return
        if self._measures:
            self._measures.dearer = self._measures.cost_s / rung.cost_s
        elif self._expected is not None and (below := self._rungs[self._at + 1]).cost_s:
            rung.dearer = rung.cost_s / below.cost_s
        self._measures = None

    def _judge(self, now_s: float, behind_s: float) -> None:
        """Steps down or up where that is due."""
        rung, longest_s = self._rungs[self._at], self._max_delay_s
        # A pipeline has some pictures on their way even at its ease.
        if behind_s > max(_CALM * longest_s, min(5 * self._step_s, _LATE * longest_s)):
            self._calm_s = now_s
        self._look(now_s, behind_s)
        hard = rung.pictures >= _LEARNT and rung.cost_s > _HARD * self._step_s > 0
        warm = rung.pictures >= _LEARNT or not self._starting(now_s)
        if not self._lowest() and ((hard and behind_s > _SLIPPING * longest_s) or (self._stuck and warm)):
            self._down(now_s, behind_s)
        elif self._at and min(now_s - self._calm_s, now_s - self._changed_s) > _CALM_S:
            self._consider(now_s, rung)
        if self._expected is not None and now_s - self._changed_s > _LASTING_S:
            self._expected, self._hold_s = None, _SHORTEST_HOLD_S

    def _look(self, now_s: float, behind_s: float) -> None:
        """Sees whether it is late, and will be for more than a moment."""
        marked_s, then_s = self._mark
        over_s = behind_s - _LATE * self._max_delay_s
        if over_s <= 0:
            self._mark, self._stuck = (marked_s, 0.0), False
        elif now_s - marked_s >= _SETTLE_S:
            self._mark = (now_s, behind_s)
            self._stuck = over_s > (then_s - behind_s) / (now_s - marked_s) * _CATCH_UP_S

    def _consider(self, now_s: float, rung: _Rung) -> None:
        """A step up, where it fits or is worth a try."""
        if self.dropping(now_s) or rung.pictures < _LEARNT:
            return
        fits = rung.cost_s * self._rungs[self._at - 1].dearer < _EASY * self._step_s
        if (fits and now_s > self._distrust_s) or now_s - self._changed_s > self._hold_s:
            self._expected = fits
            self._change(self._at - 1, now_s, "there is room" if fits else "to see whether there is room")

    def _down(self, now_s: float, behind_s: float) -> None:
        rung = self._rungs[self._at]
        self._mark, self._stuck = (now_s, behind_s), False
        self._measures = rung if rung.pictures >= _LEARNT else None
        if self._expected is not None:
            if self._expected:
                self._distrust_s = now_s + self._hold_s
            self._hold_s = min(self._hold_s * _HOLD_GROWS, _LONGEST_HOLD_S)
            if below_s := self._rungs[self._at + 1].cost_s:  # it did not fit, whatever was measured
                rung.dearer, self._measures = max(rung.cost_s, self._step_s) / below_s, None
        self._expected = None
        self._change(self._at + 1, now_s, f"{behind_s:.2f} s behind")

    def _change(self, at: int, now_s: float, reason: str) -> None:
        self._say(f"{self._rungs[at].name} instead of {self._rungs[self._at].name}: {reason}")
        self._at, self._changed_s = at, now_s
        self._rungs[at].pictures = 0
