"""What a moment shows: how much moves, how sharp it is, and what it looks like. Masked areas are not looked at."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma, Mask
from vidsr.errors import SourceError
from vidsr.learn_dir import Moment
from vidsr.media.atomic_file import atomic_write
from vidsr.quality.crops import Crop
from vidsr.quality.scene_similarity import SHAPE, thumbnail_of
from vidsr.training.finetune.fixed_areas import fixed_areas, window_levels
from vidsr.training.finetune.frame_selection import NOISE_LEVELS, has_contrast, liveliest_change, picture_detail
from vidsr.training.pairing.time_sync import timed_lumas

_SURVEY = "survey.npz"
_STEP_S = 1.0
_LEVELS_PER_MOMENT = 4  # frames
_CAPTION_MOMENTS = 24
_GREY = 128


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """What a video of some seconds shows, from a frame per second."""

    shape: tuple[int, int]
    """(height, width) of the frames."""
    thumbnail: Luma
    """(48, 64): the frame before the liveliest second."""
    levels: NDArray[np.uint8]
    """(frames, 2, rows, columns): the levels of the windows of some frames, by `window_levels`."""
    changes: tuple[float, ...]
    """The liveliest change from second to second, in grey levels."""
    detail: float
    """Of the sharpest frame, as `finetune --from` measures it."""
    is_shown: bool
    """Whether any frame is neither black, blown out nor flat."""

    @property
    def moves(self) -> bool:
        """Whether anything moves, beside noise; one change alone may be that of a key frame."""
        return sum(change >= NOISE_LEVELS for change in self.changes) > 1

    @property
    def motion(self) -> float:
        """The mean change, in grey levels."""
        return float(np.mean(self.changes)) if self.changes else 0.0


def parse_areas(areas: Sequence[str]) -> list[Crop]:
    """The areas of `LearnSettings.masks`, written left,top,width,height."""
    numbers = [map(int, area.split(",")) for area in areas]
    return [Crop(left=left, top=top, width=width, height=height) for left, top, width, height in numbers]


def area_fault(areas: Sequence[str], shape: tuple[int, int]) -> str:
    """What is wrong with `LearnSettings.masks` for a source of this (height, width): a sentence; "" for nothing.

    What reaches beyond the picture was drawn on one of another size, and covers something else in this one.
    """
    for text, area in zip(areas, parse_areas(areas), strict=True):
        if not area.is_within(shape):
            return f"the mask {text} reaches beyond the {shape[1]}x{shape[0]} of the source"
    return ""


def survey_video(path: Path, masks: Sequence[Crop] = ()) -> Survey:
    """Survey a video of the source, whose areas in `masks` are not looked at. Raises SourceError."""
    thumbnails, levels, details = list[Luma](), list[NDArray[np.uint8]](), list[float]()
    shape = (0, 0)
    for luma in _frame_per_second(path, masks):
        shape = (luma.shape[0], luma.shape[1])
        thumbnails.append(thumbnail_of(luma))
        levels.append(window_levels(luma))
        details.append(picture_detail(luma, float(luma.mean())))
    changes = tuple(liveliest_change(now, later) for now, later in pairwise(thumbnails))
    chosen = np.linspace(0, len(levels) - 1, min(_LEVELS_PER_MOMENT, len(levels))).round().astype(int)
    return Survey(
        shape=shape,
        thumbnail=thumbnails[int(np.argmax(changes)) if changes else 0],
        levels=np.stack([levels[index] for index in chosen]),
        changes=changes,
        detail=max(details),
        is_shown=any(map(has_contrast, thumbnails)),
    )


def _frame_per_second(path: Path, masks: Sequence[Crop]) -> Iterator[Luma]:
    due_s = 0.0
    for time_s, luma in timed_lumas(path):
        if time_s >= due_s:
            due_s = time_s + _STEP_S
            copy = luma.copy()
            for mask in masks:
                copy[mask.area] = _GREY
            yield copy
    if not due_s:
        raise SourceError(f"{path.name}: holds no frame that can be shown")


def write_survey(folder: Path, survey: Survey) -> None:
    """Keep what is needed of a survey in the folder of its moment. Raises TargetError."""
    with atomic_write(folder / _SURVEY, overwrite=True) as file:
        np.savez_compressed(file, thumbnail=survey.thumbnail, levels=survey.levels)


def read_thumbnail(folder: Path) -> Luma:
    """The thumbnail of a moment; a black one if it is missing or damaged."""
    found = _read(folder, "thumbnail")
    return found if found is not None and found.shape == SHAPE else np.zeros(SHAPE, np.uint8)


def find_captions(moments: Sequence[Moment], shape: tuple[int, int]) -> Mask:
    """(H, W), `shape`: the captions that the camera burns into its picture, from moments of all hours."""
    chosen = np.linspace(0, len(moments) - 1, min(_CAPTION_MOMENTS, len(moments))).round().astype(int)
    usual = window_levels(np.zeros(shape, np.uint8)).shape
    found = (_read(moments[index].folder, "levels") for index in chosen)
    parts = [levels for levels in found if levels is not None and levels.shape[1:] == usual]
    return fixed_areas(parts, shape) if len(parts) > 1 else np.zeros(shape, np.bool_)


def _read(folder: Path, name: str) -> NDArray[np.uint8] | None:
    try:
        with np.load(io.BytesIO((folder / _SURVEY).read_bytes()), allow_pickle=False) as file:
            array: NDArray[np.uint8] = file[name]
    except Exception:  # zipfile, zlib and numpy fail at damaged bytes each in ways of their own
        return None
    return array if array.dtype == np.uint8 else None
