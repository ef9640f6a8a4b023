"""Which moments of a long recording are worth learning from, so that nobody has to look for them.

Up to eight times as many candidates as moments, 2000 at most, are spread evenly over the recording. Of each are known:
- its sharpness: the mean of the second differences of its levels, along some rows and columns of the whole picture,
  against its brightness, as a part of what is usual in that half of the candidates that is nearest in brightness, for
  light and the noise of the dark raise it as well;
- its motion: how much the liveliest twentieth of the small picture differs from that a third of a second later,
  light that changes all over left aside;
- its exposure: pictures that are black, blown out or all alike are no candidates.

Moments are then taken one after the other, each the candidate that differs most from its nearest among those taken
before (farthest-point selection on small pictures), times a weight: less for what is blurred, more for what moves.
A difference counts in part where both are nearer in time than evenly spread moments are: no car gives all of them.
So one picture of an empty road is taken early, and the next hundred of them only when all that drove past are. Where
nothing moves, sharpness and difference alone decide. Nothing is left to chance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsr.arrays import Floats, Luma
from vidsr.errors import TrainingError
from vidsr.media.probe import probe
from vidsr.media.thumbnails import FramePair, frame_pairs
from vidsr.training.data.clip_window import clip_at
from vidsr.training.data.scenes import Span

_CANDIDATES = 8  # for each moment
_MOST = 2000  # candidates: of a long recording each costs a seek and a third of a second of decoding
_APART_S = 0.5  # candidates are no nearer to each other
_LATER_S = 1 / 3
_CLIP_S = 1.5  # what follows a moment and is of its span: a clip of 12 frames at 8 a second or more
_LINES = 4  # every such row and column tells how sharp a picture is
_LIVELY = 20  # the part of a picture, one in so many, whose motion counts
_STILL = 3.0  # grey levels that noise and codecs move of that
_FLAT = 4.0  # grey levels of standard deviation in a picture that shows something
_DARK, _LIGHT = 12, 250  # levels beyond which there is nothing to see
_BEYOND = 0.9  # the part of a picture that may lie beyond either of them
_LIGHTING = 0.25  # what counts of a difference that is the same all over
_FAINT = 10.0  # grey levels that are added to brightness, by which differences count: a dark place's as any other's
_ALIKE = 0.5  # the part of the candidates whose brightness is nearest, of which the median is usual


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidate:
    """What is known of a moment."""

    time_s: float
    small: Luma
    level: float
    """Its mean grey level."""
    detail: float
    """The mean of its second differences, as a part of its level."""
    motion: float
    """Luma levels."""


def harvest(
    path: Path,
    count: int,
    *,
    spans: Sequence[Span] = (),
    note: Callable[[str], None] = lambda sentence: None,
    tell: Callable[[int, int], None] = lambda done, of: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[float]:
    """Up to so many moments of a recording, in seconds since its beginning, in order; only of the spans, if any.

    Where a file does not say how long it is, they are of its beginning.
    `note` gets what should be said, `tell` hears how many candidates of how many were looked at, and `stop` is asked
    before each; the moments are then those of what was seen. Raises SourceError for what cannot be read,
    TrainingError when the recording is too short or shows nothing.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, not {count}")
    times = _times(path, spans, count)
    usable = []
    tell(0, len(times))
    for number, glimpse in enumerate(frame_pairs(path, times, later_s=_LATER_S), 1):
        if _fits(glimpse.now.time_s, spans) and _shows(glimpse.now.luma):
            usable.append(_candidate(glimpse))
        tell(number, len(times))
        if stop():
            return _moments(usable, count)
    if not usable:
        raise TrainingError(f"{path}: shows nothing to learn from: it is black, blown out, all alike or too short")
    if len(usable) < count:
        note(f"{path}: gives {len(usable)} moments, not {count}")
    if max(candidate.motion for candidate in usable) < _STILL:
        note(f"{path}: nothing moves in it; its moments are the sharpest and most different")
    return _moments(usable, count)


def _times(path: Path, spans: Sequence[Span], count: int) -> list[float]:
    """When candidates are looked for: evenly; from the beginning on where nothing says how long a recording is."""
    most, seconds = min(_CANDIDATES * count, _MOST), probe(path).seconds
    if not seconds and not spans:
        return [_APART_S * number for number in range(most)]
    known = spans or (Span(0.0, seconds),)
    rooms = [span.seconds - _CLIP_S for span in known if span.seconds >= _CLIP_S]
    if not rooms:
        longest = max(span.seconds for span in known)
        raise TrainingError(f"{path}: is too short: a clip takes {_CLIP_S:g} s, and there are {longest:.1f} s")
    number = min(most, int(sum(rooms) / _APART_S) + 1)
    places = (index / number for index in range(number))
    return [clip_at(place, spans=known, moments=(), seconds=seconds, clip_s=_CLIP_S)[0] for place in places]


def _fits(time_s: float, spans: Sequence[Span]) -> bool:
    """Whether a clip from a time on is of one span: key frames may lie before the time that was asked for."""
    return not spans or any(span.start_s <= time_s <= span.end_s - _CLIP_S for span in spans)


def _shows(small: Luma) -> bool:
    return bool(small.std() >= _FLAT and max((small <= _DARK).mean(), (small >= _LIGHT).mean()) < _BEYOND)


def _candidate(glimpse: FramePair) -> _Candidate:
    change = glimpse.later.luma.astype(np.float64) - glimpse.now.luma
    liveliest = np.sort(np.abs(change - np.median(change)), axis=None)[-change.size // _LIVELY :]
    level = float(glimpse.now.luma.mean())
    return _Candidate(
        time_s=glimpse.now.time_s,
        small=glimpse.now.luma,
        level=level,
        detail=(_detail(glimpse.luma[::_LINES]) + _detail(glimpse.luma.T[::_LINES])) / (level + _FAINT) / 2,
        motion=float(liveliest.mean()),
    )


def _detail(lines: Luma) -> float:
    levels = lines.astype(np.int16)
    return float(np.abs(2 * levels[:, 1:-1] - levels[:, :-2] - levels[:, 2:]).mean())


def _moments(usable: Sequence[_Candidate], count: int) -> list[float]:
    """When the best of them are, in order."""
    return sorted(usable[number].time_s for number in _selected(usable, min(count, len(usable))))


def _selected(usable: Sequence[_Candidate], count: int) -> list[int]:
    """The numbers of so many candidates, each far from those taken before it."""
    if not count:
        return []
    weights = _weights(usable)
    views = np.array([candidate.small.ravel() for candidate in usable], np.float32)
    levels = views.mean(axis=1, keepdims=True)
    views = (views - (1 - _LIGHTING) * levels) / (levels + _FAINT)
    times = np.array([candidate.time_s for candidate in usable])
    usual_s = max(float(np.ptp(times)), _APART_S) / count
    taken: list[int] = []
    nearest: Floats = np.ones(len(usable))
    while len(taken) < count:
        worth = weights * nearest
        worth[taken] = -1
        latest = int(worth.argmax())
        taken.append(latest)
        unlike = np.sqrt(np.square(views - views[latest]).mean(axis=1))
        apart = unlike * np.minimum(np.abs(times - times[latest]) / usual_s, 1)
        nearest = apart if len(taken) == 1 else np.minimum(nearest, apart)
    return taken


def _weights(usable: Sequence[_Candidate]) -> Floats:
    """What each candidate's difference from others counts, from 0 to 1."""
    motion = np.array([candidate.motion for candidate in usable])
    moves = motion / (motion + _STILL) if motion.max() >= _STILL else np.ones(len(usable))
    return np.minimum(_sharpness(usable), 1) ** 2 * moves


def _sharpness(usable: Sequence[_Candidate]) -> Floats:
    """Of each candidate, as a part of what is usual among those about as bright."""
    order = np.argsort([candidate.level for candidate in usable], kind="stable")
    detail = np.array([usable[number].detail for number in order])
    width = max(5, round(_ALIKE * len(usable)))
    relative = np.empty(len(usable))
    for place, number in enumerate(order):
        first = max(0, min(place - width // 2, len(usable) - width))
        relative[number] = detail[place] / max(float(np.median(detail[first : first + width])), 1e-6)
    return relative
