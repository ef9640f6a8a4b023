"""Motion signatures: the changes over time in a coarse grid of luma means."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Luma
from vidsr.errors import TrainingError
from vidsr.media.formats import luma_8bit
from vidsr.media.probe import probe
from vidsr.media.reader import Reader
from vidsr.training.data.sources import MIN_SIDE

SEARCHED_S = 600.0
"""Seconds from the start of a recording that a signature covers."""
_GRID = (18, 32)  # (rows, columns) of cells
_WINDOW_S = 1.0  # seconds; slower changes are light and exposure


@dataclass(frozen=True, kw_only=True)
class MotionSignature:
    """The motion signature of the start of a recording."""

    path: Path
    shape: tuple[int, int]
    """(height, width) of the frames."""
    times: Floats
    """(N,): seconds from the start of the recording, ascending."""
    changes: NDArray[np.float32]
    """(N, cells): difference in grey levels of a cell from its mean over the second before and after."""
    duration_s: float
    """Seconds of the complete recording."""

    @property
    def interval_s(self) -> float:
        """Median frame interval."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0


def timed_lumas(path: Path, start_s: float = 0.0) -> Iterator[tuple[float, Luma]]:
    """Yields the time in seconds from the start, and luma that is valid until the next one is taken.

    Ends at a frame of another shape. Raises SourceError.
    """
    with Reader(path, start_s=start_s) as reader:
        shape = reader.first.luma.shape
        for frame in reader:
            if frame.luma.shape != shape:
                return
            ticks = (frame.av_frame.pts or 0) - reader.start_pts
            yield float(ticks * reader.time_base) + start_s, luma_8bit(frame.av_frame)


def motion_signature(path: Path) -> MotionSignature:
    """The signature of the first SEARCHED_S seconds. Raises SourceError, and TrainingError for tiny frames."""
    times, cells = [], []
    for time_s, luma in timed_lumas(path):
        if time_s > SEARCHED_S:
            break
        if min(shape := luma.shape) < MIN_SIDE:
            raise TrainingError(f"{path}: smaller than {MIN_SIDE} pixels per side")
        times.append(time_s)
        cells.append(_cells(luma))
    duration_s = times[-1] if time_s <= SEARCHED_S else max(times[-1], probe(path).seconds)
    times_s = np.array(times)
    changes = _changes(times_s, np.array(cells))
    return MotionSignature(
        path=path, shape=(shape[0], shape[1]), times=times_s, changes=changes, duration_s=duration_s
    )


def _cells(luma: Luma) -> NDArray[np.float32]:
    top, left = (np.arange(count) * length // count for count, length in zip(_GRID, luma.shape, strict=True))
    sums = np.add.reduceat(np.add.reduceat(luma, top, axis=0, dtype=np.uint32), left, axis=1)
    areas = np.outer(np.diff(top, append=luma.shape[0]), np.diff(left, append=luma.shape[1]))
    cells: NDArray[np.float32] = (sums / areas).astype(np.float32).ravel()
    return cells


def _changes(times: Floats, cells: NDArray[np.float32]) -> NDArray[np.float32]:
    sums = np.concatenate([np.zeros_like(cells[:1], np.float64), cells.cumsum(axis=0, dtype=np.float64)])
    first, last = np.searchsorted(times, times - _WINDOW_S), np.searchsorted(times, times + _WINDOW_S, "right")
    means = (sums[last] - sums[first]) / (last - first)[:, None]
    changes: NDArray[np.float32] = (cells - means).astype(np.float32)
    return changes
