"""Frame selection: the frames of a long recording that are worth training on.

Up to eight candidates per selected frame, 2000 at most, are spread evenly over the recording. A candidate has
- sharpness: the mean second difference of its levels along some rows and columns, divided by its brightness, relative
  to the median of the half of the candidates nearest in brightness (light and the noise of the dark raise it, too);
- motion: the difference of the liveliest twentieth of its thumbnail from a third of a second later, without global
  changes of light;
- exposure: frames that are black, blown out or flat are no candidates.

Frames are selected by farthest-point sampling of the thumbnails, each distance multiplied by a weight: lower for blur,
higher for motion. A distance counts in part where two frames are nearer in time than evenly spaced ones, so that one
car does not provide all of them. An empty road is thus selected once early, and again only after all passing cars.
Without motion, sharpness and distance decide. The selection is deterministic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Luma
from vidsr.callbacks import OnWarning, ShouldStop
from vidsr.errors import SourceError
from vidsr.media.probe import probe
from vidsr.media.thumbnails import FramePair, frame_pairs
from vidsr.training.data.sources import TimeRange, clip_window

_CANDIDATES_PER_START = 8  # candidates per selected frame
_MAX_CANDIDATES = 2000  # in a long recording each costs a seek and a third of a second of decoding
_MIN_DISTANCE_S = 0.5  # between candidates
_MOTION_DELAY_S = 1 / 3
_CLIP_S = 1.5  # the clip after a start time: 12 frames at 8 per second or more
_LINE_STEP = 4  # every fourth row and column measures sharpness
_MOVING_PART = 20  # one in 20 pixels, the liveliest, measures motion
NOISE_LEVELS = 3.0
"""Grey levels of motion that noise and codecs cause."""
_MIN_CONTRAST = 4.0  # grey levels of standard deviation
_DARK, _LIGHT = 12, 250  # levels of clipped shadows and highlights
_MAX_CLIPPED = 0.9  # share of clipped pixels
_BRIGHTNESS_WEIGHT = 0.25  # weight of a uniform difference
_BRIGHTNESS_FLOOR = 10.0  # grey levels added to the brightness that normalises differences
_NEIGHBOUR_SHARE = 0.5  # share of the candidates, nearest in brightness, that sets the usual sharpness


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidate:
    time_s: float
    thumbnail: Luma
    level: float
    """Mean grey level."""
    detail: float
    """Mean second difference, divided by the level."""
    motion: float
    """Grey levels."""


def select_frame_times(
    path: Path,
    count: int,
    *,
    ranges: Sequence[TimeRange] = (),
    on_warning: OnWarning = lambda sentence: None,
    should_stop: ShouldStop = lambda: False,
) -> list[float]:
    """Up to `count` ascending times of selected frames, in seconds from the start; within `ranges`, if any.

    In a file of unknown length they are near the start. `should_stop` is called after each candidate, and ends the
    search with those so far. Raises SourceError for a recording that is unreadable, too short or shows
    nothing.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, not {count}")
    times = _candidate_times(path, ranges, count)
    usable = []
    for pair in frame_pairs(path, times, later_s=_MOTION_DELAY_S):
        if _is_in_ranges(pair.now.time_s, ranges) and has_contrast(pair.now.luma):
            usable.append(_candidate(pair))
        if should_stop():
            return _start_times(usable, count)
    if not usable:
        raise SourceError(f"{path}: shows nothing to train on: it is black, blown out, flat or too short")
    if len(usable) < count:
        on_warning(f"{path}: gives {len(usable)} frames, not {count}")
    if max(candidate.motion for candidate in usable) < NOISE_LEVELS:
        on_warning(f"{path}: nothing moves; the sharpest and most different frames are selected")
    return _start_times(usable, count)


def _candidate_times(path: Path, ranges: Sequence[TimeRange], count: int) -> list[float]:
    """The evenly spaced times of the candidates; from the start on in a file of unknown length."""
    limit, seconds = min(_CANDIDATES_PER_START * count, _MAX_CANDIDATES), probe(path).seconds
    if not seconds and not ranges:
        return [_MIN_DISTANCE_S * number for number in range(limit)]
    known = ranges or (TimeRange(0.0, seconds),)
    slacks = [time_range.seconds - _CLIP_S for time_range in known if time_range.seconds >= _CLIP_S]
    if not slacks:
        longest = max(time_range.seconds for time_range in known)
        raise SourceError(f"{path}: too short: {longest:.1f} s, and a clip takes {_CLIP_S:g} s")
    number = min(limit, int(sum(slacks) / _MIN_DISTANCE_S) + 1)
    positions = (index / number for index in range(number))
    return [
        clip_window(position, ranges=known, start_times=(), seconds=seconds, clip_s=_CLIP_S)[0]
        for position in positions
    ]


def _is_in_ranges(time_s: float, ranges: Sequence[TimeRange]) -> bool:
    """Whether a clip from this time lies in one range: seeking may return an earlier key frame."""
    return not ranges or any(time_range.start_s <= time_s <= time_range.end_s - _CLIP_S for time_range in ranges)


def has_contrast(luma: Luma) -> bool:
    """Whether a thumbnail is neither black, blown out nor flat."""
    clipped = max((luma <= _DARK).mean(), (luma >= _LIGHT).mean())
    return bool(luma.std() >= _MIN_CONTRAST and clipped < _MAX_CLIPPED)


def _candidate(pair: FramePair) -> _Candidate:
    level = float(pair.now.luma.mean())
    return _Candidate(
        time_s=pair.now.time_s,
        thumbnail=pair.now.luma,
        level=level,
        detail=picture_detail(pair.luma, level),
        motion=liveliest_change(pair.now.luma, pair.later.luma),
    )


def liveliest_change(now: Luma, later: Luma) -> float:
    """The mean change, in grey levels, of the liveliest twentieth of a thumbnail, without a change of light."""
    change = later.astype(np.float64) - now
    liveliest = np.sort(np.abs(change - np.median(change)), axis=None)[-change.size // _MOVING_PART :]
    return float(liveliest.mean())


def picture_detail(luma: Luma, level: float) -> float:
    """The mean second difference along some rows and columns of an (H, W) plane, divided by its brightness."""
    detail = _second_difference(luma[::_LINE_STEP]) + _second_difference(luma.T[::_LINE_STEP])
    return detail / (level + _BRIGHTNESS_FLOOR) / 2


def _second_difference(lines: Luma) -> float:
    levels = lines.astype(np.int16)
    return float(np.abs(2 * levels[:, 1:-1] - levels[:, :-2] - levels[:, 2:]).mean())


def _start_times(usable: Sequence[_Candidate], count: int) -> list[float]:
    return sorted(usable[number].time_s for number in _farthest_points(usable, min(count, len(usable))))


def _farthest_points(usable: Sequence[_Candidate], count: int) -> list[int]:
    if not count:
        return []
    weights = _weights(usable)
    features = picture_features([candidate.thumbnail for candidate in usable])
    times = np.array([candidate.time_s for candidate in usable])
    spacing_s = max(float(np.ptp(times)), _MIN_DISTANCE_S) / count
    selected: list[int] = []
    nearest: Floats = np.ones(len(usable))
    while len(selected) < count:
        score = weights * nearest
        score[selected] = -1
        latest = int(score.argmax())
        selected.append(latest)
        distance = np.sqrt(np.square(features - features[latest]).mean(axis=1))
        distance_in_time = distance * np.minimum(np.abs(times - times[latest]) / spacing_s, 1)
        nearest = distance_in_time if len(selected) == 1 else np.minimum(nearest, distance_in_time)
    return selected


def picture_features(thumbnails: Sequence[Luma]) -> NDArray[np.float32]:
    """(N, pixels): the root mean square of a difference is the distance of two pictures; light hardly counts."""
    features = np.array([thumbnail.ravel() for thumbnail in thumbnails], np.float32)
    levels = features.mean(axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (features - (1 - _BRIGHTNESS_WEIGHT) * levels) / (levels + _BRIGHTNESS_FLOOR)
    return scaled


def _weights(usable: Sequence[_Candidate]) -> Floats:
    motion = np.array([candidate.motion for candidate in usable])
    moves = motion / (motion + NOISE_LEVELS) if motion.max() >= NOISE_LEVELS else np.ones(len(usable))
    return np.minimum(_sharpness(usable), 1) ** 2 * moves


def _sharpness(usable: Sequence[_Candidate]) -> Floats:
    """The sharpness of each candidate, relative to the median of those nearest in brightness."""
    order = np.argsort([candidate.level for candidate in usable], kind="stable")
    detail = np.array([usable[number].detail for number in order])
    width = max(5, round(_NEIGHBOUR_SHARE * len(usable)))
    relative = np.empty(len(usable))
    for rank, number in enumerate(order):
        first = max(0, min(rank - width // 2, len(usable) - width))
        relative[number] = detail[rank] / max(float(np.median(detail[first : first + width])), 1e-6)
    return relative
