"""Writing luma alone, so that people can look at it: a video without loss and without colour."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidsr.errors import TargetError
from vidsr.media.atomic_file import atomic_write
from vidsr.media.containers import container_for
from vidsr.media.formats import luma_of

_NO_COLOUR = 128
_CODEC, _FORMAT = "ffv1", "yuv444p"  # takes any size, and players take it, in the range of video, as they do a film
_SUFFIX = ".mkv"


def write_lumas(
    target: Path, planes: Iterable[NDArray[np.uint8]], rate: Fraction, *, source: Path, overwrite: bool
) -> int:
    """How many (H, W) planes of one shape were written, so many a second; the file stands there whole or not at all.

    Raises TargetError when it is in the way or cannot be written, or its name does not end in .mkv.
    """
    if target.suffix.lower() != _SUFFIX:
        raise TargetError(f"{target}: the name must end in {_SUFFIX}")
    count = 0
    with atomic_write(target, source=source, overwrite=overwrite) as file:
        try:
            with av.open(file, "w", format=container_for(target).format) as output:
                stream = output.add_stream(_CODEC, rate=rate)
                assert isinstance(stream, VideoStream)
                for count, plane in enumerate(planes, 1):
                    output.mux(stream.encode(_picture(plane, count - 1, stream, rate)))
                output.mux(stream.encode(None))
        except av.FFmpegError as error:
            raise TargetError(f"{target}: {error.strerror}") from error
    return count


def _picture(plane: NDArray[np.uint8], number: int, stream: VideoStream, rate: Fraction) -> VideoFrame:
    height, width = plane.shape
    if not number:
        stream.width, stream.height, stream.pix_fmt = width, height, _FORMAT
        stream.codec_context.color_range = ColorRange.MPEG
    picture = VideoFrame(width, height, _FORMAT)
    for chroma in picture.planes[1:]:
        chroma.update(bytes([_NO_COLOUR]) * chroma.buffer_size)
    luma_of(picture)[:] = plane
    picture.pts, picture.time_base = number, 1 / rate
    return picture
