"""What the clips of a footage show: whether they are of one camera, and what that camera burns into its picture.

Two clips show one scene if their thumbnails, each the median of a few moments, resemble each other at some shift: a
camera that is turned back to its place hits it by a tenth of the picture only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma, Mask
from vidsr.callbacks import OnWarning, ShouldStop
from vidsr.errors import SourceError, Stopped
from vidsr.media.probe import probe
from vidsr.quality.crops import Crop
from vidsr.quality.scene_similarity import one_scene, thumbnail_of
from vidsr.training.data.sources import Footage, spread_lumas
from vidsr.training.finetune.fixed_areas import fixed_areas, free_window, in_blocks, window_levels

_MOMENTS, _ALL_MOMENTS = 12, 48  # of each clip at least, and of all clips together if they are few
_MIN_WINDOW = 0.5  # share of the picture
_MIN_CHANGE = 16  # grey levels; codecs and noise change less


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What a clip shows, from frames that are evenly spread over it."""

    file: Footage
    shape: tuple[int, int]
    thumbnail: Luma
    """(48, 64): the median of the frames, which moving things are not in."""
    levels: NDArray[np.uint8]
    """(frames, 2, rows, columns): the levels of the windows of each frame, by `window_levels`."""
    moving: float
    """Share of the picture that changes visibly between the frames."""


def with_windows(
    files: Sequence[Footage], *, on_warning: OnWarning, should_stop: ShouldStop = lambda: False
) -> list[Footage]:
    """The files; those of a camera whose picture has fixed areas get the window without them.

    The camera is that of more than half of the clips; a warning names those of other scenes, if it has several itself.
    Footage of many scenes stays as it is. Raises Stopped.
    """
    videos = [file for file in files if not probe(file.path).still]
    views = list(read_views(videos, on_skip=lambda sentence: None, should_stop=should_stop))
    camera = max(scenes_of(views), key=len, default=[])
    if 2 * len(camera) <= len(views):
        return list(files)
    others = [str(view.file.path) for view in views if view not in camera]
    if others:
        show = "shows" if len(others) == 1 else "show"
        seen = f"{show} another scene than the other clips, or in quite another light"
        on_warning(f"{', '.join(others)}: {seen}; a network learns one camera best")
    shapes = {view.shape for view in camera}
    windows = {
        shape: camera_window([view for view in camera if view.shape == shape], on_warning=on_warning)
        for shape in shapes
    }
    found = {view.file.path: windows[view.shape] for view in camera}
    return [replace(file, window=found.get(file.path)) for file in files]


def read_views(videos: Sequence[Footage], *, on_skip: OnWarning, should_stop: ShouldStop) -> Iterator[View]:
    """Yields the view of each video; one that cannot be read is skipped with a sentence. Raises Stopped."""
    for file in videos:
        if should_stop():
            raise Stopped(f"stopped during the survey of {file.path}")
        try:
            planes = list(spread_lumas(file, max(_MOMENTS, _ALL_MOMENTS // len(videos))))
        except SourceError as error:  # whoever reads all of it says what is wrong
            on_skip(str(error))
            continue
        planes = [plane for plane in planes if plane.shape == planes[0].shape]
        yield View(
            file=file,
            shape=planes[0].shape,
            thumbnail=np.median([thumbnail_of(plane) for plane in planes], axis=0).astype(np.uint8),
            levels=np.stack([window_levels(plane) for plane in planes]),
            moving=float((np.maximum.reduce(planes) - np.minimum.reduce(planes) > _MIN_CHANGE).mean()),
        )


def scenes_of(views: Sequence[View]) -> list[list[View]]:
    """The views by scene: each shows one scene with another of its group at least."""
    scenes: list[list[View]] = []
    for view in views:
        same = [scene for scene in scenes if any(one_scene(view.thumbnail, other.thumbnail) for other in scene)]
        joined = [view, *(other for scene in same for other in scene)]
        scenes = [*(scene for scene in scenes if scene not in same), joined]
    return scenes


def camera_window(views: Sequence[View], *, masks: Sequence[Crop] = (), on_warning: OnWarning) -> Crop | None:
    """The largest part of the picture of a camera without masks and fixed areas, from its views of one shape.

    None is the whole picture. Fixed areas that divide the picture are left in it, with a warning; masks never are: a
    window of 0 pixels is what they leave of a picture that they cover.
    """
    shape = views[0].shape
    masked = _masked(masks, shape)
    parts = [part for view in views for part in np.array_split(view.levels, len(view.levels) // _MOMENTS or 1)]
    fixed = fixed_areas(parts, shape) | masked
    if not fixed.any():
        return None
    window, unmasked = free_window(fixed), free_window(masked)
    if _pixels(window) < _MIN_WINDOW * _pixels(unmasked):
        on_warning("captions or logos divide the picture: they are trained on, and gains there are not of the scene")
        return unmasked if masked.any() else None
    return window


def _masked(masks: Sequence[Crop], shape: tuple[int, int]) -> Mask:
    """(H, W), `shape`: the blocks that the masks touch."""
    masked = np.zeros(shape, np.bool_)
    for mask in masks:
        masked[mask.area] = True
    return in_blocks(masked)


def _pixels(window: Crop) -> int:
    return window.width * window.height
