"""Time sync: the time offset of two recordings, by correlation of their motion signatures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats
from vidsr.training.pairing.motion_signature import MotionSignature

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
class OffsetEstimate:
    """The estimated time offset of two recordings."""

    offset_s: float
    """HR time minus LR time of the same instant, in seconds."""
    jitter_s: float
    """Median deviation from the offset, per frame."""
    similarity: float
    """Correlation of the motion of matched frames: 1 for identical, 0 for unrelated."""


def has_motion(signature: MotionSignature) -> bool:
    """Whether anything moves in the recording."""
    return float(np.percentile(np.abs(signature.changes).max(axis=1), 90)) > _MOTION_LEVELS


def estimate_offset(lr: MotionSignature, hr: MotionSignature) -> OffsetEstimate | None:
    """The estimate with the highest similarity, however low; None if a recording is too short."""
    found = [_estimate_near(lr, hr, offset_s) for offset_s in _candidate_offsets(lr, hr)]
    return max((each for each in found if each), key=lambda each: each.similarity, default=None)


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


def _estimate_near(lr: MotionSignature, hr: MotionSignature, near_s: float) -> OffsetEstimate | None:
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
    offset_s = weighted_median(np.array(delays), np.array(weights))
    jitter_s = weighted_median(np.abs(np.array(delays) - offset_s), np.array(weights))
    lr_index, hr_index = np.array(pairs).T
    one, other = lr.changes[lr_index].astype(np.float64), hr.changes[hr_index].astype(np.float64)
    similarity = (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum() + 1e-9)
    return OffsetEstimate(offset_s=offset_s, jitter_s=jitter_s, similarity=float(similarity))


def weighted_median(values: Floats, weights: Floats) -> float:
    """The weighted median of (N,) values."""
    order = values.argsort()
    sums = weights[order].cumsum()
    return float(values[order][np.searchsorted(sums, sums[-1] / 2)])
