"""The time window of a clip in a video."""

from collections.abc import Sequence
from itertools import accumulate

from vidsr.training.data.scenes import TimeRange


def clip_window(
    position: float, *, ranges: Sequence[TimeRange], start_times: Sequence[float], seconds: float, clip_s: float
) -> tuple[float, float | None]:
    """Returns the start of a clip of `clip_s` seconds in a video, and the exclusive end, None for the video's end.

    `seconds` is the length of the video, 0 if unknown. `position` is from 0 to 1: over `start_times` if there are
    any, else over all times in `ranges`, or in the video, where the clip fits. A start time too late for the clip is
    moved back within its range.
    """
    usable = ranges or (TimeRange(0.0, max(seconds, clip_s)),)
    if start_times:
        start_s = start_times[min(int(position * len(start_times)), len(start_times) - 1)]
        time_range = next((time_range for time_range in usable if time_range.contains(start_s)), usable[-1])
        latest_s = time_range.end_s - clip_s if ranges or seconds else start_s
        start_s = max(time_range.start_s, min(start_s, latest_s))
    else:
        time_range, offset_s = _locate(usable, position, clip_s)
        start_s = time_range.start_s + offset_s
    return start_s, time_range.end_s if ranges else None


def _locate(ranges: Sequence[TimeRange], position: float, clip_s: float) -> tuple[TimeRange, float]:
    """The range, and the offset in it, at `position` from 0 to 1 of all possible starts."""
    slacks = [max(0.0, time_range.seconds - clip_s) for time_range in ranges]
    ends = list(accumulate(slacks))
    if not ends[-1]:
        return max(ranges, key=lambda time_range: time_range.seconds), 0.0
    distance = position * ends[-1]
    number = next(number for number, end in enumerate(ends) if distance < end or end == ends[-1])
    return ranges[number], distance - (ends[number] - slacks[number])
