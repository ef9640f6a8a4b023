"""Clips of any size and length, made from one real clip."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

SIZES = {"270p": (480, 270), "360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "2160p": (3840, 2160)}
_CODING = {"preset": "veryfast", "crf": "23"}


def scaled_clip(clip: Path, target: Path, *, size: tuple[int, int], frames: int) -> Path:
    """Write `frames` frames of (width, height) by x264 to the target: the clip, scaled and looped."""
    scaler = VideoReformatter()
    with av.open(target, "w") as output:
        stream = output.add_stream("libx264", rate=25, options=_CODING)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number, frame in enumerate(islice(_looped_frames(clip), frames)):
            scaled = scaler.reformat(
                frame, width=size[0], height=size[1], format="yuv420p", interpolation=Interpolation.BICUBIC
            )
            scaled.pts, scaled.time_base, scaled.pict_type = number, Fraction(1, 25), 0
            output.mux(stream.encode(scaled))
        output.mux(stream.encode(None))
    return target


def _looped_frames(clip: Path) -> Iterator[VideoFrame]:
    while True:
        with av.open(clip) as source:
            yield from source.decode(video=0)
