"""Writing luma planes as a lossless grey video, for viewing."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
from av import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from vidsr.arrays import Luma
from vidsr.errors import TargetError
from vidsr.media.atomic_file import atomic_write
from vidsr.media.containers import container_for
from vidsr.media.error_text import closing_output
from vidsr.media.formats import luma_of, neutral_frame

_CODEC, _PIXEL_FORMAT = "ffv1", "yuv444p"  # any size; players show it in limited range, as other videos
_SUFFIX = ".mkv"


def write_luma_video(target: Path, planes: Iterable[Luma], rate: Fraction, *, source: Path, overwrite: bool) -> int:
    """Writes (H, W) planes of one shape as a video of `rate` frames per second; the number of frames.

    The file is written atomically. Raises TargetError if its name does not end in .mkv, if it exists and `overwrite`
    is False, or if it cannot be written.
    """
    if target.suffix.lower() != _SUFFIX:
        raise TargetError(f"{target}: the name must end in {_SUFFIX}")
    count = 0
    with (
        atomic_write(target, source=source, overwrite=overwrite) as file,
        closing_output(av.open(file, "w", format=container_for(target).format)) as output,
    ):
        stream = output.add_stream(_CODEC, rate=rate)
        assert isinstance(stream, VideoStream)
        for count, plane in enumerate(planes, 1):
            output.mux(stream.encode(_frame(plane, count - 1, stream, rate)))
        output.mux(stream.encode(None))
    return count


def _frame(plane: Luma, index: int, stream: VideoStream, rate: Fraction) -> VideoFrame:
    height, width = plane.shape
    if not index:
        stream.width, stream.height, stream.pix_fmt = width, height, _PIXEL_FORMAT
        stream.codec_context.color_range = ColorRange.MPEG
    frame = neutral_frame((width, height), _PIXEL_FORMAT)
    luma_of(frame)[:] = plane
    frame.pts, frame.time_base = index, 1 / rate
    return frame
