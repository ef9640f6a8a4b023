"""Split into training and validation set: by file, by scene or, for a fixed camera, by time.

Never frame by frame: frames of one scene are too similar for validation.

Scenes are the ranges of a video between its cuts. Thumbnails are compared in 16 blocks by correlation with the same
block of the previous frame, which tolerates changes of light; the median block counts, which tolerates moving objects.
A cut is a change that is large, larger than its neighbours (a shaking camera has many), and lasting (a flash is not).
Frames without contrast are skipped: a room stays one scene when its light was out. Fades and slow dissolves are not
found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.callbacks import OnWarning
from vidsr.errors import SourceError
from vidsr.media.probe import probe
from vidsr.media.thumbnails import Thumbnail, frame_pairs, is_long, thumbnails
from vidsr.quality.scene_similarity import dissimilarity
from vidsr.training.data.sources import Footage, TimeRange

_MIN_SINGLE_SCENE_S = 30.0  # whose last fifth, 6 s, still shows something new
_GAP_S = 2.0  # objects at the end of one part have left before the other begins
_CUT = 0.6  # real cuts measure 0.75 to 1, a lamp that lights one half 0.5, traffic and people 0.1
_CUT_RATIO = 2.0  # times the neighbouring changes
_NEIGHBOURS = 12  # changes on either side; the largest few may be cuts themselves
_FLASH_FRAMES = 3  # frames that a flash, or a car right before the lens, may last
_MIN_CONTRAST = 4.0  # grey levels of standard deviation; less shows nothing
_MAX_KEY_FRAMES = 2000  # of a long video: two minutes of work at 1080p
_MIN_SCENE_S = 1.0


def split_files(footage: list[Footage], share: float, seed: int) -> tuple[list[Footage], list[Footage]]:
    """Returns the training and the validation files: a share of the files, at least one if there are two."""
    count = min(len(footage) - 1, max(1, round(share * len(footage)))) if share else 0
    chosen = set(np.random.default_rng(seed).permutation(len(footage))[:count].tolist())
    training = [file for number, file in enumerate(footage) if number not in chosen]
    return training, [file for number, file in enumerate(footage) if number in chosen]


def split_footage(
    footage: Sequence[Footage], *, share: float = 0.2, seed: int = 0, on_warning: OnWarning = lambda sentence: None
) -> tuple[list[Footage], list[Footage]]:
    """Returns the training footage and the validation footage, disjoint; `share` is the validation share.

    Several files are split by file, one file by scene, one scene of at least 30 s by time: its end is held out after
    a gap of 2 s, with a warning. `seed` decides which files or scenes.
    Raises SourceError for footage that cannot be split or a single file that cannot be read.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be above 0 and below 1, not {share:g}")
    if len(footage) > 1:
        return split_files(list(footage), share, seed)
    (file,) = footage
    if probe(file.path).still:
        raise SourceError(f"{file.path}: is a single image; add other files for validation")
    scenes = find_scenes(file.path)
    if not scenes:
        raise SourceError(f"{file.path}: shows nothing to train on")
    training, validation = (
        _by_scene(scenes, share, seed) if len(scenes) > 1 else _by_time(file, scenes[0], share, on_warning)
    )
    return [replace(file, ranges=tuple(training))], [replace(file, ranges=tuple(validation))]


def _by_scene(scenes: Sequence[TimeRange], share: float, seed: int) -> tuple[list[TimeRange], list[TimeRange]]:
    """Random scenes up to the share of the total time; the shortest scene if each exceeds it."""
    budget_s, selected = share * sum(scene.seconds for scene in scenes), set[TimeRange]()
    for number in np.random.default_rng(seed).permutation(len(scenes)):
        if scenes[number].seconds <= budget_s:
            selected.add(scenes[number])
            budget_s -= scenes[number].seconds
    selected = selected or {min(scenes, key=lambda scene: scene.seconds)}
    return [scene for scene in scenes if scene not in selected], [scene for scene in scenes if scene in selected]


def _by_time(
    file: Footage, scene: TimeRange, share: float, on_warning: OnWarning
) -> tuple[list[TimeRange], list[TimeRange]]:
    if scene.seconds < _MIN_SINGLE_SCENE_S:
        raise SourceError(
            f"{file.path}: is a single scene of {scene.seconds:.0f} s, too short to split; "
            f"use at least {_MIN_SINGLE_SCENE_S:.0f} s, or add a second file"
        )
    until_s = scene.end_s - share * scene.seconds
    on_warning(
        f"{file.path}: is a single scene; its last {scene.end_s - until_s:.0f} s are held out, which are more "
        "similar to the training set than another scene"
    )
    return [TimeRange(scene.start_s, until_s - _GAP_S)], [TimeRange(until_s, scene.end_s)]


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


def _sampled_thumbnails(path: Path) -> Iterator[Thumbnail]:
    if not is_long(path):
        return thumbnails(path)
    times = np.linspace(0, probe(path).seconds, _MAX_KEY_FRAMES, endpoint=False)
    return (pair.now for pair in frame_pairs(path, times.tolist(), later_s=0.0))


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
