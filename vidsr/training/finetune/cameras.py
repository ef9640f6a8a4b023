"""What the clips of a footage show: whether they are of one camera, and what that camera burns into its picture.

Two clips show one scene if their thumbnails, each the median of a few moments, resemble each other at some shift: a
camera that is turned back to its place hits it by a tenth of the picture only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.callbacks import OnWarning, ShouldStop
from vidsr.errors import SourceError, Stopped
from vidsr.media.probe import probe
from vidsr.quality.crops import Crop
from vidsr.quality.scene_similarity import one_scene, thumbnail_of
from vidsr.training.data.sources import Footage, spread_lumas
from vidsr.training.finetune.fixed_areas import fixed_areas, free_window, window_levels

_MOMENTS, _ALL_MOMENTS = 12, 48  # of each clip at least, and of all clips together if they are few
_MIN_WINDOW = 0.5  # share of the picture


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What a clip shows, from frames that are evenly spread over it."""

    file: Footage
    shape: tuple[int, int]
    thumbnail: Luma
    """(48, 64): the median of the frames, which moving things are not in."""
    levels: NDArray[np.uint8]
    """(frames, 2, rows, columns): the levels of the windows of each frame, by `window_levels`."""


def with_windows(
    files: Sequence[Footage], *, on_warning: OnWarning, should_stop: ShouldStop = lambda: False
) -> list[Footage]:
    """The files; those of a camera whose picture has fixed areas get the window without them.

    The camera is that of more than half of the clips; a warning names those of other scenes, if it has several itself.
    Footage of many scenes stays as it is. Raises Stopped.
    """
    videos = [file for file in files if not probe(file.path).still]
    views = list(_views(videos, should_stop))
    camera = max(_scenes(views), key=len, default=[])
    if 2 * len(camera) <= len(views):
        return list(files)
    others = [str(view.file.path) for view in views if view not in camera]
    if others:
        show = "shows" if len(others) == 1 else "show"
        seen = f"{show} another scene than the other clips, or in quite another light"
        on_warning(f"{', '.join(others)}: {seen}; a network learns one camera best")
    windows = {shape: _window([view for view in camera if view.shape == shape]) for shape in {v.shape for v in camera}}
    if any(window and _share(window, shape) < _MIN_WINDOW for shape, window in windows.items()):
        on_warning("captions or logos divide the picture: they are trained on, and gains there are not of the scene")
        return list(files)
    found = {view.file.path: windows[view.shape] for view in camera}
    return [replace(file, window=found.get(file.path)) for file in files]


def _views(videos: Sequence[Footage], should_stop: ShouldStop) -> Iterator[View]:
    for file in videos:
        if should_stop():
            raise Stopped(f"stopped during the survey of {file.path}")
        try:
            planes = list(spread_lumas(file, max(_MOMENTS, _ALL_MOMENTS // len(videos))))
        except SourceError:  # whoever reads all of it says what is wrong
            continue
        planes = [plane for plane in planes if plane.shape == planes[0].shape]
        thumbnail = np.median([thumbnail_of(plane) for plane in planes], axis=0).astype(np.uint8)
        levels = np.stack([window_levels(plane) for plane in planes])
        yield View(file=file, shape=planes[0].shape, thumbnail=thumbnail, levels=levels)


def _scenes(views: Sequence[View]) -> list[list[View]]:
    """The views by scene: each shows one scene with another of its group at least."""
    scenes: list[list[View]] = []
    for view in views:
        same = [scene for scene in scenes if any(one_scene(view.thumbnail, other.thumbnail) for other in scene)]
        joined = [view, *(other for scene in same for other in scene)]
        scenes = [*(scene for scene in scenes if scene not in same), joined]
    return scenes


def _window(views: Sequence[View]) -> Crop | None:
    """The window without the fixed areas of a camera, from its views of one shape; None if there are none."""
    parts = [part for view in views for part in np.array_split(view.levels, len(view.levels) // _MOMENTS or 1)]
    fixed = fixed_areas(parts, views[0].shape)
    return free_window(fixed) if fixed.any() else None


def _share(window: Crop, shape: tuple[int, int]) -> float:
    return window.width * window.height / (shape[0] * shape[1])
