"""The timeline of a live source: repaired timestamps that always increase."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

SECOND = 90_000
TIME_BASE = Fraction(1, SECOND)

_MIN_STEP = SECOND // 1000  # frames must differ also in containers that count milliseconds
_MAX_STEP = SECOND  # a larger step must be confirmed by the wall clock or the next frame
_JUMP = 10 * SECOND
_DRIFT = 5 * SECOND
_WINDOW = 10 * SECOND  # a network may delay frames for seconds and then deliver them at once: that is not drift
_MAX_AV_OFFSET = 3 * SECOND  # between audio and frames that a source sends at the same moment
_WRAPS = (2**32, 2**33)  # the timestamps of RTP and of MPEG-TS wrap here
_WEIGHT = 1 / 16


@dataclass(frozen=True, kw_only=True)
class FrameTime:
    """The time of a frame on the timeline."""

    pts: int
    """In 1/90000 s, at least 1 ms after the previous frame."""
    discontinuity: bool
    """Whether it does not continue from the previous frame, so that a new segment begins; also True for the first
    frame.
    """


@dataclass(frozen=True, kw_only=True)
class _Suspect:
    """A time that did not follow, and the pts its frame was given; it is trusted if the next time follows it."""

    source: int
    pts: int


class LiveTimeline:
    """Maps the times of frames, audio and packets of a source to one timeline, over any number of connections.

    All streams are moved by one shift, so that they stay in sync; a frame gets another time only if its own is missing
    or does not follow. If the source jumps by more than 10 s, or drifts from the wall clock by more than 5 s, a
    discontinuity begins, placed by the wall clock. The timeline never goes back: if the clock of a camera is fast,
    each discontinuity leaves the timeline 5 s further ahead, until a pause of the camera absorbs them. `repaired`
    counts frames by fault: "missing", "repeated", "backward", "jump", "wrap", "drift".
    """

    def __init__(self) -> None:
        self.repaired: Counter[str] = Counter()
        self._is_restart = True
        self._pts: int | None = None
        self._source: int | None = None
        self._shift: int | None = None  # from source time to pts; None until a frame had a time
        self._suspect: _Suspect | None = None
        self._usual_step: float = SECOND / 25  # between two frames
        self._arrived = 0
        self._audio_pts = -1  # none before the first frame
        self._audio_step = 0
        # Pts minus wall clock: of the very first frame, the plausible maximum, and the maximum of the current window.
        self._origin = self._max_lead = self._window_lead = 0
        self._restarted = self._window_start = 0

    def on_reconnect(self) -> None:
        """The next frame is of a new connection, and its time unrelated to the previous one."""
        self._is_restart = True

    def frame_time(self, pts: int | None, *, time_base: Fraction, arrived_s: float) -> FrameTime:
        """The time of the next frame, in presentation order.

        `arrived_s` is the arrival of its packet, by a monotonic clock.
        """
        now, time = round(arrived_s * SECOND), _ticks(pts, time_base)
        if self._pts is None or self._is_restart:
            return self._restart(time, now)
        if time is None:
            self.repaired["missing"] += 1
            return self._guess(now)
        if self._shift is None:
            self._shift = self._next_pts() - time
        distance = self._unwrapped_pts(time, time_base) - self._pts
        if self._follows(distance, now):
            frame_time = self._accept(distance, now)
        elif -self._usual_step <= distance < _MIN_STEP and time != self._source:
            self.repaired["backward"] += self._source is not None and time < self._source
            frame_time = self._accept(_MIN_STEP, now)
        else:
            frame_time = self._suspect_time(time, distance, now)
        self._source = time
        return frame_time

    def audio_pts(self, pts: int | None, *, time_base: Fraction, arrived_s: float) -> int | None:
        """The time of a packet of audio, later than the one before; None if it has no place, and must be dropped."""
        pts_out = self.source_pts(pts, time_base=time_base, arrived_s=arrived_s)
        expected = self.expected_pts(arrived_s)
        if pts is None and self._audio_pts >= 0 and not self._is_restart:
            pts_out = self._audio_pts + self._audio_step
            pts_out = pts_out if abs(pts_out - expected) <= _MAX_AV_OFFSET else expected
        if pts_out is None or pts_out <= self._audio_pts:
            return None
        step = pts_out - self._audio_pts
        if step > _MAX_STEP and abs(pts_out - expected) > _MAX_AV_OFFSET:
            return None
        if step <= _MAX_STEP:
            self._audio_step = step
        self._audio_pts = pts_out
        return pts_out

    def source_pts(self, pts: int | None, *, time_base: Fraction, arrived_s: float) -> int | None:
        """The time of any packet of the source on the timeline; these times need not increase.

        None before the first frame of a connection, and for times more than 10 s off.
        """
        time = _ticks(pts, time_base)
        if time is None or self._shift is None or self._is_restart:
            return None
        shifts = [self._shift] + ([self._suspect.pts - self._suspect.source] if self._suspect else [])
        expected = self.expected_pts(arrived_s)
        candidates = [expected + _unwrap(time + shift - expected, time_base) for shift in shifts]
        return next((candidate for candidate in candidates if abs(candidate - expected) <= _JUMP), None)

    def _restart(self, time: int | None, now: int) -> FrameTime:
        """Begin a discontinuity: the frame is placed by the wall clock, but after the previous frame."""
        if self._pts is None:
            self._pts, self._origin = 0, -now
        else:
            self._pts = max(self._next_pts(), now + self._origin)
        self._shift = None if time is None else self._pts - time
        self._source, self._suspect, self._is_restart = time, None, False
        self._max_lead = self._window_lead = self._pts - now
        self._arrived = self._restarted = self._window_start = now
        return FrameTime(pts=self._pts, discontinuity=True)

    def _next_pts(self) -> int:
        """The pts of a frame whose own time is unusable."""
        return (self._pts or 0) + max(_MIN_STEP, round(self._usual_step))

    def expected_pts(self, arrived_s: float) -> int:
        """The expected pts of a packet, from its arrival and the last frame."""
        return (self._pts or 0) + max(0, round(arrived_s * SECOND) - self._arrived)

    def _unwrapped_pts(self, time: int, time_base: Fraction) -> int:
        """The shifted time of the frame; the shift is corrected after a wrap of the source."""
        assert self._pts is not None
        assert self._shift is not None
        distance = time + self._shift - self._pts
        unwrapped = _unwrap(distance, time_base)
        if unwrapped != distance:
            self.repaired["wrap"] += 1
            self._shift += unwrapped - distance
        return self._pts + unwrapped

    def _follows(self, distance: int, now: int) -> bool:
        return _MIN_STEP <= distance <= max(0, now - self._arrived) + _MAX_STEP

    def _guess(self, now: int) -> FrameTime:
        assert self._pts is not None
        # From arrivals, so that frames without any times keep the pace of the wall clock.
        usual = self._usual_step + (now - self._arrived - self._usual_step) * _WEIGHT
        frame_time = self._accept(self._next_pts() - self._pts, now)
        self._usual_step = usual
        return frame_time

    def _suspect_time(self, time: int, distance: int, now: int) -> FrameTime:
        """The time of a frame that does not follow: a single outlier is replaced, two in a row are trusted."""
        assert self._pts is not None
        suspect, self._suspect = self._suspect, None
        if suspect is not None and self._follows(time - suspect.source, now):
            if abs(distance) > _JUMP:
                return self._restart(time, now)
            if distance < 0:
                self._shift = suspect.pts - suspect.source
                distance = time + self._shift - self._pts
            return self._accept(max(distance, _MIN_STEP), now)
        kind = "jump" if distance > 0 or distance < -_JUMP else "repeated" if time == self._source else "backward"
        self.repaired[kind] += 1
        frame_time = self._guess(now)
        self._suspect = _Suspect(source=time, pts=frame_time.pts)
        return frame_time

    def _accept(self, distance: int, now: int) -> FrameTime:
        """The time `distance` after the last frame, or a discontinuity if that is too far from the wall clock."""
        assert self._pts is not None
        pts = self._pts + distance
        time = None if self._shift is None else pts - self._shift
        if distance > _JUMP:
            self.repaired["jump"] += 1
            return self._restart(time, now)
        if self._has_drifted(pts - now, now, grows=distance <= _MAX_STEP):
            self.repaired["drift"] += 1
            return self._restart(time, now)
        if distance > _MIN_STEP:
            self._usual_step += (min(distance, 4 * self._usual_step) - self._usual_step) * _WEIGHT
        self._pts, self._arrived, self._suspect = pts, now, None
        return FrameTime(pts=pts, discontinuity=False)

    def _has_drifted(self, lead: int, now: int, *, grows: bool) -> bool:
        """Whether the timeline is too far from the wall clock, disregarding network delays.

        A frame cannot arrive before its time, except in the first seconds, when a camera sends buffered frames.
        """
        if grows and now - self._restarted < _WINDOW:
            self._max_lead = max(self._max_lead, lead)
        self._window_lead = max(self._window_lead, lead)
        if lead > self._max_lead + _DRIFT:
            return True
        if now - self._window_start < _WINDOW:
            return False
        window_lead, self._window_lead, self._window_start = self._window_lead, lead, now
        return window_lead < self._max_lead - _DRIFT


def _ticks(pts: int | None, time_base: Fraction) -> int | None:
    return None if pts is None else round(pts * time_base / TIME_BASE)


def _unwrap(distance: int, time_base: Fraction) -> int:
    """The distance without multiples of 2^32 or 2^33 ticks of the time base, if that makes it less than 10 s."""
    if abs(distance) <= _JUMP:
        return distance
    for span in _WRAPS:
        turn = round(span * time_base / TIME_BASE)
        unwrapped = (distance + turn // 2) % turn - turn // 2
        if abs(unwrapped) <= _JUMP:
            return unwrapped
    return distance
