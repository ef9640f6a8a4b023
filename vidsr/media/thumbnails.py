"""Small pictures of a film, to find one's way in it: of every picture of a short one, of key frames of a long one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.container import InputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from vidsr.arrays import Luma
from vidsr.errors import SourceError
from vidsr.media.open_input import open_source
from vidsr.media.outline import outline_of
from vidsr.media.probe import first_video
from vidsr.media.reader import Reader

WIDTH, HEIGHT = 64, 48
"""Of a small picture, whatever the shape of the film."""
_AT_LENGTH_S = 600.0  # of film that is read to the end: 15,000 pictures, which takes a core up to two minutes at 1080p


@dataclass(frozen=True, kw_only=True, eq=False)
class Thumbnail:
    """A picture of a film, small."""

    time_s: float
    """Since the beginning of the film."""
    luma: Luma
    """(48, 64) from black, 0, to white, 255; each pixel the mean of those it stands for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Glimpse:
    """A picture of a film, as it is and small, and what follows shortly after."""

    now: Thumbnail
    whole: Luma
    """(H, W) from black, 0, to white, 255."""
    later: Thumbnail


def is_long(path: Path) -> bool:
    """Whether the film is looked at here and there alone. Raises SourceError."""
    return outline_of(path).seconds > _AT_LENGTH_S


def thumbnails(path: Path) -> Iterator[Thumbnail]:
    """Every picture. Raises SourceError."""
    look = _Look()
    with Reader(path) as reader:
        for time_s, picture in _read(reader):
            yield look.small(time_s, picture)


def glimpses(path: Path, times_s: Iterable[float], *, later_s: float) -> Iterator[Glimpse]:
    """What a film shows at these times, which ascend, each with the first picture that comes `later_s` after.

    A short film is read once, to the last of them. In a long one each is the last key frame before its time, none
    twice, at the cost of a seek and of decoding `later_s`. Times with nothing to see there are left out.
    Raises SourceError.
    """
    look, latest = _Look(), -1.0
    with Reader(path) as reader:
        if not is_long(path):
            pictures = _read(reader)
            for time_s in times_s:
                if glimpse := look.glimpse(pictures, time_s, later_s):
                    yield glimpse
            return
    with open_source(path) as container:
        video = first_video(container)
        if video is None:
            raise SourceError(f"{path}: holds no video")
        for time_s in times_s:
            glimpse = look.glimpse(_sought(container, video, time_s), 0.0, later_s)
            if glimpse and glimpse.now.time_s > latest:
                latest = glimpse.now.time_s
                yield glimpse


def _read(reader: Reader) -> Iterator[tuple[float, VideoFrame]]:
    return ((float(((f.picture.pts or 0) - reader.start_pts) * reader.time_base), f.picture) for f in reader)


def _sought(container: InputContainer, video: VideoStream, time_s: float) -> Iterator[tuple[float, VideoFrame]]:
    """The pictures from the last key frame before a time on, as far as they can be decoded."""
    first, base = video.start_time or 0, video.time_base or Fraction(1, av.time_base)
    try:
        container.seek(first + round(time_s / base), stream=video)
        for picture in container.decode(video):
            if picture.pts is not None and not picture.is_corrupt:
                yield float((picture.pts - first) * base), picture
    except av.FFmpegError:
        return


class _Look:
    """Pictures made small and grey: PyAV would make a scaler, with its threads, for each."""

    def __init__(self) -> None:
        self._shrinker, self._copier = VideoReformatter(), VideoReformatter()

    def small(self, time_s: float, picture: VideoFrame) -> Thumbnail:
        shrunk = self._shrinker.reformat(
            picture, width=WIDTH, height=HEIGHT, format="gray", interpolation=Interpolation.AREA, threads=1
        )
        return Thumbnail(time_s=time_s, luma=shrunk.to_ndarray().astype(np.uint8, copy=False))

    def glimpse(self, pictures: Iterator[tuple[float, VideoFrame]], time_s: float, later_s: float) -> Glimpse | None:
        """The first of the pictures at or after a time; None when there is none, or none so much later."""
        for at_s, picture in pictures:
            if at_s >= time_s:
                now, whole = self.small(at_s, picture), self._copier.reformat(picture, format="gray", threads=1)
                break
        else:
            return None
        later = next((self.small(at_s, other) for at_s, other in pictures if at_s >= now.time_s + later_s), None)
        return Glimpse(now=now, whole=whole.to_ndarray().astype(np.uint8), later=later) if later else None
