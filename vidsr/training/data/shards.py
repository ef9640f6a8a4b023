"""Shards: files of LR/HR pairs, each built from its sample points alone; and the sampling plan, which spreads them."""

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.callbacks import OnWarning
from vidsr.errors import SourceError
from vidsr.media.atomic_file import atomic_write
from vidsr.media.probe import MediaProbe, probe
from vidsr.settings import DatasetSettings, DegradeSettings
from vidsr.settings.options import parse_range
from vidsr.training.data.clips import DEFAULT_RATE, Clip, crop_clip, image_clip, video_clip
from vidsr.training.data.degradation import Recipe, degrade, draw_count, draw_recipe
from vidsr.training.data.sources import Footage, image_luma

_GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples modulo 1 are evenly spread for any count
CLIPS_PER_POINT, POINTS_PER_SHARD = 8, 4
CLIPS_PER_SHARD = CLIPS_PER_POINT * POINTS_PER_SHARD
_OVERHEAD_BYTES = 16_384  # of a shard: names, recipes
MIN_CONTRAST = 1.0  # grey levels of standard deviation
MAX_TRIES = 8


@dataclass(frozen=True, kw_only=True)
class SampledFile:
    """A file at one of its sizes."""

    footage: Footage
    size: float
    media: MediaProbe

    @property
    def pixels(self) -> float:
        """Pixels of one frame at that size."""
        return self.size**2 * self.media.width * self.media.height


@dataclass(frozen=True, kw_only=True)
class SamplePoint:
    """One file and position, read once for several clips."""

    number: int
    file: SampledFile
    position: float = 0.0
    """Position in the usable part of a video, from 0 to 1."""


def sampled_files(
    footage: Sequence[Footage], settings: DegradeSettings, side: int, on_warning: OnWarning
) -> list[SampledFile]:
    """Every file at each of its sizes at which it holds clips of `side` full-size pixels.

    A file that is unreadable, too small or too short is skipped with a warning. Raises SourceError if none is left.
    """
    found: list[SampledFile] = []
    for file in footage:
        try:
            found += _usable_sizes(file, settings, side)
        except SourceError as error:
            on_warning(str(error))
    if not found:
        raise SourceError(f"nothing to degrade: none of {len(footage)} files is usable")
    return found


def sample_point(
    number: int, files: Sequence[SampledFile], settings: DegradeSettings, dataset: DatasetSettings
) -> SamplePoint:
    """The sample point of a number: videos in turn, evenly; images at random, by area."""
    videos = [file for file in files if not file.media.still]
    images = [file for file in files if file.media.still]
    share = dataset.footage_share if videos and images else float(bool(videos))
    before, until = math.floor(number * share), math.floor((number + 1) * share)
    if until > before:
        position = (before // len(videos) + 0.5) * _GOLDEN % 1
        return SamplePoint(number=number, file=videos[before % len(videos)], position=position)
    areas = np.array([file.pixels for file in images])
    chosen = np.random.default_rng([settings.seed, 0, number]).choice(len(images), p=areas / areas.sum())
    return SamplePoint(number=number, file=images[chosen])


def _usable_sizes(file: Footage, settings: DegradeSettings, side: int) -> list[SampledFile]:
    media = probe(file.path)
    needed = int(parse_range(settings.frames)[0])
    seconds = max((time_range.seconds for time_range in file.ranges), default=media.seconds)
    frames = round(seconds * (media.rate or DEFAULT_RATE))
    if not media.still and 0 < frames < needed:
        raise SourceError(f"{file.path}: has {frames} frames, fewer than the {needed} of a clip; skipped")
    shorter = min((file.window.width, file.window.height) if file.window else (media.width, media.height))
    found = [SampledFile(footage=file, size=size, media=media) for size in file.sizes if shorter * size >= side]
    if not found:
        raise SourceError(f"{file.path}: smaller than the {side} pixels per side of a clip; skipped")
    return found


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """The plan of one shard, which one process builds."""

    path: Path
    points: tuple[SamplePoint, ...]
    settings: DegradeSettings
    crop: int
    """Low-resolution pixels per side."""

    @property
    def side(self) -> int:
        """Full-size pixels per side."""
        return self.crop * self.settings.scale


@dataclass(frozen=True, kw_only=True)
class ShardFrames:
    """The content of a shard."""

    lr: NDArray[np.uint8]
    """(N, crop, crop): degraded, decoded luma."""
    hr: NDArray[np.uint8]
    """(N, scale*crop, scale*crop): the original luma."""
    recipes: NDArray[np.str_]
    """(N,): the degradation of each, as text."""


def build_shard(shard: ShardPlan) -> tuple[int, list[str]]:
    """Write the shard; returns its clips, and a warning per file that is unreadable or flat. Raises TargetError."""
    warnings: list[str] = []
    clips = [pair for point in shard.points for pair in _clips_at(point, shard, warnings)]
    write_shard(shard.path, clips, crop=shard.crop, scale=shard.settings.scale)
    return len(clips), warnings


def shard_path(folder: Path, number: int) -> Path:
    """The file of a shard, counted from 0."""
    return folder / f"shard-{number:05}.npz"


def shard_bytes(crop: int, scale: int) -> int:
    """The size of the file of a full shard."""
    return CLIPS_PER_SHARD * crop**2 * (1 + scale**2) + _OVERHEAD_BYTES


def write_shard(path: Path, clips: Sequence[tuple[Luma, Luma, Recipe | str]], *, crop: int, scale: int) -> None:
    """Write a shard file of (LR crop, HR crop, recipe) triples. Raises TargetError."""
    content = io.BytesIO()  # on a full disk numpy would fail a second time in its own cleanup
    np.savez(
        content,
        lr=np.array([lr for lr, _, _ in clips], np.uint8).reshape(-1, crop, crop),
        hr=np.array([hr for _, hr, _ in clips], np.uint8).reshape(-1, crop * scale, crop * scale),
        recipes=np.array([str(recipe) for _, _, recipe in clips], np.str_),
    )
    with atomic_write(path, overwrite=True) as file:
        file.write(content.getbuffer())


def read_shard(path: Path, *, crop: int, scale: int) -> ShardFrames | None:
    """The content of a shard file; None when it is missing or damaged."""
    try:
        # Opened here, because np.load(path) leaves a damaged file open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            lr, hr, recipes = file["lr"], file["hr"], file["recipes"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    side = crop * scale
    count = len(lr) if lr.ndim else -1
    shapes = (lr.shape, hr.shape, recipes.shape)
    if shapes != ((count, crop, crop), (count, side, side), (count,)) or {lr.dtype, hr.dtype} != {np.dtype("u1")}:
        return None
    return ShardFrames(lr=lr, hr=hr, recipes=recipes)


def _clips_at(point: SamplePoint, shard: ShardPlan, warnings: list[str]) -> Iterator[tuple[Luma, Luma, Recipe]]:
    """The degraded pairs of a sample point; problems are appended to `warnings`."""
    first = point.number * CLIPS_PER_POINT
    try:
        source = _read_source(point, shard)
        for clip in range(first, first + CLIPS_PER_POINT):
            random = np.random.default_rng([shard.settings.seed, 1, clip])
            yield _degrade_clip(source, point.file.size, shard, random)
    except SourceError as error:
        warnings.append(str(error))
    except _FlatError:
        where = "" if point.file.media.still else f" at {source.start_s:.1f} s"
        warnings.append(f"{point.file.footage.path}: shows nothing{where}")


def _read_source(point: SamplePoint, shard: ShardPlan) -> Clip:
    """The resized image, or as many frames of the video as the longest clip needs. Raises SourceError."""
    file = point.file
    fewest, most = map(int, parse_range(shard.settings.frames))
    if file.media.still:
        clip = Clip(planes=[image_luma(file.footage.path, file.size)])
    else:
        clip = video_clip(file.footage, file.media, position=point.position, frames=most)
        if len(clip.planes) < fewest:
            raise SourceError(f"{file.footage.path}: too few frames for a clip at {clip.start_s:.1f} s")
    size = 1.0 if file.media.still else file.size
    if min(clip.planes[0].shape) * size < shard.side:
        raise SourceError(f"{file.footage.path}: smaller than its header says")
    return clip


class _FlatError(Exception):
    """No crop has contrast."""


def _degrade_clip(
    source: Clip, size: float, shard: ShardPlan, random: np.random.Generator
) -> tuple[Luma, Luma, Recipe]:
    """One degraded frame of a clip of the source, the original frame, and the recipe."""
    settings = shard.settings
    recipe, frames = draw_recipe(settings, random), draw_count(settings.frames, random)
    clip = _draw_clip(source, size, frames, shard, random)
    later = len(clip.planes) > 1 and random.random() >= settings.first_share
    index = int(random.integers(1, len(clip.planes))) if later else 0
    lr = list(degrade(clip.planes, recipe, scale=settings.scale, random=random, rate=clip.rate))
    return lr[index], clip.planes[index], recipe


def _draw_clip(source: Clip, size: float, frames: int, shard: ShardPlan, random: np.random.Generator) -> Clip:
    """A random square clip of the source that has contrast. Raises _FlatError."""
    for _ in range(MAX_TRIES):
        if len(source.planes) > 1:
            clip = crop_clip(replace(source, planes=source.planes[:frames]), shard.side, size, random)
        else:
            clip = image_clip(source.planes[0], (shard.side, shard.side), frames, shard.settings, random)
        if clip.planes[0].std() >= MIN_CONTRAST:
            return clip
    raise _FlatError
