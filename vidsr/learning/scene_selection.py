"""The newest scene of a camera: moments that are black, at rest or of another scene are left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsr.arrays import Luma
from vidsr.callbacks import OnWarning, ShouldStop
from vidsr.learn_dir import Moment
from vidsr.quality.scene_similarity import dissimilarity
from vidsr.training.data.sources import Footage
from vidsr.training.finetune.camera_views import View, read_views, scenes_of
from vidsr.training.finetune.frame_selection import has_contrast

_MIN_MOVING = 1e-4  # share of the picture; less is noise
_MAX_THUMBNAILS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneMoments:
    """The moments of one scene, in order of time, and what each shows."""

    moments: list[Moment]
    views: list[View]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the source."""
        return self.views[-1].shape


def newest_scene(
    moments: Sequence[Moment], sources: Sequence[Path], day_s: float, *, on_skip: OnWarning, should_stop: ShouldStop
) -> SceneMoments:
    """The scene of most moments of the newest day, from the `sources` of the moments; empty if none shows any.

    `on_skip` receives a sentence per moment that is left out. Raises Stopped.
    """
    files = [Footage(path=path, sizes=(1.0,)) for path in sources]
    by_path = dict(zip(sources, moments, strict=True))
    usable = []
    for view in read_views(files, on_skip=on_skip, should_stop=should_stop):
        if fault := _fault(view):
            on_skip(f"{by_path[view.file.path].folder.name}: {fault}")
        else:
            usable.append(view)
    if not usable:
        return SceneMoments(moments=[], views=[])
    newest_s = max(by_path[view.file.path].time_s for view in usable)

    def weight(scene: Sequence[View]) -> tuple[int, float]:
        times_s = [by_path[view.file.path].time_s for view in scene]
        return sum(newest_s - time_s < day_s for time_s in times_s), max(times_s)

    chosen = max(scenes_of(usable), key=weight)
    shape = max(chosen, key=lambda view: by_path[view.file.path].time_s).shape
    kept = sorted((view for view in chosen if view.shape == shape), key=lambda view: by_path[view.file.path].time_s)
    for view in usable:
        if view not in kept:
            other = "another scene, or quite another light" if view not in chosen else "a picture of another size"
            on_skip(f"{by_path[view.file.path].folder.name}: shows {other}")
    return SceneMoments(moments=[by_path[view.file.path] for view in kept], views=kept)


def diverse_thumbnails(views: Sequence[View]) -> list[Luma]:
    """Up to 8 (48, 64) thumbnails, each as unlike those before as can be, the newest first."""
    chosen = [views[-1].thumbnail]
    distance = np.full(len(views), np.inf)
    while len(chosen) < min(_MAX_THUMBNAILS, len(views)):
        latest = [dissimilarity(view.thumbnail, chosen[-1]) for view in views]
        distance = np.minimum(distance, latest)
        chosen.append(views[int(distance.argmax())].thumbnail)
    return chosen


def _fault(view: View) -> str:
    if not has_contrast(view.thumbnail):
        return "is black, blown out or flat"
    return "" if view.moving >= _MIN_MOVING else "nothing moves in it, or it is frozen"
