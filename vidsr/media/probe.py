"""What can be said of an opened source once its first picture is decoded."""

from fractions import Fraction
from pathlib import Path

import av
from av import VideoFrame
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from vidsr.media.compression_probe import Compression
from vidsr.media.formats import depth_of
from vidsr.media.frame import StreamInfo, VideoInfo
from vidsr.media.open_input import is_still

_FASTEST = 1000  # frames a second that are believed
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails


def first_video(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures that can be decoded: no cover, no thumbnails."""
    for stream in container.streams.video:
        # PyAV's stubs do not say so, but a stream that nothing decodes has no context.
        if not stream.disposition & _NO_VIDEO and getattr(stream, "codec_context", None) is not None:
            return stream
    return None


def streams_beside(container: InputContainer, video: VideoStream) -> list[Stream]:
    """The other streams; FFmpeg discards those that it has read as chapters."""
    return [stream for stream in container.streams if stream is not video and stream.discard != Discard.all]


def described(
    path: Path,
    container: InputContainer,
    video: VideoStream,
    *,
    stored: VideoFrame,
    worked: VideoFrame,
    matrix: tuple[int, ...] | None,
    on_its_side: bool,
    interlaced: bool,
    compression: Compression,
) -> VideoInfo:
    """The facts of a source; `stored` is its first picture as decoded, `worked` the same as it is worked on.

    `on_its_side`: it was turned by a quarter in between.
    """
    aspect = video.sample_aspect_ratio or Fraction(1)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=codec_name(video),
        width=worked.width,
        height=worked.height,
        pixel_format=stored.format.name,
        working_format=worked.format.name,
        depth=depth_of(worked.format.name),
        rate=frame_rate(video),
        frames=video.frames,
        duration_s=container.duration / av.time_base if container.duration else None,
        pixel_aspect=1 / aspect if on_its_side else aspect,
        matrix=matrix,
        interlaced=interlaced,
        still=is_still(container),
        compression=compression,
        video=_stream_info(video),
        others=tuple(_stream_info(stream) for stream in streams_beside(container, video)),
        chapters=len(container.chapters()),
    )


def codec_name(stream: Stream) -> str:
    """The name of what the stream is stored in, whoever decodes it; an attachment's is its MIME type."""
    if stream.codec_context is not None:
        return stream.codec_context.codec.canonical_name
    name = stream.name if stream.type == "data" else stream.metadata.get("mimetype")  # others have no attribute `name`
    return name or "unknown"


def frame_rate(video: VideoStream) -> Fraction | None:
    """Frames a second on average; what FFmpeg counts from two packets of DV is not believed."""
    average = video.average_rate
    return average if average and average < _FASTEST else video.guessed_rate or None


def title_of(stream: Stream) -> str:
    """What the stream is called; FFmpeg writes a title into MP4, and reads it as a name."""
    return stream.metadata.get("title") or stream.metadata.get("name", "")


def _stream_info(stream: Stream) -> StreamInfo:
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=codec_name(stream),
        language=stream.language or "",
        title=title_of(stream),
    )
