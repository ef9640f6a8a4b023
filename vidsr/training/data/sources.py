"""Sources of training data: files, time ranges of videos, and the luma of their frames."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.callbacks import OnWarning
from vidsr.errors import SourceError
from vidsr.media.containers import READABLE, READABLE_VIDEOS
from vidsr.media.formats import luma_8bit
from vidsr.media.frame import VideoInfo
from vidsr.media.image_reader import read_image
from vidsr.media.probe import probe
from vidsr.media.reader import Reader
from vidsr.quality.crops import Crop
from vidsr.quality.matlab import imresize, studio_luma
from vidsr.quality.upscalers import to_uint8

MIN_SIDE = 32
"""Pixels per side of the smallest usable image."""
_DEFAULT_FRAMES = 500  # assumed for a video of unknown length


@dataclass(frozen=True)
class TimeRange:
    """A part of a video, in seconds from its start; the end is exclusive."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """Length."""
        return self.end_s - self.start_s

    def contains(self, time_s: float) -> bool:
        """Whether the time lies in the range."""
        return self.start_s <= time_s < self.end_s


@dataclass(frozen=True, kw_only=True)
class Source:
    """An image, a video or a folder of them, and the sizes at which they are used, as factors of the original."""

    path: Path
    sizes: tuple[float, ...] = (1.0, 0.7)


@dataclass(frozen=True, kw_only=True)
class Footage:
    """One file of a source, and the part of it to use if it is a video."""

    path: Path
    sizes: tuple[float, ...]
    ranges: tuple[TimeRange, ...] = ()
    """Usable ranges of the video; empty: all of it."""
    start_times: tuple[float, ...] = ()
    """Starts of clips in seconds, within the ranges; empty: evenly spread."""
    window: Crop | None = None
    """The part of the picture to train on; None: all of it."""

    def __post_init__(self) -> None:
        for start_s in self.start_times if self.ranges else ():
            if not any(time_range.contains(start_s) for time_range in self.ranges):
                raise ValueError(f"{self.path}: the start time {start_s:g} s lies in none of its ranges")

    @property
    def area(self) -> tuple[slice, slice]:
        """The index of the window into an (H, W) plane."""
        return self.window.area if self.window else (slice(None), slice(None))


def find_footage(sources: Iterable[Source]) -> list[Footage]:
    """Every file of the sources once, sorted per folder. Raises SourceError for a folder without any."""
    found: dict[object, Footage] = {}
    for source in sources:
        files = [source.path]
        if os.path.isdir(source.path):
            files = sorted(path for path in source.path.rglob("*") if path.suffix.lower() in READABLE)
        if not files:
            raise SourceError(f"{source.path}: no image or video to train on")
        for path in files:
            found.setdefault(_identity(path), Footage(path=path, sizes=source.sizes))
    return list(found.values())


def footage_without(files: Iterable[Footage], excluded: Iterable[Footage]) -> list[Footage]:
    """The files that are not among `excluded`, under any name."""
    identities = {_identity(file.path) for file in excluded}
    return [file for file in files if _identity(file.path) not in identities]


def _identity(path: Path) -> object:
    """What all names of a file have in common; a file that cannot be found is its path."""
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino


def read_lumas(footage: Iterable[Footage], frames: int, on_warning: OnWarning) -> Iterator[tuple[Footage, Luma]]:
    """Yields studio-range (H, W) luma: of each image, and of up to `frames` frames of each video.

    A file that is unreadable or too small is skipped with a warning.
    """
    for file in footage:
        try:
            for luma in _frames(file, frames):
                if min(luma.shape) < MIN_SIDE:
                    on_warning(f"{file.path}: smaller than {MIN_SIDE} pixels per side; skipped")
                    break
                yield file, luma
        except SourceError as error:
            on_warning(str(error))


def spread_lumas(file: Footage, count: int) -> Iterator[Luma]:
    """Yields studio-range luma of up to `count` frames of a video, evenly spread over it. Raises SourceError."""
    return _frames_at(file, count) if probe(file.path).seconds else _frames_evenly(file, count)


def training_luma(image: NDArray[np.uint8]) -> Luma:
    """Studio-range luma of an RGB image, or of a grey one, whose 0 to 255 is mapped to 16 to 235."""
    if image.ndim == 3:
        return studio_luma(image)
    return np.round(image * (219 / 255) + 16).astype(np.uint8)


def image_luma(path: Path, size: float = 1.0) -> Luma:
    """The studio-range (H, W) luma of an image, resized by the factor `size`. Raises SourceError."""
    return resize(training_luma(read_image(path)), size)


def resize(luma: Luma, size: float) -> Luma:
    """The plane, resized by the factor `size`."""
    return luma if size == 1.0 else to_uint8(imresize(luma, size))


def _frames(file: Footage, count: int) -> Iterator[Luma]:
    if file.path.suffix.lower() not in READABLE_VIDEOS:
        return iter([image_luma(file.path)])
    return _frames_at(file, count) if file.ranges or file.start_times else _frames_evenly(file, count)


def _frames_at(file: Footage, count: int) -> Iterator[Luma]:
    seconds = probe(file.path).seconds
    windows = [
        clip_window(number / count, ranges=file.ranges, start_times=file.start_times, seconds=seconds, clip_s=0.0)
        for number in range(count)
    ]
    for start_s, end_s in dict.fromkeys(windows):
        with Reader(file.path, start_s=start_s, end_s=end_s) as reader:
            yield luma_8bit(reader.first.av_frame)[file.area].copy()


def _frames_evenly(file: Footage, count: int) -> Iterator[Luma]:
    with Reader(file.path) as reader:
        stride = max(1, _frame_count(reader.info) // count)
        for frame in islice(reader, 0, stride * count, stride):
            yield luma_8bit(frame.av_frame)[file.area].copy()  # the decoder reuses the frame's memory


def _frame_count(info: VideoInfo) -> int:
    """The number of frames, as far as the container states it."""
    if info.frames or not (info.duration_s and info.rate):
        return info.frames or _DEFAULT_FRAMES
    return round(info.duration_s * info.rate)


def clip_window(
    position: float, *, ranges: Sequence[TimeRange], start_times: Sequence[float], seconds: float, clip_s: float
) -> tuple[float, float | None]:
    """Returns the start of a clip of `clip_s` seconds in a video, and the exclusive end, None for the video's end.

    `seconds` is the length of the video, 0 if unknown. `position` is from 0 to 1: over `start_times` if there are
    any, else over all times in `ranges`, or in the video, where the clip fits. A start time too late for the clip is
    moved back within its range.
    """
    usable = ranges or (TimeRange(0.0, max(seconds, clip_s)),)
    if start_times:
        start_s = start_times[min(int(position * len(start_times)), len(start_times) - 1)]
        time_range = next((time_range for time_range in usable if time_range.contains(start_s)), usable[-1])
        latest_s = time_range.end_s - clip_s if ranges or seconds else start_s
        start_s = max(time_range.start_s, min(start_s, latest_s))
    else:
        time_range, offset_s = _locate(usable, position, clip_s)
        start_s = time_range.start_s + offset_s
    return start_s, time_range.end_s if ranges else None


def _locate(ranges: Sequence[TimeRange], position: float, clip_s: float) -> tuple[TimeRange, float]:
    """The range, and the offset in it, at `position` from 0 to 1 of all possible starts."""
    slacks = [max(0.0, time_range.seconds - clip_s) for time_range in ranges]
    ends = list(accumulate(slacks))
    if not ends[-1]:
        return max(ranges, key=lambda time_range: time_range.seconds), 0.0
    distance = position * ends[-1]
    number = next(number for number, end in enumerate(ends) if distance < end or end == ends[-1])
    return ranges[number], distance - (ends[number] - slacks[number])
