"""What to learn from and what to judge by: other files, other scenes or, of a camera that stands still, other times.

Never other frames alone: those of one scene are too much alike to judge each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from vidsr.errors import TrainingError
from vidsr.media.probe import probe
from vidsr.training.data.scenes import Span, scenes_of
from vidsr.training.data.sources import Footage, held_out_of

_LEAST_S = 30.0  # of one scene, of which the last fifth, 6 s, then still shows something else
_GAP_S = 2.0  # what passes before a camera at the end of one part has left before the other begins


def hold_out(
    footage: Sequence[Footage],
    *,
    share: float = 0.2,
    seed: int = 0,
    note: Callable[[str], None] = lambda sentence: None,
) -> tuple[list[Footage], list[Footage]]:
    """What to learn from and what to hold out, a share of it, without anything in common.

    Of several files it is whole files; of one, whole scenes, by their time; of one scene of 30 s or more, its end,
    2 s apart from the rest, which `note` hears. `seed` decides which files or scenes.
    Raises TrainingError for what cannot be parted, SourceError for a single file that cannot be read.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be above 0 and below 1, not {share:g}")
    if len(footage) > 1:
        return held_out_of(list(footage), share, seed)
    (file,) = footage
    if probe(file.path).still:
        raise TrainingError(f"{file.path}: is a single picture; another is needed to judge by")
    scenes = scenes_of(file.path)
    if not scenes:
        raise TrainingError(f"{file.path}: shows nothing to learn from")
    kept, judges = _by_scene(scenes, share, seed) if len(scenes) > 1 else _by_time(file, scenes[0], share, note)
    return [replace(file, spans=tuple(kept))], [replace(file, spans=tuple(judges))]


def _by_scene(scenes: Sequence[Span], share: float, seed: int) -> tuple[list[Span], list[Span]]:
    """At random as many as are no more than the share of all the time; the shortest where each alone is more."""
    most, chosen = share * sum(scene.seconds for scene in scenes), set[Span]()
    for number in np.random.default_rng(seed).permutation(len(scenes)):
        if scenes[number].seconds <= most:
            chosen.add(scenes[number])
            most -= scenes[number].seconds
    chosen = chosen or {min(scenes, key=lambda scene: scene.seconds)}
    return [scene for scene in scenes if scene not in chosen], [scene for scene in scenes if scene in chosen]


def _by_time(file: Footage, scene: Span, share: float, note: Callable[[str], None]) -> tuple[list[Span], list[Span]]:
    if scene.seconds < _LEAST_S:
        raise TrainingError(
            f"{file.path}: is one scene of {scene.seconds:.0f} s, too short to learn from one part of it and judge by "
            f"another; {_LEAST_S:.0f} s or a second file are needed"
        )
    until_s = scene.end_s - share * scene.seconds
    note(
        f"{file.path}: is a single scene; its last {scene.end_s - until_s:.0f} s are held out, more like the rest "
        "than another scene would be"
    )
    return [Span(scene.start_s, until_s - _GAP_S)], [Span(until_s, scene.end_s)]
