"""Full-size clips: consecutive frames of a video, or clips made of an image, still or with a moving view and sprites.

Encoders treat clips of images like footage, with key frames, differences and skipped blocks.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Luma
from vidsr.errors import SourceError
from vidsr.media.formats import luma_8bit
from vidsr.media.probe import MediaProbe, probe
from vidsr.media.reader import Reader
from vidsr.quality.matlab import LANCZOS3, imresize
from vidsr.quality.upscalers import crop_to_multiple, to_uint8
from vidsr.settings import DegradeSettings
from vidsr.training.data.degradation import filter_rows
from vidsr.training.data.sources import MIN_SIDE, Footage, clip_window, image_luma

DEFAULT_RATE = Fraction(25)
_MARGIN = 8  # an eighth of an image is left as room for the view to move
_FIXED_SHARE = 1 / 3  # of the moving clips: a fixed camera, only sprites move
_MIN_SPEED, _MAX_SPEED = 0.1, 3.0  # full-size pixels per frame
_MAX_SPRITE_SPEED = 5.0
_MAX_SPRITES = 3
_SPRITE_RADIUS = (0.08, 0.3)  # in parts of the clip's shorter side
_TAPS = np.arange(-2.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Consecutive frames: (H, W) luma planes of one shape."""

    planes: list[Luma]
    rate: Fraction = DEFAULT_RATE
    """Frames per second."""
    start_s: float = 0.0
    """Start in the video."""


def video_clip(file: Footage, media: MediaProbe, *, position: float, frames: int) -> Clip:
    """Up to `frames` frames of a video; `position` is from 0, its start, to 1, the last start that fits.

    The clip lies within one of the file's ranges and in its window, and begins at one of its start times, if any.
    Raises SourceError when no frame can be read there.
    """
    rate = media.rate or DEFAULT_RATE
    length_s = float((frames + 1) / rate)
    start_s, end_s = clip_window(
        position, ranges=file.ranges, start_times=file.start_times, seconds=media.seconds, clip_s=length_s
    )
    planes: list[Luma] = []
    with Reader(file.path, start_s=start_s or None, end_s=end_s) as reader:
        for frame in islice(reader, frames):
            if frame.luma.shape != reader.first.luma.shape:
                break
            planes.append(luma_8bit(frame.av_frame)[file.area].copy())  # the decoder reuses the frame's memory
    return Clip(planes=planes, rate=rate, start_s=start_s)


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
    media = probe(path)
    if media.still:
        luma = image_luma(path)
        _check_size(path, luma)
        height, width = ((length - length // _MARGIN) // settings.scale * settings.scale for length in luma.shape)
        return image_clip(luma, (height, width), frames, settings, random)
    clip = video_clip(Footage(path=path, sizes=(1.0,)), media, position=random.random(), frames=frames)
    _check_size(path, clip.planes[0])
    return replace(clip, planes=[crop_to_multiple(plane, settings.scale) for plane in clip.planes])


def _check_size(path: Path, plane: Luma) -> None:
    if min(plane.shape) < 2 * MIN_SIDE:
        raise SourceError(f"{path}: smaller than {2 * MIN_SIDE} pixels per side")


@dataclass(frozen=True, kw_only=True)
class _Sprite:
    """A round part of the image that moves in front of the rest."""

    centre: Floats
    """(row, column) in the first frame."""
    speed: Floats
    """(rows, columns) per frame."""
    radius: float
    origin: Floats
    """(row, column) in the image that lies at the corner of the first frame, for this sprite."""


def still_clip(plane: Luma, shape: tuple[int, int], frames: int, random: np.random.Generator) -> list[Luma]:
    """One random part of the plane, `shape` (height, width), `frames` times: the same array object."""
    top, left = (int(corner) for corner in _draw_corner(plane, shape, random))
    return [np.ascontiguousarray(plane[top : top + shape[0], left : left + shape[1]])] * frames


def moving_clip(plane: Luma, shape: tuple[int, int], frames: int, random: np.random.Generator) -> list[Luma]:
    """`frames` views, `shape` (height, width), that move slowly over the plane, with moving sprites."""
    fixed = random.random() < _FIXED_SHARE
    sprites = [_draw_sprite(plane, shape, random) for _ in range(random.integers(1 if fixed else 0, _MAX_SPRITES + 1))]
    speed = np.zeros(2) if fixed else _draw_speed(_MAX_SPEED, random)
    origin = _draw_corner(plane, shape, random)
    clip = []
    for number in range(frames):
        frame = shifted_view(plane, origin + number * speed, shape)
        for sprite in sprites:
            coverage = _disc_coverage(shape, sprite.centre + number * sprite.speed, sprite.radius)
            moved = shifted_view(plane, sprite.origin - number * sprite.speed, shape)
            frame = frame + coverage * (moved - frame)
        clip.append(np.clip(np.round(frame), 0, 255).astype(np.uint8, order="C"))
    return clip


def shifted_view(plane: Luma, corner: Floats, shape: tuple[int, int]) -> Floats:
    """The part of the plane at `corner` (row, column), also between pixels (Lanczos); edges are mirrored."""
    whole = np.floor(corner).astype(int)
    axes = zip(plane.shape, whole, shape, strict=True)
    rows, columns = (_mirrored_index(length, int(start), count) for length, start, count in axes)
    view = plane[np.ix_(rows, columns)].astype(np.float64)
    for fraction, length in zip(corner - whole, shape, strict=True):  # the transpose filters the other axis
        weights = LANCZOS3.weight(fraction - _TAPS)
        weights /= weights.sum()
        view = filter_rows(view, weights, length).T
    return view


def _mirrored_index(length: int, start: int, count: int) -> NDArray[np.int64]:
    """The row indices from `start` on, with the margin for Lanczos, mirrored at the edges."""
    mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    index = np.arange(start + int(_TAPS[0]), start + count + int(_TAPS[-1]))
    return mirrored[index % len(mirrored)]


def _disc_coverage(shape: tuple[int, int], centre: Floats, radius: float) -> Floats:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    covered: Floats = np.clip(radius - np.hypot(rows - centre[0], columns - centre[1]) + 0.5, 0, 1)
    return covered


def _draw_sprite(plane: Luma, shape: tuple[int, int], random: np.random.Generator) -> _Sprite:
    return _Sprite(
        centre=random.uniform(0, shape),
        speed=_draw_speed(_MAX_SPRITE_SPEED, random),
        radius=random.uniform(*_SPRITE_RADIUS) * min(shape),
        origin=_draw_corner(plane, shape, random),
    )


def _draw_speed(fastest: float, random: np.random.Generator) -> Floats:
    """A velocity in any direction, log-uniform in speed."""
    pixels, angle = np.exp(random.uniform(np.log(_MIN_SPEED), np.log(fastest))), random.uniform(0, 2 * np.pi)
    speed: Floats = pixels * np.array([np.sin(angle), np.cos(angle)])
    return speed


def _draw_corner(plane: Luma, shape: tuple[int, int], random: np.random.Generator) -> Floats:
    room = [have - want for have, want in zip(plane.shape, shape, strict=True)]
    return random.integers(0, np.array(room) + 1).astype(np.float64)
