"""Frame matching: the frames of an LR and an HR recording that show the same instant."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidsr.arrays import Floats, Luma
from vidsr.training.pairing.registration import FloatPlane, Registration
from vidsr.training.pairing.time_sync import TimeOffset, median_offset, timed_lumas

_ROUNDING_S = 1e-3  # tolerance for rounded timestamps
_TIE_SHARE = 0.02  # of the mean square: within it, the timestamps decide
_MAX_PHASE = 0.3  # of the frame interval between the instants of a pair, where something moves
_SEARCH_STEPS, _MIN_CANDIDATES = 2, 3  # frame intervals searched around the first offset, and frames needed there
_MAX_ERROR_RATIO = 2.0  # times the usual error: beyond, one of the frames is damaged


def match_frames(
    lr_path: Path,
    hr_path: Path,
    time_offset: TimeOffset,
    times: Sequence[float],
    *,
    window_s: float,
    registration: Registration | None,
    error: float = 0.0,
) -> Iterator[tuple[int, Luma, Luma]]:
    """Yields (index, lr, hr): for each ascending time, the first LR frame at or after it that has an HR match.

    An index is skipped when no frame matches within `window_s`, or before the next time. With a registration, the
    most similar HR frame matches (`error` is the usual difference in grey levels); without, the nearest in time.
    Both recordings are read once, with a few frames in memory. Raises SourceError.
    """
    matcher = _Matcher(registration, time_offset, error) if registration else None
    last = -1
    for number, lr, hr_frames, off_s in _candidates(lr_path, hr_path, time_offset, times, window_s):
        if number == last:
            continue
        chosen = matcher.choose(lr, hr_frames, off_s) if matcher else _nearest(off_s, time_offset)
        if chosen is not None:
            last = number
            yield number, lr.copy(), hr_frames[chosen]
        if last + 1 == len(times):
            return


def refine_offset(
    lr_path: Path,
    hr_path: Path,
    time_offset: TimeOffset,
    times: Sequence[float],
    *,
    window_s: float,
    registration: Registration,
) -> TimeOffset:
    """The time offset refined with registered frames at these times, by up to two frame intervals.

    Motion signatures alone confuse a shift in space with a shift in time. Raises SourceError.
    """
    matcher, last = _Matcher(registration, time_offset), -1
    wide = replace(time_offset, tolerance_s=time_offset.tolerance_s + _SEARCH_STEPS * time_offset.interval_s)
    measured: list[tuple[Floats, Floats]] = []
    for number, lr, hr_frames, off_s in _candidates(lr_path, hr_path, wide, times, window_s):
        if number != last and len(hr_frames) >= _MIN_CANDIDATES:
            last = number
            measured.append((off_s, matcher.mean_squares(lr, hr_frames)))
    weights = np.array([float(np.median(mean_squares) - mean_squares.min()) for _, mean_squares in measured])
    if weights.sum() <= 0:
        return time_offset
    found = median_offset(_delays(measured), weights, time_offset.interval_s)
    return replace(found, offset_s=time_offset.offset_s + found.offset_s)


def _delays(measured: Sequence[tuple[Floats, Floats]]) -> Floats:
    """The delay of each time; among duplicated frames, the one nearest to the common delay."""

    def cost(delay_s: float) -> float:
        return float(sum(mean_squares[np.abs(off_s - delay_s).argmin()] for off_s, mean_squares in measured))

    common_s = min((float(each) for off_s, _ in measured for each in off_s), key=cost)
    best_offsets = [off_s[mean_squares <= (1 + _TIE_SHARE) * mean_squares.min()] for off_s, mean_squares in measured]
    return np.array([off_s[np.abs(off_s - common_s).argmin()] for off_s in best_offsets])


def _candidates(
    lr_path: Path, hr_path: Path, time_offset: TimeOffset, times: Sequence[float], window_s: float
) -> Iterator[tuple[int, Luma, list[Luma], Floats]]:
    """Yields (index, LR frame, HR candidates, their deviations in seconds) within `window_s` from each time."""
    if not times:
        return
    begin_s = max(0.0, times[0] - _ROUNDING_S)
    hr_frames = _FrameWindow(
        hr_path, max(0.0, begin_s + time_offset.offset_s - time_offset.search_s - time_offset.interval_s), time_offset
    )
    for time_s, lr in timed_lumas(lr_path, begin_s):
        number = bisect_right(times, time_s + _ROUNDING_S) - 1
        if number >= 0 and time_s + _ROUNDING_S < times[number] + window_s:
            near = hr_frames.around(time_s + time_offset.offset_s)
            off_s = np.array([hr_time_s - time_s - time_offset.offset_s for hr_time_s, _ in near])
            yield number, lr, [luma for _, luma in near], off_s
        elif number + 1 == len(times):
            return


class _FrameWindow:
    """A sliding window over the HR frames, for ascending times."""

    def __init__(self, path: Path, start_s: float, time_offset: TimeOffset) -> None:
        self._source = timed_lumas(path, start_s)
        self._frames: deque[tuple[float, Luma]] = deque()
        self._reach_s = time_offset.search_s

    def around(self, time_s: float) -> list[tuple[float, Luma]]:
        """The time and the luma of each frame within the search range, in order."""
        while not self._frames or self._frames[-1][0] <= time_s + self._reach_s:
            if (following := next(self._source, None)) is None:
                break
            self._frames.append((following[0], following[1].copy()))
        while self._frames and self._frames[0][0] < time_s - self._reach_s:
            self._frames.popleft()
        return [each for each in self._frames if each[0] <= time_s + self._reach_s]


def _nearest(off_s: Floats, time_offset: TimeOffset) -> int | None:
    """The index of the nearest frame in time, None if it exceeds the tolerance."""
    if not len(off_s) or np.abs(off_s).min() > time_offset.tolerance_s + _ROUNDING_S:
        return None
    return int(np.abs(off_s).argmin())


class _Matcher:
    """Compares HR frames with LR frames through a registration; selects the HR frame of the same instant."""

    def __init__(self, registration: Registration, time_offset: TimeOffset, error: float = 0.0) -> None:
        self._area, self._resample = registration.covered, registration.resampler(1.0)
        self._time_offset, self._max_square = time_offset, (_MAX_ERROR_RATIO * error) ** 2 + 1

    def mean_squares(self, lr: Luma, hr_frames: Sequence[Luma]) -> Floats:
        """The mean square difference of each HR frame from the LR frame, where both overlap."""
        covered = lr[self._area].astype(np.float32)
        return np.array([_mean_square(self._resampled(each), covered) for each in hr_frames])

    def choose(self, lr: Luma, hr_frames: Sequence[Luma], off_s: Floats) -> int | None:
        """The index of the match; None without one, or when motion shows that the instant lies between two frames."""
        if _nearest(off_s, self._time_offset) is None:
            return None
        mean_squares = self.mean_squares(lr, hr_frames)
        best = int((mean_squares * (1 + _TIE_SHARE * np.abs(off_s) / self._time_offset.interval_s)).argmin())
        if abs(off_s[best]) > self._time_offset.tolerance_s + _ROUNDING_S or mean_squares[best] > self._max_square:
            return None
        if 0 < best < len(hr_frames) - 1:
            around_best = slice(best - 1, best + 2)
            missed_s = _distance_to_minimum(off_s[around_best] - off_s[best], mean_squares[around_best])
            is_between = missed_s > _MAX_PHASE * self._time_offset.interval_s
            runner_up = best + 1 if mean_squares[best + 1] < mean_squares[best - 1] else best - 1
            if is_between and not self._is_duplicate(
                hr_frames[best], hr_frames[runner_up], _TIE_SHARE * mean_squares[best]
            ):
                return None
        return best

    def _is_duplicate(self, one: Luma, other: Luma, limit: float) -> bool:
        return _mean_square(self._resampled(one), self._resampled(other)) < limit

    def _resampled(self, hr: Luma) -> FloatPlane:
        return self._resample(hr)[self._area]


def _mean_square(one: FloatPlane, other: FloatPlane) -> float:
    return float(((one - other) ** 2).mean())


def _distance_to_minimum(off_s: Floats, mean_squares: Floats) -> float:
    """Seconds from the middle of three frames to the minimum of the difference; 0 where it is flat."""
    if (mean_squares[0] + mean_squares[2]) / 2 < (1 + _TIE_SHARE) * mean_squares[1]:
        return 0.0
    bend, slope, _ = np.polyfit(off_s, mean_squares, 2)
    return abs(float(slope / (2 * bend)))
