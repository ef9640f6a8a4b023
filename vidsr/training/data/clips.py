"""Full-size clips: consecutive frames of a video, or synthetic motion over an image."""

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
from vidsr.quality.matlab import imresize
from vidsr.quality.upscalers import crop_to_multiple, to_uint8
from vidsr.settings import DegradeSettings
from vidsr.training.data.clip_window import clip_window
from vidsr.training.data.scenes import TimeRange
from vidsr.training.data.sources import MIN_SIDE, training_luma
from vidsr.training.data.synthetic_motion import moving_clip, still_clip

DEFAULT_RATE = Fraction(25)
_MARGIN = 8  # an eighth of an image is left as room for the view to move


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Consecutive frames: (H, W) luma planes of one shape."""

    planes: list[Luma]
    rate: Fraction = DEFAULT_RATE
    """Frames per second."""
    start_s: float = 0.0
    """Start in the video."""


def video_clip(
    path: Path,
    outline: MediaProbe,
    *,
    position: float,
    frames: int,
    ranges: tuple[TimeRange, ...] = (),
    start_times: tuple[float, ...] = (),
) -> Clip:
    """Up to `frames` frames of a video; `position` is from 0, its start, to 1, the last start that fits.

    The clip lies within one of the ranges, and begins at one of the start times, if any. Raises SourceError when no
    frame can be read there.
    """
    rate = outline.rate or DEFAULT_RATE
    length_s = float((frames + 1) / rate)
    start_s, end_s = clip_window(
        position, ranges=ranges, start_times=start_times, seconds=outline.seconds, clip_s=length_s
    )
    planes: list[Luma] = []
    with Reader(path, start_s=start_s or None, end_s=end_s) as reader:
        for frame in islice(reader, frames):
            if planes and frame.luma.shape != planes[0].shape:
                break
            planes.append(luma_8bit(frame.av_frame).copy())  # the decoder reuses the frame's memory
    return Clip(planes=planes, rate=rate, start_s=start_s)


def image_luma(path: Path, size: float = 1.0) -> Luma:
    """The studio-range (H, W) luma of an image, resized by the factor `size`. Raises SourceError."""
    luma = training_luma(read_image(path))
    return luma if size == 1.0 else to_uint8(imresize(luma, size))


def image_clip(
    luma: Luma, shape: tuple[int, int], frames: int, settings: DegradeSettings, random: np.random.Generator
) -> Clip:
    """A clip of `frames` frames, `shape` (height, width), made of an image: still or moving."""
    make = still_clip if random.random() < settings.still_share else moving_clip
    return Clip(planes=make(luma, shape, frames, random))


def crop_clip(clip: Clip, side: int, size: float, random: np.random.Generator) -> Clip:
    """A random square of the clip, resized by the factor `size` to `side` pixels per side."""
    source_side = round(side / size)
    top, left = (random.integers(0, length - source_side + 1) for length in clip.planes[0].shape)
    planes = [np.ascontiguousarray(plane[top : top + source_side, left : left + source_side]) for plane in clip.planes]
    if source_side != side:
        planes = [to_uint8(imresize(plane, side / source_side)[:side, :side]) for plane in planes]
    return replace(clip, planes=planes)


def full_frame_clip(path: Path, frames: int, settings: DegradeSettings, random: np.random.Generator) -> Clip:
    """Up to `frames` full frames from a random position of a video, or a clip of most of an image.

    Their size is a multiple of the scale. Raises SourceError when they are too small to train on.
    """
    outline = probe(path)
    if outline.still:
        luma = image_luma(path)
        _check_size(path, luma)
        height, width = (_round_down(length - length // _MARGIN, settings.scale) for length in luma.shape)
        return image_clip(luma, (height, width), frames, settings, random)
    clip = video_clip(path, outline, position=random.random(), frames=frames)
    _check_size(path, clip.planes[0])
    return replace(clip, planes=[crop_to_multiple(plane, settings.scale) for plane in clip.planes])


def _check_size(path: Path, plane: Luma) -> None:
    if min(plane.shape) < 2 * MIN_SIDE:
        raise SourceError(f"{path}: smaller than {2 * MIN_SIDE} pixels per side")


def _round_down(length: int, divisor: int) -> int:
    return length - length % divisor
