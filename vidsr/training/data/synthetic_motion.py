"""Clips made of one image: still, or with a moving view and moving sprites.

Encoders treat them like footage, with key frames, differences and skipped blocks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Luma
from vidsr.quality.matlab import LANCZOS3
from vidsr.training.data.camera_effects import filter_rows

_FIXED_SHARE = 1 / 3  # of the moving clips: a fixed camera, only sprites move
_MIN_SPEED, _MAX_SPEED = 0.1, 3.0  # full-size pixels per frame
_MAX_SPRITE_SPEED = 5.0
_MAX_SPRITES = 3
_SPRITE_RADIUS = (0.08, 0.3)  # in parts of the clip's shorter side
_TAPS = np.arange(-2.0, 4.0)


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
    """The coverage of each pixel by a disc, from 0 to 1."""
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
    """The corner of a random part of that shape, on whole pixels."""
    room = [have - want for have, want in zip(plane.shape, shape, strict=True)]
    return random.integers(0, np.array(room) + 1).astype(np.float64)
