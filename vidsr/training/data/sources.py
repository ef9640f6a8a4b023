"""What there is to learn from: luma of picture files, and of frames of videos, evenly or where it is said."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.errors import SourceError, TrainingError
from vidsr.media.containers import (
    IMAGE_SUFFIXES,
    READ_ONLY_IMAGE_SUFFIXES,
    READ_ONLY_VIDEO_SUFFIXES,
    VIDEO_SUFFIXES,
)
from vidsr.media.formats import luma_8bit
from vidsr.media.frame import VideoInfo
from vidsr.media.image_reader import read_image
from vidsr.media.probe import probe
from vidsr.media.reader import Reader
from vidsr.quality.ycbcr import studio_luma
from vidsr.training.data.clip_window import clip_at
from vidsr.training.data.scenes import Span

_VIDEOS = VIDEO_SUFFIXES | READ_ONLY_VIDEO_SUFFIXES
SMALLEST = 32
"""Pixels a side of the smallest picture that has anything to teach."""
_KNOWN = _VIDEOS | IMAGE_SUFFIXES | READ_ONLY_IMAGE_SUFFIXES
_LENGTH = 500  # frames that a video is taken to have when nothing says how many


@dataclass(frozen=True, kw_only=True)
class Source:
    """A picture, a video or a folder of them, and the sizes, in parts of the original, at which they are used."""

    path: Path
    sizes: tuple[float, ...] = (1.0, 0.7)


@dataclass(frozen=True, kw_only=True)
class Footage:
    """One file of a source, and what of it is used if it is a video."""

    path: Path
    sizes: tuple[float, ...]
    spans: tuple[Span, ...] = ()
    """Where in the video; none: all of it."""
    moments: tuple[float, ...] = ()
    """Seconds since its beginning, within the spans, at which clips begin; none: spread evenly."""

    def __post_init__(self) -> None:
        for moment in self.moments if self.spans else ():
            if not any(span.holds(moment) for span in self.spans):
                raise ValueError(f"{self.path}: the moment {moment:g} s lies in none of its spans")


def footage_of(sources: Iterable[Source]) -> list[Footage]:
    """Every file of the sources, sorted within a folder. Raises TrainingError for a source that holds none."""
    found = []
    for source in sources:
        inside = sorted(path for path in source.path.rglob("*") if path.suffix.lower() in _KNOWN)
        files = inside if source.path.is_dir() else [source.path]
        if not files:
            raise TrainingError(f"{source.path}: no picture and no video to train on")
        found += [Footage(path=path, sizes=source.sizes) for path in files]
    return found


def held_out_of(footage: list[Footage], share: float, seed: int) -> tuple[list[Footage], list[Footage]]:
    """What to train on and what to hold out: a share of the files, one at the least where there are two.

    Whole files, for frames of one clip are too much alike to judge each other.
    """
    count = min(len(footage) - 1, max(1, round(share * len(footage)))) if share else 0
    chosen = set(np.random.default_rng(seed).permutation(len(footage))[:count].tolist())
    kept = [file for number, file in enumerate(footage) if number not in chosen]
    return kept, [file for number, file in enumerate(footage) if number in chosen]


def read_lumas(footage: Iterable[Footage], frames: int, note: Callable[[str], None]) -> Iterator[tuple[Footage, Luma]]:
    """(H, W) luma in the range of video: of each picture, and of up to so many frames of what is used of each video.

    A file that cannot be read, or whose picture is too small to learn from, is noted and passed over.
    """
    for file in footage:
        try:
            for luma in _frames(file, frames) if _is_video(file.path) else [_picture(file.path)]:
                if min(luma.shape) < SMALLEST:
                    note(f"{file.path}: smaller than {SMALLEST} pixels a side; passed over")
                    break
                yield file, luma
        except SourceError as error:
            note(str(error))


def training_luma(image: NDArray[np.uint8]) -> Luma:
    """Studio-range luma; a grey picture spans 0 to 255 and is mapped to 16 to 235."""
    if image.ndim == 3:
        return studio_luma(image)
    return np.round(image * (219 / 255) + 16).astype(np.uint8)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in _VIDEOS


def _picture(path: Path) -> Luma:
    return training_luma(read_image(path))


def _frames(file: Footage, count: int) -> Iterator[Luma]:
    return _chosen(file, count) if file.spans or file.moments else _even(file.path, count)


def _chosen(file: Footage, count: int) -> Iterator[Luma]:
    seconds = probe(file.path).seconds
    places = [
        clip_at(number / count, spans=file.spans, moments=file.moments, seconds=seconds, clip_s=0.0)
        for number in range(count)
    ]
    for start_s, end_s in dict.fromkeys(places):
        with Reader(file.path, start_s=start_s, end_s=end_s) as reader:
            yield luma_8bit(reader.first.av_frame).copy()


def _even(path: Path, count: int) -> Iterator[Luma]:
    with Reader(path) as reader:
        stride = max(1, _length(reader.info) // count)
        for frame in islice(reader, 0, stride * count, stride):
            yield luma_8bit(frame.av_frame).copy()  # the frame's own memory is reused


def _length(info: VideoInfo) -> int:
    """How many frames there are, as well as the container tells."""
    if info.frames or not (info.duration_s and info.rate):
        return info.frames or _LENGTH
    return round(info.duration_s * info.rate)
