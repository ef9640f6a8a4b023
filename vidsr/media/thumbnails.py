"""Thumbnails of a video, for surveys: of every frame of a short video, of key frames of a long one."""

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
from vidsr.media.open_input import open_source
from vidsr.media.probe import probe, require_video
from vidsr.media.reader import Reader

WIDTH, HEIGHT = 64, 48
"""Size of a thumbnail in pixels, for any aspect ratio of the video."""
_LONG_S = 600.0  # 15,000 frames: at 1080p a core reads them in up to two minutes


@dataclass(frozen=True, kw_only=True, eq=False)
class Thumbnail:
    """A reduced frame."""

    time_s: float
    """Since the first frame of the video."""
    luma: Luma
    """(48, 64), full range; each pixel is the mean of the pixels it covers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FramePair:
    """A frame, at full size and as a thumbnail, and the thumbnail of a frame shortly after."""

    now: Thumbnail
    luma: Luma
    """(H, W), full range."""
    later: Thumbnail


def is_long(path: Path) -> bool:
    """Whether `frame_pairs` reads key frames only. Raises SourceError."""
    return probe(path).seconds > _LONG_S


def thumbnails(path: Path) -> Iterator[Thumbnail]:
    """The thumbnails of all frames. Raises SourceError."""
    shrinker = Shrinker()
    with Reader(path) as reader:
        for time_s, frame in _timed_frames(reader):
            yield shrinker.shrink(time_s, frame)


def frame_pairs(path: Path, times_s: Iterable[float], *, later_s: float) -> Iterator[FramePair]:
    """The frames at these ascending times, each with the first frame at least `later_s` after it.

    A short video is read once, up to the last time. Of a long one each frame is the last key frame before its time,
    at the cost of a seek and of decoding `later_s`; no key frame comes twice. Times without a frame are dropped.
    Raises SourceError.
    """
    shrinker = Shrinker()
    with Reader(path) as reader:
        if reader.seconds <= _LONG_S:
            frames = _timed_frames(reader)
            for time_s in times_s:
                if pair := shrinker.pair(frames, time_s, later_s):
                    yield pair
            return
    yield from _key_frame_pairs(path, shrinker, times_s, later_s)


def _key_frame_pairs(
    path: Path, shrinker: "Shrinker", times_s: Iterable[float], later_s: float
) -> Iterator[FramePair]:
    """Opens the file itself: the Reader's decoder runs frame threads, which would decode ahead after every seek."""
    latest = -1.0
    with open_source(path) as container:
        video = require_video(path, container)
        for time_s in times_s:
            pair = shrinker.pair(_sought(container, video, time_s), 0.0, later_s)
            if pair and pair.now.time_s > latest:
                latest = pair.now.time_s
                yield pair


def _timed_frames(reader: Reader) -> Iterator[tuple[float, VideoFrame]]:
    return ((float(((f.av_frame.pts or 0) - reader.start_pts) * reader.time_base), f.av_frame) for f in reader)


def _sought(container: InputContainer, video: VideoStream, time_s: float) -> Iterator[tuple[float, VideoFrame]]:
    """(seconds, frame) from the last key frame before a time on, up to the first error."""
    first, base = video.start_time or 0, video.time_base or Fraction(1, av.time_base)
    try:
        container.seek(first + round(time_s / base), stream=video)
        for frame in container.decode(video):
            if frame.pts is not None and not frame.is_corrupt:
                yield float((frame.pts - first) * base), frame
    except av.FFmpegError:
        return


class Shrinker:
    """Makes thumbnails; the scalers are kept: PyAV would create one, with its threads, for each frame."""

    def __init__(self) -> None:
        self._scaler, self._converter = VideoReformatter(), VideoReformatter()

    def shrink(self, time_s: float, frame: VideoFrame) -> Thumbnail:
        """The thumbnail of a frame."""
        shrunk = self._scaler.reformat(
            frame, width=WIDTH, height=HEIGHT, format="gray", interpolation=Interpolation.AREA, threads=1
        )
        return Thumbnail(time_s=time_s, luma=shrunk.to_ndarray().astype(np.uint8, copy=False))

    def pair(self, frames: Iterator[tuple[float, VideoFrame]], time_s: float, later_s: float) -> FramePair | None:
        """The first frame at or after `time_s`, with one `later_s` after it; None if either is missing."""
        for at_s, frame in frames:
            if at_s >= time_s:
                now, grey = self.shrink(at_s, frame), self._converter.reformat(frame, format="gray", threads=1)
                break
        else:
            return None
        later = next((self.shrink(at_s, other) for at_s, other in frames if at_s >= now.time_s + later_s), None)
        return FramePair(now=now, luma=grey.to_ndarray().astype(np.uint8), later=later) if later else None
