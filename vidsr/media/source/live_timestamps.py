"""The times of a live source, brought to one line that only ever goes on."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

SECOND = 90_000
TIME_BASE = Fraction(1, SECOND)

_LEAST = SECOND // 1000  # pictures stay apart where a container counts milliseconds, too
_GAP = SECOND  # a step ahead by more wants the wall clock, or the next picture, to bear it out
_JUMP = 10 * SECOND
_DRIFT = 5 * SECOND
_WINDOW = 10 * SECOND  # a network may hold pictures back for seconds and then bring them all: that is no drift
_NEAR = 3 * SECOND  # between the sound and the picture that a source sends at the same moment
_BITS = (2**32, 2**33)  # where RTP's times and those of MPEG-TS begin again
_WEIGHT = 1 / 16


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When a picture is shown."""

    pts: int
    """In 1/90000 s, at least 1 ms after that of the picture before."""
    anew: bool
    """It does not follow the picture before: a new segment begins. True of the very first picture, too."""


@dataclass(frozen=True, kw_only=True)
class _Doubt:
    """A time that did not follow, and where its picture was put; it is believed if the next one follows it."""

    source: int
    pts: int


class Clock:
    """Places the pictures, the sound and the packets of a source, over any number of connections.

    Times are the source's, moved by one shift for all its streams, so that they stay in step; a picture's own is taken
    from it only where it is missing or would not follow. Where the source's time jumps by more than 10 s, or runs off
    from the wall clock by more than 5 s, the line begins anew, placed by the wall clock; it never goes back, so that a
    camera whose clock is fast gains those 5 s on the wall clock each time, until a pause of the camera absorbs them.
    `repaired` counts pictures by what was wrong: "missing", "repeated", "backward", "jump", "wrap", "drift".
    """

    def __init__(self) -> None:
        self.repaired: Counter[str] = Counter()
        self._anew = True
        self._pts: int | None = None
        self._source: int | None = None
        self._shift: int | None = None  # from the source's time to ours; None until a picture of this line had a time
        self._doubt: _Doubt | None = None
        self._usual: float = SECOND / 25  # from picture to picture
        self._arrived = 0
        self._sound = -1  # before the first picture there is none
        self._sound_step = 0
        # Of our time on the wall clock: that of the first picture of all, what it should be, and the most of late.
        self._origin = self._lead = self._most = 0
        self._began = self._window = 0

    def reconnected(self) -> None:
        """The next picture's time has nothing to do with that of the one before."""
        self._anew = True

    def picture(self, pts: int | None, *, time_base: Fraction, arrived_s: float) -> Moment:
        """When the next picture is shown; pictures come in the order in which they are shown.

        `arrived_s` is when its packet came, on a clock that only goes forward.
        """
        now, time = round(arrived_s * SECOND), _ticks(pts, time_base)
        if self._pts is None or self._anew:
            return self._begin(time, now)
        if time is None:
            self.repaired["missing"] += 1
            return self._guess(now)
        if self._shift is None:
            self._shift = self._next() - time
        distance = self._unwrapped(time, time_base) - self._pts
        if self._follows(distance, now):
            moment = self._settle(distance, now)
        elif -self._usual <= distance < _LEAST and time != self._source:
            self.repaired["backward"] += self._source is not None and time < self._source
            moment = self._settle(_LEAST, now)
        else:
            moment = self._doubted(time, distance, now)
        self._source = time
        return moment

    def sound(self, pts: int | None, *, time_base: Fraction, arrived_s: float) -> int | None:
        """When a packet of sound is heard, later than the one before; None: it has no place and is left out."""
        placed = self.source(pts, time_base=time_base, arrived_s=arrived_s)
        expected = self._expected(arrived_s)
        if pts is None and self._sound >= 0 and not self._anew:
            placed = self._sound + self._sound_step
            placed = placed if abs(placed - expected) <= _NEAR else expected
        if placed is None or placed <= self._sound:
            return None
        step = placed - self._sound
        if step > _GAP and abs(placed - expected) > _NEAR:
            return None
        if step <= _GAP:
            self._sound_step = step
        self._sound = placed
        return placed

    def source(self, pts: int | None, *, time_base: Fraction, arrived_s: float) -> int | None:
        """A time of any packet of the source on our line, not made to increase.

        None where it has no place there: before the first picture of a connection, or more than 10 s off.
        """
        time = _ticks(pts, time_base)
        if time is None or self._shift is None or self._anew:
            return None
        shifts = [self._shift] + ([self._doubt.pts - self._doubt.source] if self._doubt else [])
        expected = self._expected(arrived_s)
        placed = [expected + _modulo(time + shift - expected, time_base) for shift in shifts]
        return next((place for place in placed if abs(place - expected) <= _JUMP), None)

    def _begin(self, time: int | None, now: int) -> Moment:
        """The line begins anew with a picture: now by the wall clock, but behind the picture before."""
        if self._pts is None:
            self._pts, self._origin = 0, -now
        else:
            self._pts = max(self._next(), now + self._origin)
        self._shift = None if time is None else self._pts - time
        self._source, self._doubt, self._anew = time, None, False
        self._lead = self._most = self._pts - now
        self._arrived = self._began = self._window = now
        return Moment(pts=self._pts, anew=True)

    def _next(self) -> int:
        """Where a picture is put whose own time is of no use."""
        return (self._pts or 0) + max(_LEAST, round(self._usual))

    def _expected(self, arrived_s: float) -> int:
        """Where a packet should be that arrived then, by the last picture."""
        return (self._pts or 0) + max(0, round(arrived_s * SECOND) - self._arrived)

    def _unwrapped(self, time: int, time_base: Fraction) -> int:
        """The picture's place by the shift, which is set right if the source's bits fell over."""
        assert self._pts is not None
        assert self._shift is not None
        distance = time + self._shift - self._pts
        near = _modulo(distance, time_base)
        if near != distance:
            self.repaired["wrap"] += 1
            self._shift += near - distance
        return self._pts + near

    def _follows(self, distance: int, now: int) -> bool:
        return _LEAST <= distance <= max(0, now - self._arrived) + _GAP

    def _guess(self, now: int) -> Moment:
        assert self._pts is not None
        # By arrival, for pictures that never have a time of their own keep the wall clock's pace then.
        usual = self._usual + (now - self._arrived - self._usual) * _WEIGHT
        moment = self._settle(self._next() - self._pts, now)
        self._usual = usual
        return moment

    def _doubted(self, time: int, distance: int, now: int) -> Moment:
        """The moment of a picture that does not follow: a single one keeps its place in the row, two are believed."""
        assert self._pts is not None
        doubt, self._doubt = self._doubt, None
        if doubt is not None and self._follows(time - doubt.source, now):
            if abs(distance) > _JUMP:
                return self._begin(time, now)
            if distance < 0:
                self._shift = doubt.pts - doubt.source
                distance = time + self._shift - self._pts
            return self._settle(max(distance, _LEAST), now)
        kind = "jump" if distance > 0 or distance < -_JUMP else "repeated" if time == self._source else "backward"
        self.repaired[kind] += 1
        moment = self._guess(now)
        self._doubt = _Doubt(source=time, pts=moment.pts)
        return moment

    def _settle(self, distance: int, now: int) -> Moment:
        """The moment so long after the last one, or the line begun anew when that is too far from the wall clock."""
        assert self._pts is not None
        pts = self._pts + distance
        time = None if self._shift is None else pts - self._shift
        if distance > _JUMP:
            self.repaired["jump"] += 1
            return self._begin(time, now)
        if self._drifted(pts - now, now, grows=distance <= _GAP):
            self.repaired["drift"] += 1
            return self._begin(time, now)
        if distance > _LEAST:
            self._usual += (min(distance, 4 * self._usual) - self._usual) * _WEIGHT
        self._pts, self._arrived, self._doubt = pts, now, None
        return Moment(pts=pts, anew=False)

    def _drifted(self, lead: int, now: int, *, grows: bool) -> bool:
        """Whether our time is too far from the wall clock, whatever the network held back.

        A picture cannot come before its time, but for the first seconds, in which a camera sends what it had kept.
        """
        if grows and now - self._began < _WINDOW:
            self._lead = max(self._lead, lead)
        self._most = max(self._most, lead)
        if lead > self._lead + _DRIFT:
            return True
        if now - self._window < _WINDOW:
            return False
        most, self._most, self._window = self._most, lead, now
        return most < self._lead - _DRIFT


def _ticks(pts: int | None, time_base: Fraction) -> int | None:
    return None if pts is None else round(pts * time_base / TIME_BASE)


def _modulo(distance: int, time_base: Fraction) -> int:
    """The distance without whole turns of 32 or 33 bits in ticks of the time base, where that makes it a small one."""
    if abs(distance) <= _JUMP:
        return distance
    for bits in _BITS:
        turn = round(bits * time_base / TIME_BASE)
        near = (distance + turn // 2) % turn - turn // 2
        if abs(near) <= _JUMP:
            return near
    return distance
