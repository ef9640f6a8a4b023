"""Split into training and validation set: by file, by scene or, for a fixed camera, by time.

Never frame by frame: frames of one scene are too similar for validation.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vidsr.callbacks import OnWarning
from vidsr.errors import TrainingError
from vidsr.media.probe import probe
from vidsr.training.data.scenes import TimeRange, find_scenes
from vidsr.training.data.sources import Footage, split_files

_MIN_SINGLE_SCENE_S = 30.0  # whose last fifth, 6 s, still shows something new
_GAP_S = 2.0  # objects at the end of one part have left before the other begins


def split_footage(
    footage: Sequence[Footage],
    *,
    share: float = 0.2,
    seed: int = 0,
    on_warning: OnWarning = lambda sentence: None,
) -> tuple[list[Footage], list[Footage]]:
    """Returns the training footage and the validation footage, disjoint; `share` is the validation share.

    Several files are split by file, one file by scene, one scene of at least 30 s by time: its end is held out after
    a gap of 2 s, with a warning. `seed` decides which files or scenes.
    Raises TrainingError for footage that cannot be split, SourceError for a single file that cannot be read.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be above 0 and below 1, not {share:g}")
    if len(footage) > 1:
        return split_files(list(footage), share, seed)
    (file,) = footage
    if probe(file.path).still:
        raise TrainingError(f"{file.path}: is a single image; add a second file for validation")
    scenes = find_scenes(file.path)
    if not scenes:
        raise TrainingError(f"{file.path}: shows nothing to train on")
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
        raise TrainingError(
            f"{file.path}: is a single scene of {scene.seconds:.0f} s, too short to split; "
            f"use at least {_MIN_SINGLE_SCENE_S:.0f} s, or add a second file"
        )
    until_s = scene.end_s - share * scene.seconds
    on_warning(
        f"{file.path}: is a single scene; its last {scene.end_s - until_s:.0f} s are held out, which are more "
        "similar to the training set than another scene"
    )
    return [TimeRange(scene.start_s, until_s - _GAP_S)], [TimeRange(until_s, scene.end_s)]
