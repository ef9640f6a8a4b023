"""Full-size clips: runs of frames of a film, and what is made of a picture."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from vidsr.arrays import Luma
from vidsr.errors import SourceError
from vidsr.media.formats import luma_8bit
from vidsr.media.image_reader import read_image
from vidsr.media.probe import MediaProbe, probe
from vidsr.media.reader import Reader
from vidsr.quality.imresize import imresize
from vidsr.quality.upscalers import in_bytes, reducible
from vidsr.settings import DegradeSettings
from vidsr.training.data.clip_window import clip_at
from vidsr.training.data.scenes import Span
from vidsr.training.data.sources import SMALLEST, training_luma
from vidsr.training.data.synthetic_motion import moving_clip, still_clip

USUAL_RATE = Fraction(25)
_MARGIN = 8  # the part of a picture that is left for the view to move


@dataclass(frozen=True, kw_only=True)
class Shot:
    """Frames that follow each other, (H, W) luma of one shape, and how many there are a second."""

    planes: list[Luma]
    rate: Fraction = USUAL_RATE
    start_s: float = 0.0
    """Where in the film it begins."""


def film_shot(
    path: Path,
    outline: MediaProbe,
    *,
    place: float,
    frames: int,
    spans: tuple[Span, ...] = (),
    moments: tuple[float, ...] = (),
) -> Shot:
    """Up to so many frames of a film, from a place between the first, 0, and the last where they fit, 1.

    They are those of one of the spans, or begin at one of the moments. Raises SourceError when nothing can be read
    there.
    """
    rate = outline.rate or USUAL_RATE
    length_s = float((frames + 1) / rate)
    start_s, end_s = clip_at(place, spans=spans, moments=moments, seconds=outline.seconds, clip_s=length_s)
    planes: list[Luma] = []
    with Reader(path, start_s=start_s or None, end_s=end_s) as reader:
        for frame in islice(reader, frames):
            if planes and frame.luma.shape != planes[0].shape:
                break
            planes.append(luma_8bit(frame.av_frame).copy())  # the frame's own memory is reused
    return Shot(planes=planes, rate=rate, start_s=start_s)


def picture_of(path: Path, size: float = 1.0) -> Luma:
    """The (H, W) luma of a picture, in the range of video, at a size in parts of its own. Raises SourceError."""
    luma = training_luma(read_image(path))
    return luma if size == 1.0 else in_bytes(imresize(luma, size))


def picture_shot(
    luma: Luma, shape: tuple[int, int], frames: int, settings: DegradeSettings, random: np.random.Generator
) -> Shot:
    """So many (height, width) frames of a picture, with it still or on the move."""
    make = still_clip if random.random() < settings.still_share else moving_clip
    return Shot(planes=make(luma, shape, frames, random))


def cut(shot: Shot, side: int, size: float, random: np.random.Generator) -> Shot:
    """A square of the shot, anywhere in it, of `side` pixels when it has been brought to the size."""
    whole = round(side / size)
    top, left = (random.integers(0, length - whole + 1) for length in shot.planes[0].shape)
    parts = [np.ascontiguousarray(plane[top : top + whole, left : left + whole]) for plane in shot.planes]
    if whole != side:
        parts = [in_bytes(imresize(part, side / whole)[:side, :side]) for part in parts]
    return replace(shot, planes=parts)


def whole_shot(path: Path, frames: int, settings: DegradeSettings, random: np.random.Generator) -> Shot:
    """Up to so many whole frames from anywhere in a film, or most of a picture, of a size the scale divides.

    Raises SourceError when they are smaller than anything can be learnt from.
    """
    outline = probe(path)
    if outline.still:
        luma = picture_of(path)
        _require_size(path, luma)
        height, width = (_multiple(length - length // _MARGIN, settings.scale) for length in luma.shape)
        return picture_shot(luma, (height, width), frames, settings, random)
    shot = film_shot(path, outline, place=random.random(), frames=frames)
    _require_size(path, shot.planes[0])
    return replace(shot, planes=[reducible(plane, settings.scale) for plane in shot.planes])


def _require_size(path: Path, plane: Luma) -> None:
    if min(plane.shape) < 2 * SMALLEST:
        raise SourceError(f"{path}: smaller than {2 * SMALLEST} pixels a side")


def _multiple(length: int, of: int) -> int:
    return length - length % of
