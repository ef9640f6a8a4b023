"""Where one picture lies on a smaller one of the same view, and how their levels go together: found and carried out.

Places are counted in pixels from the outer edge of the first, so that the middle of the first lies at 0.5.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Luma
from vidsr.quality.imresize import LANCZOS3
from vidsr.training.data.camera_effects import BLACK, WHITE

Singles = NDArray[np.float32]

_LEAST = 24  # pixels a side of the smallest pictures that are compared first
_ROUNDS, _STILL = 12, 0.002  # pixels that the last of them may still move by
_RIM = 2  # pixels at the edges that are not compared
_OUTLIER = 3.0  # standard deviations: what lies beyond, such as a clock in one of the two, hardly counts
_BANDS = 8  # of levels, whose means tell whether a line fits
_BLURRED = 8  # small pixels a side whose means tell the levels: a codec takes contrast from what is finer
_FAR, _ODD = 1 / 8, 0.1  # of the small picture, and of its ratio: what strays further is no picture of the same
_SAME_LEVELS = 0.5  # grey levels of difference anywhere between black and white that are none


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The columns of the large picture that make those of the small one, or the rows."""

    ratio: float
    """Large pixels in one of the small."""
    start: float
    """Where in the large picture the small one begins."""
    large: int
    """Large pixels there are."""
    small: int
    """Small pixels there are."""

    @property
    def shift(self) -> float:
        """Small pixels by which the middle of the small picture lies off that of the large, to the right or down."""
        return (self.start + self.ratio * self.small / 2 - self.large / 2) / self.ratio

    def centres(self, scale: float) -> Floats:
        """Where pixels `scale` times as fine as the small ones have their middles in the large picture."""
        places = (np.arange(int(self.small * scale + 1e-6), dtype=np.float64) + 0.5) / scale
        centres: Floats = np.float64(self.start) + np.float64(self.ratio) * places
        return centres

    def weights(self, scale: float) -> Singles:
        """(pixels, large): how they are made of the large ones, by Lanczos, antialiased, the edge mirrored."""
        stretch = min(1.0, scale / self.ratio)
        centres = self.centres(scale) - 0.5
        reach = LANCZOS3.width / 2 / stretch
        index = np.floor(centres - reach).astype(int)[:, None] + np.arange(int(np.ceil(2 * reach)) + 2)
        taps = LANCZOS3.weight((centres[:, None] - index) * stretch)
        mirrored = np.concatenate([np.arange(self.large), np.arange(self.large)[::-1]])
        found = np.zeros((len(centres), self.large))
        np.add.at(found, (np.arange(len(centres))[:, None], mirrored[index % len(mirrored)]), taps)
        weights: Singles = (found / found.sum(axis=1, keepdims=True)).astype(np.float32)
        return weights

    def covered(self) -> slice:
        """The small pixels that lie within the large picture whole."""
        first = int(np.ceil(max(0.0, -self.start / self.ratio) - 0.05))
        last = int(np.floor(min(float(self.small), (self.large - self.start) / self.ratio) + 0.05))
        return slice(first, last)


@dataclass(frozen=True, kw_only=True)
class Laying:
    """How a large picture is laid on a small one."""

    rows: Axis
    columns: Axis
    gain: float = 1.0
    """The levels of the small one are gain * those of the large one + bias."""
    bias: float = 0.0

    @property
    def covered(self) -> tuple[slice, slice]:
        """The rows and columns of the small picture that the large one shows, too."""
        return self.rows.covered(), self.columns.covered()

    def reducing(self, scale: float) -> Callable[[Luma], Singles]:
        """Lays a large picture at `scale` times the size of the small one, in its levels, not rounded."""
        rows, columns = self.rows.weights(scale), self.columns.weights(scale).T * np.float32(self.gain)
        return lambda large: rows @ large.astype(np.float32) @ columns + np.float32(self.bias)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How well pictures lie on each other."""

    likeness: float
    """Of their edges: 1 where they are the same, 0 where they have nothing in common."""
    error: float
    """Grey levels by which they differ, root of the mean square."""
    bent: float
    """Grey levels by which their levels depart from a line, of the same kind."""
    doubt: float
    """Small pixels by which the place may be wrong."""


def laying_of(few: tuple[int, int], many: tuple[int, int]) -> Laying:
    """One picture spread over the other, edge on edge, by the (height, width) of the small and the large one."""
    sides = zip(few, many, strict=True)
    rows, columns = (Axis(ratio=large / small, start=0, large=large, small=small) for small, large in sides)
    return Laying(rows=rows, columns=columns)


def fitted(pairs: Sequence[tuple[Luma, Luma]]) -> tuple[Laying, Fit]:
    """The best way to lay the large pictures on the small ones, of one shape each, and how good it is.

    From coarse to fine, so that it finds what is several pixels off. Where that leads nowhere, edge on edge.
    """
    small, large = pairs[0]
    start = laying = laying_of(_shape(small), _shape(large))
    coarsest = int(np.log2(max(1, min(small.shape) / _LEAST)))
    for level in range(coarsest, -1, -1):
        scale = 0.5**level
        few = _smaller(pairs, scale)
        for _ in range(_ROUNDS):
            laying, moved = _improved(laying, few, [each for _, each in pairs], scale)
            if _strayed(laying.rows) or _strayed(laying.columns):
                return start, _judged(start, pairs)
            if moved * scale < _STILL:
                break
    laying = _levelled(laying, pairs)
    return laying, _judged(laying, pairs)


def _shape(plane: Luma) -> tuple[int, int]:
    height, width = plane.shape
    return height, width


def _smaller(pairs: Sequence[tuple[Luma, Luma]], scale: float) -> list[Singles]:
    reduce = laying_of(_shape(pairs[0][0]), _shape(pairs[0][0])).reducing(scale)
    return [reduce(small) for small, _ in pairs]


def _strayed(axis: Axis) -> bool:
    odd = abs(axis.ratio * axis.small / axis.large - 1) > _ODD
    return odd or abs(axis.shift) > _FAR * axis.small


def _levelled(laying: Laying, pairs: Sequence[tuple[Luma, Luma]]) -> Laying:
    """The same with the levels that fit what is coarse."""
    few, many = _coarse(replace(laying, gain=1.0, bias=0.0), pairs)
    gain, bias = laying.gain, laying.bias
    for _ in range(_ROUNDS):
        trust = np.sqrt(_trust(gain * many + bias - few))
        slopes = np.stack([many * trust, trust], axis=1)
        gain, bias = (float(each) for each in np.linalg.lstsq(slopes, few * trust, rcond=None)[0])
    if max(abs(gain * level + bias - level) for level in (BLACK, WHITE)) < _SAME_LEVELS:
        gain, bias = 1.0, 0.0
    return replace(laying, gain=gain, bias=bias)


def _coarse(laying: Laying, pairs: Sequence[tuple[Luma, Luma]]) -> tuple[Floats, Floats]:
    """(pixels,): the small pictures and the large ones laid on them, both so small that nothing is fine in them."""
    scale = 1 / min(_BLURRED, max(1, min(pairs[0][0].shape) // _LEAST))
    area, reduce = _inside(laying, scale), laying.reducing(scale)
    few = np.concatenate([each[area].ravel() for each in _smaller(pairs, scale)])
    many = np.concatenate([reduce(each)[area].ravel() for _, each in pairs])
    return few.astype(np.float64), many.astype(np.float64)


def _inside(laying: Laying, scale: float) -> tuple[slice, slice]:
    """What is compared: what both show, but for the rim."""
    areas = []
    for axis in (laying.rows, laying.columns):
        centres = axis.centres(scale)
        there = np.flatnonzero((centres >= 0) & (centres <= axis.large))
        areas.append(slice(int(there[0]) + _RIM, int(there[-1]) + 1 - _RIM) if len(there) else slice(0, 0))
    return areas[0], areas[1]


def _improved(laying: Laying, few: Sequence[Singles], many: Sequence[Luma], scale: float) -> tuple[Laying, float]:
    """One step of Gauss and Newton in place, size and levels; and by how many small pixels that moved the corners."""
    area, reduce = _inside(laying, scale), laying.reducing(scale)
    normal, wanted = np.zeros((6, 6)), np.zeros(6)
    for one, other in zip(few, many, strict=True):
        slopes, error = _slopes(laying, one, reduce(other), scale, area)
        weight = _trust(error)
        normal += (slopes * weight) @ slopes.T
        wanted -= (slopes * weight) @ error
    down, taller, right, wider, gain, bias = np.linalg.lstsq(normal, wanted, rcond=None)[0]
    rows, columns = _moved(laying.rows, down, taller), _moved(laying.columns, right, wider)
    better = replace(laying, rows=rows, columns=columns, gain=laying.gain + gain, bias=laying.bias + 255 * bias)
    return better, float(max(abs(down) + abs(taller) / 2, abs(right) + abs(wider) / 2))


def _moved(axis: Axis, by: float, longer: float) -> Axis:
    """The axis with its middle moved by so many small pixels, and its ends so many further apart."""
    ratio = axis.ratio * (1 + longer / axis.small)
    return replace(axis, ratio=ratio, start=axis.start + axis.ratio * (by - longer / 2))


def _slopes(
    laying: Laying, one: Singles, other: Singles, scale: float, area: tuple[slice, slice]
) -> tuple[Floats, Floats]:
    """(6, pixels): what the difference changes by with each number that is sought; (pixels,): the difference."""
    laid = other.astype(np.float64)
    down, right = (np.gradient(laid, axis=axis)[area] * scale for axis in (0, 1))
    across = [(np.arange(length) + 0.5) / length - 0.5 for length in laid.shape]
    y, x = across[0][area[0], None], across[1][None, area[1]]
    raw = (laid[area] - laying.bias) / laying.gain
    slopes = [down, down * y, right, right * x, raw, np.full_like(raw, 255.0)]
    return np.stack([each.ravel() for each in slopes]), (laid - one)[area].ravel()


def _trust(error: Floats) -> Floats:
    usual = 1.4826 * np.median(np.abs(error)) + 0.25
    trust: Floats = 1 / (1 + (error / (_OUTLIER * usual)) ** 2)
    return trust


def _judged(laying: Laying, pairs: Sequence[tuple[Luma, Luma]]) -> Fit:
    area, reduce = _inside(laying, 1.0), laying.reducing(1.0)
    edges, errors, normal = np.zeros(3), [], np.zeros((6, 6))
    for small, large in pairs:
        laid = reduce(large)
        slopes, error = _slopes(laying, small.astype(np.float32), laid, 1.0, area)
        trust = _trust(error)
        for axis in (0, 1):
            one, other = (np.gradient(each.astype(float), axis=axis)[area].ravel() for each in (small, laid))
            edges += [(trust * one * other).sum(), (trust * one**2).sum(), (trust * other**2).sum()]
        errors.append(error * np.sqrt(trust))
        normal += (slopes * trust) @ slopes.T / len(pairs)  # pictures of one view do not tell more than one of them
    usual = float(np.sqrt((np.concatenate(errors) ** 2).mean()))
    return Fit(
        likeness=float(edges[0] / np.sqrt(edges[1] * edges[2] + 1e-9)),
        error=usual,
        bent=_bent(*_coarse(laying, pairs)),
        doubt=_doubt(normal, usual),
    )


def _bent(few: Floats, many: Floats) -> float:
    """What is left of the difference, by the median, in bands of levels of as many pixels each."""
    bands = np.array_split((many - few)[(many + few).argsort()], _BANDS)
    return float(np.sqrt(np.mean([np.median(band) ** 2 for band in bands])))


def _doubt(normal: Floats, error: float) -> float:
    """The standard deviation of the place of the corners, taking each pixel's difference for its own."""
    spread = np.diag(np.linalg.pinv(normal))
    return float(error * np.sqrt(max(spread[0] + spread[1] / 4, spread[2] + spread[3] / 4)))
