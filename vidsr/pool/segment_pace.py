"""The pace of workers on segments: by it a segment is late."""

import statistics
from collections import deque

LATE = 3
"""Times the median after which a segment is late."""
_LEAST_S = 5.0
"""Before which nothing is late: Ray itself takes seconds under load."""
_ENOUGH, _MOST = 3, 100


class SegmentPace:
    """How long workers take for a frame, as its median over segments."""

    def __init__(self) -> None:
        self._seconds_per_frame: deque[float] = deque(maxlen=_MOST)

    def add(self, frames: int, seconds: float) -> None:
        """Count a segment that is done."""
        if frames:
            self._seconds_per_frame.append(seconds / frames)

    def is_late(self, frames: int, seconds: float) -> bool:
        """Whether a segment of that many frames is late after these seconds; never while few are done."""
        if len(self._seconds_per_frame) < _ENOUGH or seconds < _LEAST_S:
            return False
        return seconds > LATE * frames * statistics.median(self._seconds_per_frame)
