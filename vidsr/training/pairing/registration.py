"""Image registration: the scale, offset, gain and bias that map an HR view onto its LR counterpart.

Positions are in pixels from the outer edge of the frame: the centre of the first pixel is at 0.5.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Luma
from vidsr.quality.matlab import LANCZOS3, contributions
from vidsr.training.data.degradation import BLACK, WHITE

FloatPlane = NDArray[np.float32]

_BAND = 32  # pixels that are resampled by one product: a pixel uses few of all HR pixels
_MIN_SIDE = 24  # pixels per side of the coarsest level
_ITERATIONS, _CONVERGED = 12, 0.002  # the largest step, in LR pixels, that counts as converged
_BORDER = 2  # pixels at the edges that are ignored
_OUTLIER_SIGMA = 3.0  # standard deviations; outliers, such as a clock in one recording, hardly count
_BANDS = 8  # of grey levels, to measure nonlinearity
_COARSE_BLOCK = 8  # LR pixels per side, averaged to fit levels: codecs reduce finer contrast
_MAX_SHIFT, _MAX_RATIO_ERROR = 1 / 8, 0.1  # of the LR side, and of the ratio; beyond, the registration has diverged
_MIN_LEVEL_CHANGE = 0.5  # grey levels; a smaller change from black to white is ignored


@dataclass(frozen=True, kw_only=True)
class AxisMap:
    """The linear map from LR to HR positions along one axis."""

    ratio: float
    """HR pixels per LR pixel."""
    start: float
    """HR position of the start of the LR frame."""
    hr: int
    """Length of the axis in HR pixels."""
    lr: int
    """Length of the axis in LR pixels."""

    @property
    def shift(self) -> float:
        """Offset of the centre of the LR frame from the centre of the HR frame, in LR pixels, to the right or down."""
        return (self.start + self.ratio * self.lr / 2 - self.hr / 2) / self.ratio

    def centres(self, scale: float) -> Floats:
        """The HR positions of the centres of pixels `scale` times as fine as LR pixels."""
        positions = (np.arange(int(self.lr * scale + 1e-6), dtype=np.float64) + 0.5) / scale
        centres: Floats = np.float64(self.start) + np.float64(self.ratio) * positions
        return centres

    def weights(self, scale: float) -> FloatPlane:
        """(pixels, HR pixels): resampling weights; antialiased Lanczos, mirrored edges."""
        index, taps = contributions(self.centres(scale) - 0.5, self.hr, min(1.0, scale / self.ratio), LANCZOS3)
        weights = np.zeros((len(index), self.hr), np.float32)
        np.add.at(weights, (np.arange(len(index))[:, None], index), taps.astype(np.float32))
        return weights

    def covered(self) -> slice:
        """The LR pixels that lie completely within the HR frame."""
        first = int(np.ceil(max(0.0, -self.start / self.ratio) - 0.05))
        last = int(np.floor(min(float(self.lr), (self.hr - self.start) / self.ratio) + 0.05))
        return slice(first, last)


@dataclass(frozen=True, kw_only=True)
class Registration:
    """The geometric and photometric map from an HR frame to an LR frame."""

    rows: AxisMap
    columns: AxisMap
    gain: float = 1.0
    """LR level = gain * HR level + bias."""
    bias: float = 0.0

    @property
    def covered(self) -> tuple[slice, slice]:
        """The rows and columns of the LR frame that the HR frame covers."""
        return self.rows.covered(), self.columns.covered()

    def resampler(self, scale: float) -> Callable[[Luma], FloatPlane]:
        """Returns a function that resamples an HR frame to `scale` times the LR size, in LR levels, not rounded."""
        rows, columns = _bands(self.rows.weights(scale)), _bands(self.columns.weights(scale) * np.float32(self.gain))
        bias = np.float32(self.bias)

        def resample(hr: Luma) -> FloatPlane:
            plane = hr.astype(np.float32)
            across = np.concatenate([weights @ plane[used] for used, weights in rows])
            resampled: FloatPlane = np.concatenate([across[:, used] @ weights.T for used, weights in columns], axis=1)
            resampled += bias
            return resampled

        return resample


def _bands(weights: FloatPlane) -> list[tuple[slice, FloatPlane]]:
    """(pixels, HR pixels) resampling weights by bands of pixels: the HR pixels that a band uses, and its weights."""
    bands = []
    for band in np.array_split(weights, max(1, len(weights) // _BAND)):
        used = np.flatnonzero(band.any(axis=0))
        part = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
        bands.append((part, np.ascontiguousarray(band[:, part])))
    return bands


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The quality of a registration."""

    similarity: float
    """Correlation of the edges: 1 for identical, 0 for unrelated frames."""
    error: float
    """Root mean square difference in grey levels."""
    nonlinearity: float
    """Root mean square deviation of the levels from a line, in grey levels."""
    uncertainty: float
    """Standard deviation of the position, in LR pixels."""


def full_overlap(lr_plane: Luma, hr_plane: Luma) -> Registration:
    """The registration with coinciding edges."""
    sides = zip(lr_plane.shape, hr_plane.shape, strict=True)
    rows, columns = (AxisMap(ratio=hr / lr, start=0, hr=hr, lr=lr) for lr, hr in sides)
    return Registration(rows=rows, columns=columns)


def register(pairs: Sequence[tuple[Luma, Luma]]) -> tuple[Registration, Fit]:
    """The registration of (LR, HR) pairs by coarse-to-fine Gauss-Newton, `full_overlap` if it diverges; its fit."""
    lr, hr = pairs[0]
    start = registration = full_overlap(lr, hr)
    coarsest = int(np.log2(max(1, min(lr.shape) / _MIN_SIDE)))
    for level in range(coarsest, -1, -1):
        scale = 0.5**level
        lr_planes = _resized(pairs, scale)
        for _ in range(_ITERATIONS):
            registration, step = _gauss_newton_step(registration, lr_planes, [each for _, each in pairs], scale)
            if _has_diverged(registration.rows) or _has_diverged(registration.columns):
                return start, _fit_of(start, pairs)
            if step * scale < _CONVERGED:
                break
    registration = _fit_levels(registration, pairs)
    return registration, _fit_of(registration, pairs)


def _resized(pairs: Sequence[tuple[Luma, Luma]], scale: float) -> list[FloatPlane]:
    resample = full_overlap(pairs[0][0], pairs[0][0]).resampler(scale)
    return [resample(lr) for lr, _ in pairs]


def _has_diverged(axis: AxisMap) -> bool:
    is_distorted = abs(axis.ratio * axis.lr / axis.hr - 1) > _MAX_RATIO_ERROR
    return is_distorted or abs(axis.shift) > _MAX_SHIFT * axis.lr


def _fit_levels(registration: Registration, pairs: Sequence[tuple[Luma, Luma]]) -> Registration:
    lr_planes, hr_planes = _coarse_levels(replace(registration, gain=1.0, bias=0.0), pairs)
    gain, bias = registration.gain, registration.bias
    for _ in range(_ITERATIONS):
        weights = np.sqrt(_robust_weights(gain * hr_planes + bias - lr_planes))
        jacobian = np.stack([hr_planes * weights, weights], axis=1)
        gain, bias = (float(each) for each in np.linalg.lstsq(jacobian, lr_planes * weights, rcond=None)[0])
    if max(abs(gain * level + bias - level) for level in (BLACK, WHITE)) < _MIN_LEVEL_CHANGE:
        gain, bias = 1.0, 0.0
    return replace(registration, gain=gain, bias=bias)


def _coarse_levels(registration: Registration, pairs: Sequence[tuple[Luma, Luma]]) -> tuple[Floats, Floats]:
    """(pixels,) twice: the LR frames and the resampled HR frames, downscaled to coarse blocks."""
    scale = 1 / min(_COARSE_BLOCK, max(1, min(pairs[0][0].shape) // _MIN_SIDE))
    area, resample = _compared_area(registration, scale), registration.resampler(scale)
    lr_planes = np.concatenate([each[area].ravel() for each in _resized(pairs, scale)])
    hr_planes = np.concatenate([resample(each)[area].ravel() for _, each in pairs])
    return lr_planes.astype(np.float64), hr_planes.astype(np.float64)


def _compared_area(registration: Registration, scale: float) -> tuple[slice, slice]:
    """The area that both frames show, without a border."""
    areas = []
    for axis in (registration.rows, registration.columns):
        centres = axis.centres(scale)
        inside = np.flatnonzero((centres >= 0) & (centres <= axis.hr))
        areas.append(slice(int(inside[0]) + _BORDER, int(inside[-1]) + 1 - _BORDER) if len(inside) else slice(0, 0))
    return areas[0], areas[1]


def _gauss_newton_step(
    registration: Registration, lr_planes: Sequence[FloatPlane], hr_planes: Sequence[Luma], scale: float
) -> tuple[Registration, float]:
    """One Gauss-Newton step in position, scale and levels; returns its length at the corners in LR pixels, too."""
    area, resample = _compared_area(registration, scale), registration.resampler(scale)
    normal, gradient = np.zeros((6, 6)), np.zeros(6)
    for lr_plane, hr_plane in zip(lr_planes, hr_planes, strict=True):
        jacobian, error = _jacobian(registration, lr_plane, resample(hr_plane), scale, area)
        weight = _robust_weights(error)
        normal += (jacobian * weight) @ jacobian.T
        gradient -= (jacobian * weight) @ error
    down, stretch_y, right, stretch_x, gain, bias = np.linalg.lstsq(normal, gradient, rcond=None)[0]
    rows, columns = _shifted(registration.rows, down, stretch_y), _shifted(registration.columns, right, stretch_x)
    improved = replace(
        registration, rows=rows, columns=columns, gain=registration.gain + gain, bias=registration.bias + 255 * bias
    )
    return improved, float(max(abs(down) + abs(stretch_y) / 2, abs(right) + abs(stretch_x) / 2))


def _shifted(axis: AxisMap, shift: float, stretch: float) -> AxisMap:
    """The axis with its centre shifted and its length stretched, both in LR pixels."""
    ratio = axis.ratio * (1 + stretch / axis.lr)
    return replace(axis, ratio=ratio, start=axis.start + axis.ratio * (shift - stretch / 2))


def _jacobian(
    registration: Registration, lr_plane: FloatPlane, hr_plane: FloatPlane, scale: float, area: tuple[slice, slice]
) -> tuple[Floats, Floats]:
    """(6, pixels): the derivatives of the difference by each parameter; (pixels,): the difference."""
    mapped = hr_plane.astype(np.float64)
    down, right = (np.gradient(mapped, axis=axis)[area] * scale for axis in (0, 1))
    across = [(np.arange(length) + 0.5) / length - 0.5 for length in mapped.shape]
    y, x = across[0][area[0], None], across[1][None, area[1]]
    raw = (mapped[area] - registration.bias) / registration.gain
    jacobian = [down, down * y, right, right * x, raw, np.full_like(raw, 255.0)]
    return np.stack([each.ravel() for each in jacobian]), (mapped - lr_plane)[area].ravel()


def _robust_weights(error: Floats) -> Floats:
    deviation = 1.4826 * np.median(np.abs(error)) + 0.25
    weights: Floats = 1 / (1 + (error / (_OUTLIER_SIGMA * deviation)) ** 2)
    return weights


def _fit_of(registration: Registration, pairs: Sequence[tuple[Luma, Luma]]) -> Fit:
    area, resample = _compared_area(registration, 1.0), registration.resampler(1.0)
    edges, errors, normal = np.zeros((2, 2)), [], np.zeros((6, 6))
    for lr, hr in pairs:
        mapped = resample(hr)
        jacobian, error = _jacobian(registration, lr.astype(np.float32), mapped, 1.0, area)
        weights = _robust_weights(error)
        for axis in (0, 1):
            both = np.stack([np.gradient(each.astype(float), axis=axis)[area].ravel() for each in (lr, mapped)])
            edges += (both * weights) @ both.T
        errors.append(error * np.sqrt(weights))
        normal += (jacobian * weights) @ jacobian.T / len(pairs)  # pairs of one view are not independent
    deviation = float(np.sqrt((np.concatenate(errors) ** 2).mean()))
    return Fit(
        similarity=float(edges[0, 1] / np.sqrt(edges[0, 0] * edges[1, 1] + 1e-9)),
        error=deviation,
        nonlinearity=_nonlinearity(*_coarse_levels(registration, pairs)),
        uncertainty=_uncertainty(normal, deviation),
    )


def _nonlinearity(lr_planes: Floats, hr_planes: Floats) -> float:
    """Root mean square over equally filled bands of levels of the median difference."""
    bands = np.array_split((hr_planes - lr_planes)[(hr_planes + lr_planes).argsort()], _BANDS)
    return float(np.sqrt(np.mean([np.median(band) ** 2 for band in bands])))


def _uncertainty(normal: Floats, error: float) -> float:
    """The standard deviation of the corner positions, for independent errors per pixel."""
    spread = np.diag(np.linalg.pinv(normal))
    return float(error * np.sqrt(max(spread[0] + spread[1] / 4, spread[2] + spread[3] / 4)))
