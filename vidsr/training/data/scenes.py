"""The scenes of a film, found by its cuts: pictures that have nothing in common with those before.

Small pictures are compared in 16 parts, each by how well its levels follow those of the same part of the picture
before (their correlation), so that more or less light changes little; the change is that of the median part, so that
whoever walks or drives past changes none. A cut is a change that is large, larger than those around (a camera that
shakes has many), and lasts (a flash does not). Pictures that show nothing are passed over: a room is the same room
after its light was out. Fades and slow dissolves are not found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.media.probe import probe
from vidsr.media.thumbnails import HEIGHT, WIDTH, Thumbnail, frame_pairs, is_long, thumbnails

_CUT = 0.6  # cuts change real clips by 0.75 to 1, a lamp that lights one half by 0.5, traffic and people by 0.1
_ABOVE = 2.0  # times the changes around it
_AROUND = 12  # changes on either side of one, of which the largest few may be others' cuts
_FLASH = 3  # pictures that a flash, or a car right before the lens, may last
_FLAT = 4.0  # grey levels of standard deviation in a picture that shows something
_NOISE = 2.0  # grey levels that say nothing when a part is all alike
_PARTS = 4  # across and down
_LOOKS = 2000  # key frames of a long film that are compared: two minutes of work at 1080p
_SHORTEST_S = 1.0


@dataclass(frozen=True)
class Span:
    """A part of a film, in seconds since its beginning; the end is not in it."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s

    def holds(self, time_s: float) -> bool:
        """Whether a time lies in it."""
        return self.start_s <= time_s < self.end_s


def scenes_of(path: Path) -> list[Span]:
    """The parts of a film between its cuts, in order; none when it shows nothing.

    Of several, those of less than a second are left out.

    Every picture is looked at of up to ten minutes, and where the file does not say how long it is. Of a longer film
    it is at most 2000 key frames, by seeking; what lies between the last that was seen of a scene and the first of
    the next belongs to neither.
    Raises SourceError.
    """
    seen = [small for small in _looks(path) if small.luma.std() >= _FLAT]
    if not seen:
        return []
    starts = [0, *_cuts([small.luma for small in seen])]
    ends = [start - 1 for start in starts[1:]] + [len(seen) - 1]
    spans = [Span(seen[start].time_s, seen[end].time_s) for start, end in zip(starts, ends, strict=True)]
    return spans if len(spans) == 1 else [span for span in spans if span.seconds >= _SHORTEST_S]


def unlikeness(one: Luma, other: Luma) -> float:
    """How little two small pictures have in common: 0 the same but for the light, about 1 nothing at all."""
    first, second = _parts(one), _parts(other)
    together = (first * second).mean(axis=1) + _NOISE**2
    alone = np.sqrt(((first**2).mean(axis=1) + _NOISE**2) * ((second**2).mean(axis=1) + _NOISE**2))
    return float(1 - np.median(together / alone))


def _looks(path: Path) -> Iterator[Thumbnail]:
    if not is_long(path):
        return thumbnails(path)
    times = np.linspace(0, probe(path).seconds, _LOOKS, endpoint=False)
    return (glimpse.now for glimpse in frame_pairs(path, times.tolist(), later_s=0.0))


def _cuts(pictures: Sequence[Luma]) -> list[int]:
    """The numbers of the pictures that begin a scene, but for the first."""
    changes = np.array([unlikeness(*two) for two in pairwise(pictures)])
    return [
        int(number) + 1
        for number in np.flatnonzero(changes >= _CUT)
        if changes[number] >= _ABOVE * _around(changes, int(number)) and _lasts(pictures, int(number) + 1)
    ]


def _around(changes: NDArray[np.float64], number: int) -> float:
    """The largest change near that one but for a few, which may be cuts themselves."""
    near = np.r_[changes[max(0, number - _AROUND) : number], changes[number + 1 : number + 1 + _AROUND]]
    return float(np.quantile(near, 0.9)) if len(near) else 0.0


def _lasts(pictures: Sequence[Luma], number: int) -> bool:
    """Whether what was shown some time before that picture is not there again some time after."""
    before, after = max(0, number - 1 - _FLASH), min(len(pictures) - 1, number + _FLASH)
    return unlikeness(pictures[before], pictures[after]) >= _CUT


def _parts(luma: Luma) -> NDArray[np.float64]:
    """The levels of each part, less their mean: (parts, pixels)."""
    blocks = luma.reshape(_PARTS, HEIGHT // _PARTS, _PARTS, WIDTH // _PARTS).swapaxes(1, 2)
    levels = blocks.reshape(_PARTS**2, -1).astype(np.float64)
    levels -= levels.mean(axis=1, keepdims=True)
    return levels
