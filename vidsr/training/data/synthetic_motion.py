"""Clips made of one picture: with it still, or with the view and things in it on the move.

An encoder makes of them what it makes of footage: key frames, differences, and blocks that it skips.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Luma
from vidsr.quality.imresize import LANCZOS3
from vidsr.training.data.camera_effects import weighted_rows

_FIXED = 1 / 3  # of the clips that move: how often the camera does not, only things before it
_SLOWEST, _FASTEST = 0.1, 3.0  # full-size pixels a frame that a view moves
_THING_FASTEST = 5.0
_MOST_THINGS = 3
_THING = (0.08, 0.3)  # its radius in parts of the clip's shorter side
_TAPS = np.arange(-2.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class _Thing:
    """Part of the picture, round, that moves before the rest."""

    centre: Floats
    """(row, column) in the clip, of the first frame."""
    speed: Floats
    """Rows and columns a frame."""
    radius: float
    origin: Floats
    """Where in the picture the clip's corner would lie if all moved like this, in the first frame."""


def still_clip(plane: Luma, shape: tuple[int, int], frames: int, random: np.random.Generator) -> list[Luma]:
    """So many times the same (height, width) part of a plane that is at least as large: one object."""
    top, left = (int(corner) for corner in _corner(plane, shape, random))
    return [np.ascontiguousarray(plane[top : top + shape[0], left : left + shape[1]])] * frames


def moving_clip(plane: Luma, shape: tuple[int, int], frames: int, random: np.random.Generator) -> list[Luma]:
    """So many views, (height, width), that move slowly over a plane at least as large, with things that move."""
    fixed = random.random() < _FIXED
    things = [_draw_thing(plane, shape, random) for _ in range(random.integers(1 if fixed else 0, _MOST_THINGS + 1))]
    speed = np.zeros(2) if fixed else _draw_speed(_FASTEST, random)
    origin = _corner(plane, shape, random)
    clip = []
    for number in range(frames):
        picture = view(plane, origin + number * speed, shape)
        for thing in things:
            cover = _cover(shape, thing.centre + number * thing.speed, thing.radius)
            moved = view(plane, thing.origin - number * thing.speed, shape)
            picture = picture + cover * (moved - picture)
        clip.append(np.clip(np.round(picture), 0, 255).astype(np.uint8, order="C"))
    return clip


def view(plane: Luma, corner: Floats, shape: tuple[int, int]) -> Floats:
    """The (height, width) part of the plane at (row, column), whole or between pixels (by Lanczos); edges mirrored."""
    whole = np.floor(corner).astype(int)
    places = zip(plane.shape, whole, shape, strict=True)
    rows, columns = (_mirrored(length, int(start), count) for length, start, count in places)
    part = plane[np.ix_(rows, columns)].astype(np.float64)
    for beyond, length in zip(corner - whole, shape, strict=True):  # down the columns, then, turned, along the rows
        weights = LANCZOS3.weight(beyond - _TAPS)
        weights /= weights.sum()
        part = weighted_rows(part, weights, length).T
    return part


def _mirrored(length: int, start: int, count: int) -> NDArray[np.int64]:
    """The numbers of the rows from `start` on, with those around that Lanczos weighs."""
    there = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    reach = np.arange(start + int(_TAPS[0]), start + count + int(_TAPS[-1]))
    return there[reach % len(there)]


def _cover(shape: tuple[int, int], centre: Floats, radius: float) -> Floats:
    """How much of each pixel a disc covers."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    covered: Floats = np.clip(radius - np.hypot(rows - centre[0], columns - centre[1]) + 0.5, 0, 1)
    return covered


def _draw_thing(plane: Luma, shape: tuple[int, int], random: np.random.Generator) -> _Thing:
    return _Thing(
        centre=random.uniform(0, shape),
        speed=_draw_speed(_THING_FASTEST, random),
        radius=random.uniform(*_THING) * min(shape),
        origin=_corner(plane, shape, random),
    )


def _draw_speed(fastest: float, random: np.random.Generator) -> Floats:
    """In any direction, as often slower than the middle of the range, by its logarithm, as faster."""
    pixels, angle = np.exp(random.uniform(np.log(_SLOWEST), np.log(fastest))), random.uniform(0, 2 * np.pi)
    speed: Floats = pixels * np.array([np.sin(angle), np.cos(angle)])
    return speed


def _corner(plane: Luma, shape: tuple[int, int], random: np.random.Generator) -> Floats:
    """Where a part of that shape begins, anywhere in the plane, on whole pixels."""
    room = [have - want for have, want in zip(plane.shape, shape, strict=True)]
    return random.integers(0, np.array(room) + 1).astype(np.float64)
