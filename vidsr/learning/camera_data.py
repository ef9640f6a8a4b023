"""The data that teaches and proves the network of a camera, from the moments that it has collected."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidsr.callbacks import OnWarning, ShouldStop
from vidsr.errors import SourceError, Stopped
from vidsr.learn_dir import Moment
from vidsr.learning.general_set import write_pictures
from vidsr.learning.moment_split import MomentSplit, NothingToLearn, require_split, split_moments
from vidsr.learning.moment_survey import area_fault, parse_areas
from vidsr.learning.scene_selection import SceneMoments, newest_scene
from vidsr.quality.crops import Crop
from vidsr.settings import FinetuneSettings, LearnSettings
from vidsr.training.data.sources import Footage
from vidsr.training.finetune.camera_views import camera_window
from vidsr.training.finetune.finetune_data import FinetuneData, from_alignments, from_split
from vidsr.training.pairing import Alignment, align

MAIN_INPUT = "main stream"
"""The name of the validation set of aligned recordings."""
_MIN_SIDE = 72  # low-resolution pixels of what is learned from


@dataclass(frozen=True, kw_only=True)
class MomentFiles:
    """Where the recordings of a moment are."""

    source: Callable[[Moment], Path]
    main: Callable[[Moment], Path]


@dataclass(frozen=True, kw_only=True)
class CameraData:
    """The data, and what it is of."""

    data: FinetuneData
    scene: SceneMoments
    split: MomentSplit


def read_camera_data(
    moments: Sequence[Moment],
    files: MomentFiles,
    learn: LearnSettings,
    settings: FinetuneSettings,
    pictures: Path,
    *,
    on_skip: OnWarning,
    on_warning: OnWarning,
    should_stop: ShouldStop,
) -> CameraData:
    """The data of the newest scene of the moments: aligned recordings of both streams, or else the source, degraded.

    `pictures` is the folder of drawn pictures that are trained on as well; they are written if they are missing.
    `on_skip` receives a sentence per moment that is left out. Raises NothingToLearn, Stopped,
    SourceError, TargetError.
    """
    sources = [files.source(moment) for moment in moments]
    scene = newest_scene(moments, sources, learn.day_s, on_skip=on_skip, should_stop=should_stop)
    of_source = require_split(scene.moments, learn.day_s)
    if fault := area_fault(learn.masks, scene.shape):
        raise NothingToLearn(fault)
    window = camera_window(scene.views, masks=parse_areas(learn.masks), on_warning=on_warning)
    of_main = _aligned(scene.moments, files, settings.scale, learn.day_s, on_skip, should_stop)
    split = split_moments(list(of_main), learn.day_s)
    _check_side(window, scene.shape, 1 if split else settings.scale)
    write_pictures(pictures, settings.scale)
    if split:
        training, held_out = (
            [replace(of_main[moment], window=window) for moment in part] for part in (split.training, split.held_out)
        )
        data = from_alignments(training, held_out, [pictures], settings, input_name=MAIN_INPUT)
        return CameraData(data=data, scene=scene, split=split)
    teaches, proves = (
        [Footage(path=files.source(moment), sizes=(1.0,), window=window) for moment in part]
        for part in (of_source.training, of_source.held_out)
    )
    data = from_split(teaches, proves, [pictures], settings, on_warning=on_warning)
    return CameraData(data=data, scene=scene, split=of_source)


def _aligned(
    moments: Sequence[Moment],
    files: MomentFiles,
    scale: int,
    day_s: float,
    on_skip: OnWarning,
    should_stop: ShouldStop,
) -> dict[Moment, Alignment]:
    """The moments whose two streams can be aligned; none where too few have a main stream."""
    with_main = [moment for moment in moments if moment.has_main]
    found = {}
    for moment in with_main if split_moments(with_main, day_s) else []:
        if should_stop():
            raise Stopped(f"stopped during the alignment of {moment.folder.name}")
        try:
            found[moment] = align(files.main(moment), files.source(moment), scale)
        except SourceError as error:
            on_skip(f"{moment.folder.name}: {error}")
    return found


def _check_side(window: Crop | None, shape: tuple[int, int], scale: int) -> None:
    """Raise NothingToLearn where masks, captions or the source leave too little."""
    height, width = (window.height, window.width) if window else shape
    if min(height, width) // scale < _MIN_SIDE:
        raise NothingToLearn(
            f"{width}x{height} pixels without masks and captions; {_MIN_SIDE * scale} per side are needed"
        )
