"""Time sync: the time offset of two recordings, by correlation of their motion signatures.

A motion signature holds the changes over time in a coarse grid of luma means.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Luma
from vidsr.errors import SourceError
from vidsr.media.formats import luma_8bit
from vidsr.media.probe import probe
from vidsr.media.reader import Reader
from vidsr.training.data.sources import MIN_SIDE

SEARCHED_S = 600.0
"""Seconds from the start of a recording that a signature covers."""
_GRID = (18, 32)  # (rows, columns) of cells
_WINDOW_S = 1.0  # seconds; slower changes are light and exposure
LEAST_OVERLAP_S = 1.0
"""Seconds of overlap that an estimate needs."""
_STEP_S = 0.04  # seconds between candidate offsets
_MIN_DISTANCE_S = 0.5  # seconds between distinct candidates
_MAX_CANDIDATES = 6  # best candidates, which are refined
_SEARCH_S = 0.3
_MAX_GAP_S = 0.5  # seconds; no interpolation across longer gaps
_ENERGY_FLOOR = 0.05  # of the total energy: with less motion in the overlap, similarity is chance
_CELLS_PER_FFT = 64  # cells per FFT
_MOTION_LEVELS = 1.0  # grey levels of change in a cell; an encoder alone causes less


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
    """Yields seconds from the start, luma valid until the next; ends where the shape changes. Raises SourceError."""
    with Reader(path, start_s=start_s) as reader:
        shape = reader.first.luma.shape
        for frame in reader:
            if frame.luma.shape != shape:
                return
            ticks = (frame.av_frame.pts or 0) - reader.start_pts
            yield float(ticks * reader.time_base) + start_s, luma_8bit(frame.av_frame)


def motion_signature(path: Path) -> MotionSignature:
    """The signature of the first SEARCHED_S seconds. Raises SourceError, also for tiny frames."""
    times, cells = [], []
    for time_s, luma in timed_lumas(path):
        if time_s > SEARCHED_S:
            break
        if min(shape := luma.shape) < MIN_SIDE:
            raise SourceError(f"{path}: smaller than {MIN_SIDE} pixels per side")
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


@dataclass(frozen=True, kw_only=True)
class TimeOffset:
    """The time offset between two recordings."""

    offset_s: float
    """HR time minus LR time of the same instant, in seconds."""
    tolerance_s: float
    """Largest deviation in time of a matching frame."""
    interval_s: float
    """Frame interval of the recording with the higher frame rate."""

    @property
    def search_s(self) -> float:
        """Largest deviation in time of a candidate frame."""
        return self.tolerance_s + 1.5 * self.interval_s


def median_offset(delays: Floats, weights: Floats, interval_s: float) -> TimeOffset:
    """The weighted median of the delays, with a tolerance of half a frame interval plus three times the jitter."""
    offset_s = _weighted_median(delays, weights)
    jitter_s = _weighted_median(np.abs(delays - offset_s), weights)
    return TimeOffset(offset_s=offset_s, tolerance_s=interval_s / 2 + 3 * jitter_s, interval_s=interval_s)


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = values.argsort()
    sums = weights[order].cumsum()
    return float(values[order][np.searchsorted(sums, sums[-1] / 2)])


def has_motion(signature: MotionSignature) -> bool:
    """Whether anything moves in the recording."""
    return float(np.percentile(np.abs(signature.changes).max(axis=1), 90)) > _MOTION_LEVELS


def frame_interval_s(lr: MotionSignature, hr: MotionSignature) -> float:
    """The frame interval of the recording with the higher frame rate."""
    return min((each for each in (lr.interval_s, hr.interval_s) if each > 0), default=LEAST_OVERLAP_S)


def estimate_offset(lr: MotionSignature, hr: MotionSignature) -> tuple[TimeOffset, float] | None:
    """The offset with the highest similarity, however low, and the similarity; None if a recording is too short.

    Similarity is the correlation of the motion of matched frames: 1 for identical, 0 for unrelated.
    """
    found = [_estimate_near(lr, hr, offset_s) for offset_s in _candidate_offsets(lr, hr)]
    return max((each for each in found if each), key=lambda each: each[1], default=None)


def _candidate_offsets(lr: MotionSignature, hr: MotionSignature) -> list[float]:
    """The candidate offsets with the highest motion correlation, best first."""
    lr_changes, hr_changes = _resampled(lr), _resampled(hr)
    lags = np.arange(1 - len(lr_changes), len(hr_changes))
    overlap = np.minimum(len(lr_changes), len(hr_changes) - lags) - np.maximum(0, -lags)
    correlation = _correlation(lr_changes, hr_changes) / (_shared_energy(lr_changes, hr_changes, lags) + 1e-9)
    correlation[overlap * _STEP_S < LEAST_OVERLAP_S] = -np.inf
    found: list[float] = []
    while len(found) < _MAX_CANDIDATES and np.isfinite(best := correlation.max()) and best > 0:
        lag = lags[correlation.argmax()]
        found.append(float(lag * _STEP_S + hr.times[0] - lr.times[0]))
        correlation[np.abs(lags - lag) * _STEP_S <= _MIN_DISTANCE_S] = -np.inf
    return found


def _resampled(signature: MotionSignature) -> NDArray[np.float32]:
    """(N, cells): the changes resampled every _STEP_S from the first frame on; 0 in gaps."""
    times = signature.times
    grid = np.arange(times[0], times[-1], _STEP_S)
    following = np.clip(np.searchsorted(times, grid, "right"), 1, max(1, len(times) - 1))
    span = times[following] - times[following - 1] if len(times) > 1 else np.ones(len(grid))
    fraction = ((grid - times[following - 1]) / np.maximum(span, 1e-6))[:, None].astype(np.float32)
    resampled = signature.changes[following - 1] * (1 - fraction) + signature.changes[following] * fraction
    resampled[span > _MAX_GAP_S] = 0
    return resampled


def _correlation(lr: NDArray[np.float32], hr: NDArray[np.float32]) -> Floats:
    """The sum of lr[t] * hr[t + lag] for every lag with an overlap."""
    length = 1 << (len(lr) + len(hr) - 1).bit_length()
    total = np.zeros(length // 2 + 1, np.complex128)
    for first in range(0, lr.shape[1], _CELLS_PER_FFT):
        one, other = (np.fft.rfft(each[:, first : first + _CELLS_PER_FFT], length, axis=0) for each in (lr, hr))
        total += (one.conj() * other).sum(axis=1)
    found = np.fft.irfft(total, length)
    return np.concatenate([found[length - len(lr) + 1 :], found[: len(hr)]])


def _shared_energy(lr: NDArray[np.float32], hr: NDArray[np.float32], lags: NDArray[np.int64]) -> Floats:
    """The upper bound of the correlation, for every lag."""
    energies = []
    for each, other, shift in ((lr, hr, lags), (hr, lr, -lags)):
        sums = np.concatenate([[0], (each.astype(np.float64) ** 2).sum(axis=1).cumsum()])
        fraction = sums[np.minimum(len(each), len(other) - shift)] - sums[np.maximum(0, -shift)]
        energies.append(fraction + _ENERGY_FLOOR * sums[-1])
    energy: Floats = np.sqrt(energies[0] * energies[1])
    return energy


def _estimate_near(lr: MotionSignature, hr: MotionSignature, near_s: float) -> tuple[TimeOffset, float] | None:
    """The estimate near an offset: each LR frame is matched to the most similar HR frame, weighted by motion."""
    contrast = np.sqrt((lr.changes**2).mean() / max(1e-9, (hr.changes**2).mean()))
    pairs, delays, weights = [], [], []
    for number, (time_s, change) in enumerate(zip(lr.times, lr.changes, strict=True)):
        first, last = np.searchsorted(hr.times, time_s + near_s + np.array([-_SEARCH_S, _SEARCH_S]))
        if last - first < 2:
            continue
        errors = ((change - contrast * hr.changes[first:last]) ** 2).mean(axis=1)
        best = int(errors.argmin())
        around_best = errors[max(0, best - 1) : best + 2]
        pairs.append((number, first + best))
        delays.append(hr.times[first + best] - time_s)
        weights.append(float(around_best.max() - errors[best]))
    if not pairs or sum(weights) <= 0:
        return None
    time_offset = median_offset(np.array(delays), np.array(weights), frame_interval_s(lr, hr))
    lr_index, hr_index = np.array(pairs).T
    one, other = lr.changes[lr_index].astype(np.float64), hr.changes[hr_index].astype(np.float64)
    similarity = (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum() + 1e-9)
    return time_offset, float(similarity)
