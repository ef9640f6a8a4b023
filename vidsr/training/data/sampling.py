"""The sampling plan of a dataset: files, the order in which they are read, and the positions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsr.callbacks import OnWarning
from vidsr.errors import SourceError, TrainingError
from vidsr.media.probe import MediaProbe, probe
from vidsr.settings import DatasetSettings, DegradeSettings
from vidsr.settings.range_syntax import parse_range
from vidsr.training.data.clips import DEFAULT_RATE
from vidsr.training.data.scenes import TimeRange
from vidsr.training.data.sources import Footage

_GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples modulo 1 are evenly spread for any count


@dataclass(frozen=True, kw_only=True)
class SampledFile:
    """A file at one size, a factor of the original; `ranges` and `start_times` as in Footage."""

    path: Path
    size: float
    outline: MediaProbe
    ranges: tuple[TimeRange, ...] = ()
    start_times: tuple[float, ...] = ()

    @property
    def pixels(self) -> float:
        """Pixels of one frame at that size."""
        return self.size**2 * self.outline.width * self.outline.height


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

    A file that is unreadable, too small or too short is skipped with a warning. Raises TrainingError if none is left.
    """
    found: list[SampledFile] = []
    for file in footage:
        try:
            found += _usable_sizes(file, settings, side)
        except SourceError as error:
            on_warning(str(error))
    if not found:
        raise TrainingError(f"nothing to degrade: none of {len(footage)} files is usable")
    return found


def sample_point(
    number: int, files: Sequence[SampledFile], settings: DegradeSettings, dataset: DatasetSettings
) -> SamplePoint:
    """The sample point of a number: videos in turn, evenly; images at random, by area."""
    videos = [file for file in files if not file.outline.still]
    images = [file for file in files if file.outline.still]
    share = dataset.footage_share if videos and images else float(bool(videos))
    before, until = math.floor(number * share), math.floor((number + 1) * share)
    if until > before:
        position = (before // len(videos) + 0.5) * _GOLDEN % 1
        return SamplePoint(number=number, file=videos[before % len(videos)], position=position)
    areas = np.array([file.pixels for file in images])
    chosen = np.random.default_rng([settings.seed, 0, number]).choice(len(images), p=areas / areas.sum())
    return SamplePoint(number=number, file=images[chosen])


def _usable_sizes(file: Footage, settings: DegradeSettings, side: int) -> list[SampledFile]:
    outline = probe(file.path)
    needed = int(parse_range(settings.frames)[0])
    seconds = max((time_range.seconds for time_range in file.ranges), default=outline.seconds)
    frames = round(seconds * (outline.rate or DEFAULT_RATE))
    if not outline.still and 0 < frames < needed:
        raise SourceError(f"{file.path}: has {frames} frames, fewer than the {needed} of a clip; skipped")
    shorter = min(outline.width, outline.height)
    found = [
        SampledFile(path=file.path, size=size, outline=outline, ranges=file.ranges, start_times=file.start_times)
        for size in file.sizes
        if shorter * size >= side
    ]
    if not found:
        raise SourceError(f"{file.path}: smaller than the {side} pixels per side of a clip; skipped")
    return found
