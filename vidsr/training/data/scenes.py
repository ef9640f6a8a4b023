"""Scene detection: the ranges of a video between its cuts.

Thumbnails are compared in 16 blocks by correlation with the same block of the previous frame, which tolerates changes
of light; the median block counts, which tolerates moving objects. A cut is a change that is large, larger than its
neighbours (a shaking camera has many), and lasting (a flash is not). Frames without contrast are skipped: a room stays
one scene when its light was out. Fades and slow dissolves are not found.
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

_CUT = 0.6  # real cuts measure 0.75 to 1, a lamp that lights one half 0.5, traffic and people 0.1
_CUT_RATIO = 2.0  # times the neighbouring changes
_NEIGHBOURS = 12  # changes on either side; the largest few may be cuts themselves
_FLASH_FRAMES = 3  # frames that a flash, or a car right before the lens, may last
_MIN_CONTRAST = 4.0  # grey levels of standard deviation; less shows nothing
_NOISE_LEVELS = 2.0  # grey levels: noise floor of a flat block
_GRID = 4  # blocks per side
_MAX_KEY_FRAMES = 2000  # of a long video: two minutes of work at 1080p
_MIN_SCENE_S = 1.0


@dataclass(frozen=True)
class TimeRange:
    """A part of a video, in seconds from its start; the end is exclusive."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """Length."""
        return self.end_s - self.start_s

    def contains(self, time_s: float) -> bool:
        """Whether the time lies in the range."""
        return self.start_s <= time_s < self.end_s


def find_scenes(path: Path) -> list[TimeRange]:
    """The ranges of a video between its cuts, in order; empty when no frame has contrast.

    If there are several, those shorter than a second are dropped. Videos of up to ten minutes, or of unknown length,
    are read completely. Of longer ones at most 2000 key frames are read, and the time between the last key frame of a
    scene and the first of the next belongs to neither. Raises SourceError.
    """
    visible = [lr for lr in _sampled_thumbnails(path) if lr.luma.std() >= _MIN_CONTRAST]
    if not visible:
        return []
    starts = [0, *_cut_indices([lr.luma for lr in visible])]
    ends = [start - 1 for start in starts[1:]] + [len(visible) - 1]
    ranges = [TimeRange(visible[start].time_s, visible[end].time_s) for start, end in zip(starts, ends, strict=True)]
    return ranges if len(ranges) == 1 else [time_range for time_range in ranges if time_range.seconds >= _MIN_SCENE_S]


def dissimilarity(first: Luma, second: Luma) -> float:
    """The dissimilarity of two thumbnails: 0 for the same view in any light, about 1 for unrelated views."""
    one, other = _blocks(first), _blocks(second)
    covariance = (one * other).mean(axis=1) + _NOISE_LEVELS**2
    deviations = np.sqrt(((one**2).mean(axis=1) + _NOISE_LEVELS**2) * ((other**2).mean(axis=1) + _NOISE_LEVELS**2))
    return float(1 - np.median(covariance / deviations))


def _sampled_thumbnails(path: Path) -> Iterator[Thumbnail]:
    if not is_long(path):
        return thumbnails(path)
    times = np.linspace(0, probe(path).seconds, _MAX_KEY_FRAMES, endpoint=False)
    return (glimpse.now for glimpse in frame_pairs(path, times.tolist(), later_s=0.0))


def _cut_indices(frames: Sequence[Luma]) -> list[int]:
    """The indices of the frames that begin a scene, without the first."""
    changes = np.array([dissimilarity(*two) for two in pairwise(frames)])
    return [
        int(number) + 1
        for number in np.flatnonzero(changes >= _CUT)
        if changes[number] >= _CUT_RATIO * _usual_change(changes, int(number)) and _is_lasting(frames, int(number) + 1)
    ]


def _usual_change(changes: NDArray[np.float64], number: int) -> float:
    """The 0.9 quantile of the neighbouring changes; the largest may be cuts."""
    near = np.r_[changes[max(0, number - _NEIGHBOURS) : number], changes[number + 1 : number + 1 + _NEIGHBOURS]]
    return float(np.quantile(near, 0.9)) if len(near) else 0.0


def _is_lasting(frames: Sequence[Luma], number: int) -> bool:
    """Whether the view a few frames later still differs from the view a few frames before."""
    before, after = max(0, number - 1 - _FLASH_FRAMES), min(len(frames) - 1, number + _FLASH_FRAMES)
    return dissimilarity(frames[before], frames[after]) >= _CUT


def _blocks(luma: Luma) -> NDArray[np.float64]:
    """(blocks, pixels): the grey levels of each block, mean removed."""
    blocks = luma.reshape(_GRID, HEIGHT // _GRID, _GRID, WIDTH // _GRID).swapaxes(1, 2)
    levels = blocks.reshape(_GRID**2, -1).astype(np.float64)
    levels -= levels.mean(axis=1, keepdims=True)
    return levels
