"""Shards: files of a few degraded frames with what they were, each made of a few visits and of nothing else."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.errors import SourceError
from vidsr.media.atomic_file import atomic_write
from vidsr.settings import DegradeSettings
from vidsr.settings.range_syntax import span_of
from vidsr.training.data.clips import Shot, cut, film_shot, picture_of, picture_shot
from vidsr.training.data.degradation import Recipe, degrade, draw_count, draw_recipe
from vidsr.training.data.sampling import Visit

CLIPS_OF_A_VISIT, VISITS_OF_A_SHARD = 8, 4
CLIPS_OF_A_SHARD = CLIPS_OF_A_VISIT * VISITS_OF_A_SHARD
FLAT = 1.0  # grey levels of standard deviation that a frame with something to see in it has
TRIES = 8


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What one process makes at a time."""

    path: Path
    visits: tuple[Visit, ...]
    settings: DegradeSettings
    crop: int
    """Low-resolution pixels a side."""

    @property
    def side(self) -> int:
        """Full-size pixels a side."""
        return self.crop * self.settings.scale


@dataclass(frozen=True, kw_only=True)
class Frames:
    """What a shard holds."""

    small: NDArray[np.uint8]
    """(N, crop, crop): decoded luma."""
    large: NDArray[np.uint8]
    """(N, scale*crop, scale*crop): what that was."""
    recipes: NDArray[np.str_]
    """(N,): what was done to each, for people."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What became of a shard."""

    clips: int
    notes: list[str]
    """Which files could not be read, or show nothing."""


def make_shard(shard: Shard) -> Made:
    """Write the shard. Raises TargetError."""
    notes: list[str] = []
    made = [one for visit in shard.visits for one in _visited(visit, shard, notes)]
    write_frames(
        shard.path,
        Frames(
            small=np.array([small for small, _, _ in made], np.uint8).reshape(-1, shard.crop, shard.crop),
            large=np.array([large for _, large, _ in made], np.uint8).reshape(-1, shard.side, shard.side),
            recipes=np.array([str(recipe) for _, _, recipe in made], np.str_),
        ),
    )
    return Made(clips=len(made), notes=notes)


def write_frames(path: Path, frames: Frames) -> None:
    """Write a shard of them. Raises TargetError."""
    content = io.BytesIO()  # a disk that is full makes numpy fail twice over
    np.savez(content, small=frames.small, large=frames.large, recipes=frames.recipes)
    with atomic_write(path, overwrite=True) as file:
        file.write(content.getbuffer())


def read_shard(path: Path, *, crop: int, scale: int) -> Frames | None:
    """What is in the shard; None when it is not there or not sound."""
    try:
        with path.open("rb") as whole, np.load(whole, allow_pickle=False) as file:  # numpy alone leaves it open
            small, large, recipes = file["small"], file["large"], file["recipes"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    side = crop * scale
    count = len(small) if small.ndim else -1
    shapes = (small.shape, large.shape, recipes.shape)
    if shapes != ((count, crop, crop), (count, side, side), (count,)) or {small.dtype, large.dtype} != {
        np.dtype("u1")
    }:
        return None
    return Frames(small=small, large=large, recipes=recipes)


def _visited(visit: Visit, shard: Shard, notes: list[str]) -> Iterator[tuple[Luma, Luma, Recipe]]:
    """The clips of a visit; what cannot be used of it is noted."""
    first = visit.number * CLIPS_OF_A_VISIT
    try:
        source = _source(visit, shard)
        for clip in range(first, first + CLIPS_OF_A_VISIT):
            random = np.random.default_rng([shard.settings.seed, 1, clip])
            yield _degraded(source, visit.material.size, shard, random)
    except SourceError as error:
        notes.append(str(error))
    except _Flat:
        where = "" if visit.material.outline.still else f" at {source.start_s:.1f} s"
        notes.append(f"{visit.material.path}: shows nothing{where}")


def _source(visit: Visit, shard: Shard) -> Shot:
    """The picture, at its size, or as many frames of the film as the longest clip needs. Raises SourceError."""
    material = visit.material
    fewest, most = map(int, span_of(shard.settings.frames))
    if material.outline.still:
        shot = Shot(planes=[picture_of(material.path, material.size)])
    else:
        shot = film_shot(
            material.path,
            material.outline,
            place=visit.place,
            frames=most,
            spans=material.spans,
            moments=material.moments,
        )
        if len(shot.planes) < fewest:
            raise SourceError(f"{material.path}: too few frames for a clip at {shot.start_s:.1f} s")
    size = 1.0 if material.outline.still else material.size
    if min(shot.planes[0].shape) * size < shard.side:
        raise SourceError(f"{material.path}: is smaller than its header says")
    return shot


class _Flat(Exception):
    """There is nothing to see."""


def _degraded(source: Shot, size: float, shard: Shard, random: np.random.Generator) -> tuple[Luma, Luma, Recipe]:
    """One frame of a clip of the source, small and large, and what was done to it."""
    settings = shard.settings
    recipe, frames = draw_recipe(settings, random), draw_count(settings.frames, random)
    shot = _shot(source, size, frames, shard, random)
    late = len(shot.planes) > 1 and random.random() >= settings.first_share
    chosen = int(random.integers(1, len(shot.planes))) if late else 0
    small = list(degrade(shot.planes, recipe, scale=settings.scale, random=random, rate=shot.rate))
    return small[chosen], shot.planes[chosen], recipe


def _shot(source: Shot, size: float, frames: int, shard: Shard, random: np.random.Generator) -> Shot:
    """So many frames, a square, anywhere in the source where there is something to see. Raises _Flat."""
    for _ in range(TRIES):
        if len(source.planes) > 1:
            shot = cut(replace(source, planes=source.planes[:frames]), shard.side, size, random)
        else:
            shot = picture_shot(source.planes[0], (shard.side, shard.side), frames, shard.settings, random)
        if shot.planes[0].std() >= FLAT:
            return shot
    raise _Flat
