"""Recordings as rows of tiny pictures with their times: enough to see what changes, and when."""

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
from vidsr.training.data.sources import SMALLEST

SEARCHED_S = 600.0
"""Seconds from the beginning of a recording in which the other's are looked for."""
_GRID = (18, 32)  # cells in a column and in a row
_AROUND_S = 1.0  # what is slower than this is light and exposure, which say little of the instant


@dataclass(frozen=True, kw_only=True)
class Glimpses:
    """The beginning of a recording, as means of luma over the cells of a grid."""

    path: Path
    shape: tuple[int, int]
    """(height, width) of its pictures."""
    times: Floats
    """(N,): seconds from the beginning of the recording, rising."""
    changes: NDArray[np.float32]
    """(N, cells): grey levels by which a cell differs from its mean over the second before and after."""
    lasts_s: float
    """How long the whole recording is."""

    @property
    def interval_s(self) -> float:
        """From one picture to the next, as a rule."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0


def timed_lumas(path: Path, start_s: float = 0.0) -> Iterator[tuple[float, Luma]]:
    """Seconds from the beginning of the recording and luma, which holds until the next is taken.

    A picture of another shape ends it. Raises SourceError.
    """
    with Reader(path, start_s=start_s) as reader:
        shape = reader.first.luma.shape
        for frame in reader:
            if frame.luma.shape != shape:
                return
            ticks = (frame.av_frame.pts or 0) - reader.start_pts
            yield float(ticks * reader.time_base) + start_s, luma_8bit(frame.av_frame)


def glimpses_of(path: Path) -> Glimpses:
    """The first SEARCHED_S seconds of a recording. Raises SourceError, and TrainingError for tiny pictures."""
    times, cells = [], []
    for time_s, luma in timed_lumas(path):
        if time_s > SEARCHED_S:
            break
        if min(shape := luma.shape) < SMALLEST:
            raise TrainingError(f"{path}: smaller than {SMALLEST} pixels a side")
        times.append(time_s)
        cells.append(_cells(luma))
    whole = times[-1] if time_s <= SEARCHED_S else max(times[-1], probe(path).seconds)
    when = np.array(times)
    changes = _changes(when, np.array(cells))
    return Glimpses(path=path, shape=(shape[0], shape[1]), times=when, changes=changes, lasts_s=whole)


def _cells(luma: Luma) -> NDArray[np.float32]:
    top, left = (np.arange(count) * length // count for count, length in zip(_GRID, luma.shape, strict=True))
    sums = np.add.reduceat(np.add.reduceat(luma, top, axis=0, dtype=np.uint32), left, axis=1)
    areas = np.outer(np.diff(top, append=luma.shape[0]), np.diff(left, append=luma.shape[1]))
    cells: NDArray[np.float32] = (sums / areas).astype(np.float32).ravel()
    return cells


def _changes(times: Floats, cells: NDArray[np.float32]) -> NDArray[np.float32]:
    sums = np.concatenate([np.zeros_like(cells[:1], np.float64), cells.cumsum(axis=0, dtype=np.float64)])
    first, last = np.searchsorted(times, times - _AROUND_S), np.searchsorted(times, times + _AROUND_S, "right")
    means = (sums[last] - sums[first]) / (last - first)[:, None]
    changes: NDArray[np.float32] = (cells - means).astype(np.float32)
    return changes
