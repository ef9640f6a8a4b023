"""Alignment of an LR and an HR recording of one camera, in time, position and levels; and pairs of their frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidsr.arrays import Luma
from vidsr.callbacks import OnWarning
from vidsr.errors import SourceError
from vidsr.quality.crops import Crop
from vidsr.quality.upscalers import to_uint8
from vidsr.training.pairing.frame_matching import match_frames, refine_offset
from vidsr.training.pairing.registration import Fit, Registration, register
from vidsr.training.pairing.time_sync import (
    LEAST_OVERLAP_S,
    MotionSignature,
    TimeOffset,
    estimate_offset,
    frame_interval_s,
    has_motion,
    motion_signature,
)

_MIN_MOTION_SIMILARITY = 0.6
"""Of the motion: real pairs have at least 0.96, two days of one street at most 0.3."""
_MIN_EDGE_SIMILARITY = 0.5
"""Of the edges: real pairs have at least 0.95, two scenes at most 0.25."""
_MIN_EDGE_SIMILARITY_STILL = 0.8  # without motion, where edges are the only evidence
_MAX_NONLINEARITY = 2.5  # grey levels
_MAX_UNCERTAINTY = 0.05  # LR pixels
_MIN_SCALE_SHARE = 0.95  # of the scale: a few pixels may be cropped
_GAIN_RANGE = (0.5, 2.0)
_REGISTRATION_PAIRS = 8  # pairs for the registration
_OFFSET_PAIRS = 32  # pairs for the time offset


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The alignment of two recordings."""

    hr: Path
    lr: Path
    scale: int
    time_offset: TimeOffset
    registration: Registration
    fit: Fit
    similarity: float
    """Correlation of the motion, from 0 to 1; 0 without motion."""
    start_s: float
    """Start of the overlap, in LR time."""
    end_s: float
    """End of the overlap, in LR time."""
    window: Crop | None = None
    """The part of the LR frames to use; None: all of it."""

    @property
    def covered(self) -> tuple[slice, slice]:
        """The rows and columns of the LR frames that the HR frames cover, within the window."""
        rows, columns = self.registration.covered
        return (
            (_both(rows, self.window.area[0]), _both(columns, self.window.area[1])) if self.window else (rows, columns)
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of that part."""
        rows, columns = self.covered
        return rows.stop - rows.start, columns.stop - columns.start


def _both(first: slice, second: slice) -> slice:
    start = max(first.start, second.start)
    return slice(start, max(start, min(first.stop, second.stop)))


def align(hr_path: Path, lr_path: Path, scale: int, *, on_warning: OnWarning = lambda sentence: None) -> Alignment:
    """Aligns two recordings.

    Raises SourceError, with the measured and the required value, for recordings of different scenes, times or views,
    with levels that are not linearly related, or when HR is not `scale` times as large, or when one is
    unreadable.
    """
    lr, hr = motion_signature(lr_path), motion_signature(hr_path)
    _check_size(lr, hr, scale)
    time_offset, similarity = _find_offset(lr, hr, on_warning)
    found = _register_at(lr, hr, scale, time_offset, similarity)
    if not similarity:
        return found
    times, window_s = evenly_spaced(found.start_s, _common_end_s(lr, hr, time_offset), _OFFSET_PAIRS)
    refined = refine_offset(lr_path, hr_path, time_offset, times, window_s=window_s, registration=found.registration)
    if abs(refined.offset_s - time_offset.offset_s) < time_offset.interval_s / 2:
        return replace(found, time_offset=refined)
    return _register_at(lr, hr, scale, refined, similarity)


def _register_at(
    lr: MotionSignature, hr: MotionSignature, scale: int, time_offset: TimeOffset, similarity: float
) -> Alignment:
    """The alignment for a time offset. Raises SourceError when the registration is not good enough."""
    start_s = max(lr.times[0], hr.times[0] - time_offset.offset_s)
    times, window_s = evenly_spaced(start_s, _common_end_s(lr, hr, time_offset), _REGISTRATION_PAIRS)
    matches = match_frames(lr.path, hr.path, time_offset, times, window_s=window_s, registration=None)
    if not (pairs := [(lr_frame, hr_frame) for _, lr_frame, hr_frame in matches]):
        raise SourceError(f"{lr.path} and {hr.path}: no frames of the same instant; use recordings of the same time")
    registration, fit = register(pairs)
    found = Alignment(
        hr=hr.path,
        lr=lr.path,
        scale=scale,
        time_offset=time_offset,
        registration=registration,
        fit=fit,
        similarity=similarity,
        start_s=float(start_s),
        end_s=float(min(lr.duration_s, hr.duration_s - time_offset.offset_s)),
    )
    _check_fit(found)
    return found


def _common_end_s(lr: MotionSignature, hr: MotionSignature, time_offset: TimeOffset) -> float:
    return float(min(lr.times[-1], hr.times[-1] - time_offset.offset_s))


def evenly_spaced(start_s: float, end_s: float, count: int) -> tuple[list[float], float]:
    """`count` evenly spaced times from `start_s` to `end_s`, none for an empty range; and their distance."""
    if end_s <= start_s:
        return [], 0.0
    return np.linspace(start_s, end_s, count, endpoint=False).tolist(), (end_s - start_s) / count


def aligned_pairs(alignment: Alignment, count: int) -> Iterator[tuple[Luma, Luma]]:
    """Yields up to `count` (lr, hr) pairs, evenly spaced over the overlap.

    `lr` is the decoded frame, cropped to what the HR frame and the window cover; `hr` is the registered HR frame,
    `scale` times as large and in LR levels. Times without a match are skipped.
    """
    times, window_s = evenly_spaced(alignment.start_s, alignment.end_s, count)
    return ((lr, hr) for _, lr, hr in pairs_at(alignment, times, window_s))


def pairs_at(alignment: Alignment, times: Sequence[float], window_s: float) -> Iterator[tuple[int, Luma, Luma]]:
    """Yields (index, lr, hr) as `aligned_pairs`: the first pair within `window_s` of each ascending LR time."""
    scale, (rows, columns) = alignment.scale, alignment.covered
    resample = alignment.registration.resampler(scale)
    wide, high = slice(scale * columns.start, scale * columns.stop), slice(scale * rows.start, scale * rows.stop)
    recordings, registration, error = (alignment.lr, alignment.hr), alignment.registration, alignment.fit.error
    for number, lr, hr in match_frames(
        *recordings, alignment.time_offset, times, window_s=window_s, registration=registration, error=error
    ):
        yield (number, np.ascontiguousarray(lr[rows, columns]), to_uint8(resample(hr)[high, wide].astype(np.float64)))


def _check_size(lr: MotionSignature, hr: MotionSignature, scale: int) -> None:
    if min(hr / lr for lr, hr in zip(lr.shape, hr.shape, strict=True)) < scale * _MIN_SCALE_SHARE:
        sizes = [f"{width}x{height}" for height, width in (hr.shape, lr.shape)]
        raise SourceError(
            f"{hr.path}: {sizes[0]} is not {scale} times the {sizes[1]} of {lr.path}; use a larger recording "
            f"or another scale"
        )


def _find_offset(lr: MotionSignature, hr: MotionSignature, on_warning: OnWarning) -> tuple[TimeOffset, float]:
    estimate = estimate_offset(lr, hr)
    if estimate and estimate[1] >= _MIN_MOTION_SIMILARITY:
        return estimate
    if not (has_motion(lr) or has_motion(hr)):
        interval_s = frame_interval_s(lr, hr)
        on_warning(f"{lr.path} and {hr.path}: nothing moves; the recordings are assumed to start together")
        return TimeOffset(offset_s=0.0, tolerance_s=interval_s, interval_s=interval_s), 0.0
    if not estimate:
        raise SourceError(f"{lr.path} and {hr.path}: one recording is shorter than {LEAST_OVERLAP_S:g} s; record more")
    raise SourceError(
        f"{lr.path} and {hr.path}: their motion does not match (similarity {estimate[1]:.2f} at the "
        f"best offset, {_MIN_MOTION_SIMILARITY} needed); they show different scenes or times"
    )


def _check_fit(alignment: Alignment) -> None:
    both, fit, registration = f"{alignment.lr} and {alignment.hr}", alignment.fit, alignment.registration
    least = _MIN_EDGE_SIMILARITY if alignment.similarity else _MIN_EDGE_SIMILARITY_STILL
    if fit.similarity < least:
        raise SourceError(
            f"{both}: their views do not match (similarity of edges {fit.similarity:.2f}, {least} needed); "
            "use the two streams of one camera"
        )
    if fit.uncertainty > _MAX_UNCERTAINTY:
        raise SourceError(
            f"{both}: too little detail for a registration (uncertain by {fit.uncertainty:.2f} pixels, "
            f"{_MAX_UNCERTAINTY} needed); record a scene with more of it"
        )
    if not _GAIN_RANGE[0] <= registration.gain <= _GAIN_RANGE[1]:
        raise SourceError(f"{both}: their contrast differs too much (x{registration.gain:.2f} in the LR recording)")
    if fit.nonlinearity > _MAX_NONLINEARITY:
        raise SourceError(
            f"{both}: their levels are not linearly related (off by {fit.nonlinearity:.1f} grey levels, "
            f"at most {_MAX_NONLINEARITY} allowed)"
        )
    shown = min(registration.rows.ratio, registration.columns.ratio)
    if shown < alignment.scale * _MIN_SCALE_SHARE:
        raise SourceError(
            f"{alignment.hr}: shows the view {shown:.2f} times as large as {alignment.lr}, not {alignment.scale} times"
        )
