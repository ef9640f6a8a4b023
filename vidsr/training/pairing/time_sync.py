"""When two recordings show the same: found by what changes in them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats
from vidsr.training.pairing.motion_signature import Glimpses

LEAST_OVERLAP_S = 1.0
"""Seconds that two recordings must have in common for their instants to be told."""
_STEP_S = 0.04  # of the offsets that are tried
_APART_S = 0.5  # offsets nearer than this are one
_TRIED = 6  # of the best offsets, all are looked at more closely
_NEAR_S = 0.3
_GAP_S = 0.5  # between pictures further apart nothing is known
_FLOOR = 0.05  # of what moves in all: where less moves in the overlap, likeness is chance
_CHANNELS = 64  # cells that are transformed at a time
_MOVING = 1.0  # grey levels that a cell changes by at times where something moves; an encoder alone makes less


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How the times of two recordings belong together."""

    offset_s: float
    """Seconds of the large recording, less those of the small one, at the same instant."""
    jitter_s: float
    """How far that is off from one picture to another, by the median."""
    likeness: float
    """Of what moves in the two, matched picture by picture: 1 is the same, 0 has nothing in common."""


def is_moving(glimpses: Glimpses) -> bool:
    """Whether anything moves."""
    return float(np.percentile(np.abs(glimpses.changes).max(axis=1), 90)) > _MOVING


def agreement_of(small: Glimpses, large: Glimpses) -> Agreement | None:
    """The best way to lay the times on each other, however good it is; None where they are too short for any."""
    found = [_matched(small, large, offset_s) for offset_s in _likely(small, large)]
    return max((each for each in found if each), key=lambda each: each.likeness, default=None)


def _likely(small: Glimpses, large: Glimpses) -> list[float]:
    """Offsets at which what moves is most alike, best first."""
    few, many = _even(small), _even(large)
    lags = np.arange(1 - len(few), len(many))
    together = np.minimum(len(few), len(many) - lags) - np.maximum(0, -lags)
    alike = _correlation(few, many) / (_shared_energy(few, many, lags) + 1e-9)
    alike[together * _STEP_S < LEAST_OVERLAP_S] = -np.inf
    found: list[float] = []
    while len(found) < _TRIED and np.isfinite(best := alike.max()) and best > 0:
        lag = lags[alike.argmax()]
        found.append(float(lag * _STEP_S + large.times[0] - small.times[0]))
        alike[np.abs(lags - lag) * _STEP_S <= _APART_S] = -np.inf
    return found


def _even(glimpses: Glimpses) -> NDArray[np.float32]:
    """(N, cells): the changes every _STEP_S from the first picture on; nothing where there are no pictures."""
    times = glimpses.times
    wanted = np.arange(times[0], times[-1], _STEP_S)
    after = np.clip(np.searchsorted(times, wanted, "right"), 1, max(1, len(times) - 1))
    span = times[after] - times[after - 1] if len(times) > 1 else np.ones(len(wanted))
    part = ((wanted - times[after - 1]) / np.maximum(span, 1e-6))[:, None].astype(np.float32)
    even = glimpses.changes[after - 1] * (1 - part) + glimpses.changes[after] * part
    even[span > _GAP_S] = 0
    return even


def _correlation(few: NDArray[np.float32], many: NDArray[np.float32]) -> Floats:
    """The sum of few[t] * many[t + lag] for every lag at which they overlap."""
    length = 1 << (len(few) + len(many) - 1).bit_length()
    total = np.zeros(length // 2 + 1, np.complex128)
    for first in range(0, few.shape[1], _CHANNELS):
        one, other = (np.fft.rfft(each[:, first : first + _CHANNELS], length, axis=0) for each in (few, many))
        total += (one.conj() * other).sum(axis=1)
    found = np.fft.irfft(total, length)
    return np.concatenate([found[length - len(few) + 1 :], found[: len(many)]])


def _shared_energy(few: NDArray[np.float32], many: NDArray[np.float32], lags: NDArray[np.int64]) -> Floats:
    """What a correlation of the two can be at most, for every lag."""
    shared = []
    for each, other, shift in ((few, many, lags), (many, few, -lags)):
        sums = np.concatenate([[0], (each.astype(np.float64) ** 2).sum(axis=1).cumsum()])
        part = sums[np.minimum(len(each), len(other) - shift)] - sums[np.maximum(0, -shift)]
        shared.append(part + _FLOOR * sums[-1])
    energy: Floats = np.sqrt(shared[0] * shared[1])
    return energy


def _matched(small: Glimpses, large: Glimpses, near_s: float) -> Agreement | None:
    """Each picture laid on the one most like it around the offset; those count in which something moves."""
    contrast = np.sqrt((small.changes**2).mean() / max(1e-9, (large.changes**2).mean()))
    pairs, delays, weights = [], [], []
    for number, (time_s, change) in enumerate(zip(small.times, small.changes, strict=True)):
        first, last = np.searchsorted(large.times, time_s + near_s + np.array([-_NEAR_S, _NEAR_S]))
        if last - first < 2:
            continue
        errors = ((change - contrast * large.changes[first:last]) ** 2).mean(axis=1)
        best = int(errors.argmin())
        beside = errors[max(0, best - 1) : best + 2]
        pairs.append((number, first + best))
        delays.append(large.times[first + best] - time_s)
        weights.append(float(beside.max() - errors[best]))
    if not pairs or sum(weights) <= 0:
        return None
    offset_s = weighted_median(np.array(delays), np.array(weights))
    jitter_s = weighted_median(np.abs(np.array(delays) - offset_s), np.array(weights))
    few, many = np.array(pairs).T
    one, other = small.changes[few].astype(np.float64), large.changes[many].astype(np.float64)
    likeness = (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum() + 1e-9)
    return Agreement(offset_s=offset_s, jitter_s=jitter_s, likeness=float(likeness))


def weighted_median(values: Floats, weights: Floats) -> float:
    """The value with half of the weight on either side; both (N,)."""
    order = values.argsort()
    sums = weights[order].cumsum()
    return float(values[order][np.searchsorted(sums, sums[-1] / 2)])
