"""Two recordings of one camera, a large and a small one, laid on each other in time, place and levels."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidsr.arrays import Luma
from vidsr.errors import TrainingError
from vidsr.quality.upscalers import in_bytes
from vidsr.training.pairing.frame_matching import Tie, meetings, retied, tie_of
from vidsr.training.pairing.motion_signature import Glimpses, glimpses_of
from vidsr.training.pairing.registration import Fit, Laying, fitted
from vidsr.training.pairing.time_sync import LEAST_OVERLAP_S, agreement_of, is_moving

_LEAST_ALIKE = 0.6
"""Of what moves: pairs of real footage have 0.96 and more, two days of one street 0.3 at the most."""
_LEAST_LIKENESS = 0.5
"""Of edges: pairs of real footage have 0.95 and more, two scenes 0.25 at the most."""
_LEAST_STILL = 0.8  # where nothing moves, and edges are all there is to tell by
_MOST_BENT = 2.5  # grey levels
_MOST_DOUBT = 0.05  # small pixels
_LARGE_ENOUGH = 0.95  # of the scale: a few pixels may be cut off
_GAINS = (0.5, 2.0)
_LOOKED_AT = 8  # instants by which place and levels are told
_TIMED = 32  # instants by which the times are


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How two recordings are laid on each other."""

    large: Path
    small: Path
    scale: int
    tie: Tie
    """The times."""
    laying: Laying
    """Places and levels."""
    fit: Fit
    likeness: float
    """Of what moves in the two, from 0 to 1; 0 where nothing does."""
    start_s: float
    """Where in the small recording what both have begins."""
    end_s: float
    """Where it ends."""

    @property
    def offset_s(self) -> float:
        """Seconds of the large recording, less those of the small one, at the same instant."""
        return self.tie.offset_s

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of what of the small pictures the large ones show, too."""
        rows, columns = self.laying.covered
        return rows.stop - rows.start, columns.stop - columns.start

    def within(self, start_s: float | None, end_s: float | None) -> tuple[float, float]:
        """The part of what both have that lies between these seconds of the small recording."""
        first = self.start_s if start_s is None else max(self.start_s, start_s)
        return first, self.end_s if end_s is None else min(self.end_s, end_s)


def align(large: Path, small: Path, scale: int, *, note: Callable[[str], None] = lambda sentence: None) -> Alignment:
    """How the two go together; `note` hears what should be said of it.

    Raises TrainingError, which says what does not fit and by how much, for recordings that do not: of different
    scenes or times, with different views, with levels that no line relates, or when the large one is not `scale`
    times as large. SourceError when one cannot be read.
    """
    few, many = glimpses_of(small), glimpses_of(large)
    _require_size(few, many, scale)
    tie, likeness = _tie(few, many, note)
    found = _laid(few, many, scale, tie, likeness)
    if not likeness:
        return found
    times, lasting_s = spread(found.start_s, _seen_s(few, many, tie), _TIMED)
    better = retied(small, large, tie, times, lasting_s=lasting_s, laying=found.laying)
    if abs(better.offset_s - tie.offset_s) < tie.interval_s / 2:
        return replace(found, tie=better)
    return _laid(few, many, scale, better, likeness)


def _laid(small: Glimpses, large: Glimpses, scale: int, tie: Tie, likeness: float) -> Alignment:
    """The alignment at these times. Raises TrainingError where the pictures do not fit."""
    start_s = max(small.times[0], large.times[0] - tie.offset_s)
    times, lasting_s = spread(start_s, _seen_s(small, large, tie), _LOOKED_AT)
    met = meetings(small.path, large.path, tie, times, lasting_s=lasting_s, laying=None)
    if not (pairs := [(one, other) for _, one, other in met]):
        raise TrainingError(f"{small.path} and {large.path}: have no picture of the same instant")
    laying, fit = fitted(pairs)
    found = Alignment(
        large=large.path,
        small=small.path,
        scale=scale,
        tie=tie,
        laying=laying,
        fit=fit,
        likeness=likeness,
        start_s=float(start_s),
        end_s=float(min(small.lasts_s, large.lasts_s - tie.offset_s)),
    )
    _require_fit(found)
    return found


def _seen_s(small: Glimpses, large: Glimpses, tie: Tie) -> float:
    """Where in the small one ends what was seen of both."""
    return float(min(small.times[-1], large.times[-1] - tie.offset_s))


def spread(start_s: float, end_s: float, count: int) -> tuple[list[float], float]:
    """So many times spread evenly over a part, none where it is empty; and how far apart they are."""
    if end_s <= start_s:
        return [], 0.0
    return np.linspace(start_s, end_s, count, endpoint=False).tolist(), (end_s - start_s) / count


def aligned_pairs(
    alignment: Alignment, count: int, *, start_s: float | None = None, end_s: float | None = None
) -> Iterator[tuple[Luma, Luma]]:
    """Up to so many pairs, spread over what both have or over the part from `start_s` to `end_s` of the small one.

    Each is a (height, width) part of a small picture as it was decoded, without edges that the large one does not
    show, and the large one of the same instant on it, `scale` times as large and in its levels. Instants of which
    there is none are passed over.
    """
    times, lasting_s = spread(*alignment.within(start_s, end_s), count)
    return ((small, large) for _, small, large in pairs_at(alignment, times, lasting_s))


def pairs_at(alignment: Alignment, times: Sequence[float], lasting_s: float) -> Iterator[tuple[int, Luma, Luma]]:
    """The same for instants of the small recording, in order, with their numbers: the first pair within `lasting_s`.

    A number is left out where there is none before the next instant.
    """
    scale, (rows, columns) = alignment.scale, alignment.laying.covered
    enlarge = alignment.laying.reducing(scale)
    wide, high = slice(scale * columns.start, scale * columns.stop), slice(scale * rows.start, scale * rows.stop)
    recordings, laying, error = (alignment.small, alignment.large), alignment.laying, alignment.fit.error
    for number, small, large in meetings(
        *recordings, alignment.tie, times, lasting_s=lasting_s, laying=laying, error=error
    ):
        yield (
            number,
            np.ascontiguousarray(small[rows, columns]),
            in_bytes(enlarge(large)[high, wide].astype(np.float64)),
        )


def _require_size(small: Glimpses, large: Glimpses, scale: int) -> None:
    if min(many / few for few, many in zip(small.shape, large.shape, strict=True)) < scale * _LARGE_ENOUGH:
        sizes = [f"{width}x{height}" for height, width in (large.shape, small.shape)]
        raise TrainingError(
            f"{large.path}: its {sizes[0]} are not {scale} times the {sizes[1]} of {small.path}, so that there is "
            f"nothing to learn for x{scale}"
        )


def _tie(small: Glimpses, large: Glimpses, note: Callable[[str], None]) -> tuple[Tie, float]:
    """How the times go together, and how alike what moves then is."""
    steps = [each for each in (small.interval_s, large.interval_s) if each > 0]
    interval_s, moving = min(steps, default=LEAST_OVERLAP_S), [is_moving(small), is_moving(large)]
    agreed = agreement_of(small, large)
    if agreed and agreed.likeness >= _LEAST_ALIKE:
        return tie_of(agreed.offset_s, agreed.jitter_s, interval_s), agreed.likeness
    if not any(moving):
        note(f"{small.path} and {large.path}: nothing moves, so that their times are taken to begin together")
        return Tie(offset_s=0.0, slack_s=interval_s, interval_s=interval_s), 0.0
    if not agreed:
        raise TrainingError(f"{small.path} and {large.path}: one of them is shorter than {LEAST_OVERLAP_S:g} s")
    raise TrainingError(
        f"{small.path} and {large.path}: what moves in them is never the same (likeness {agreed.likeness:.2f} at the "
        f"best offset, {_LEAST_ALIKE} needed); they show different scenes, or have no time in common"
    )


def _require_fit(alignment: Alignment) -> None:
    both, fit, laying = f"{alignment.small} and {alignment.large}", alignment.fit, alignment.laying
    least = _LEAST_LIKENESS if alignment.likeness else _LEAST_STILL
    if fit.likeness < least:
        raise TrainingError(f"{both}: their views do not fit (likeness of edges {fit.likeness:.2f}, {least} needed)")
    if fit.doubt > _MOST_DOUBT:
        raise TrainingError(
            f"{both}: too little to see to lay them on each other (sure to {fit.doubt:.2f} pixels, "
            f"{_MOST_DOUBT} needed)"
        )
    if not _GAINS[0] <= laying.gain <= _GAINS[1]:
        raise TrainingError(f"{both}: their contrast is too different (x{laying.gain:.2f} in the small one)")
    if fit.bent > _MOST_BENT:
        raise TrainingError(
            f"{both}: no line relates their levels (off by {fit.bent:.1f} grey levels, {_MOST_BENT} at the most)"
        )
    shown = min(laying.rows.ratio, laying.columns.ratio)
    if shown < alignment.scale * _LARGE_ENOUGH:
        raise TrainingError(
            f"{alignment.large}: shows the view {shown:.2f} times as large as {alignment.small}, not "
            f"{alignment.scale} times"
        )
