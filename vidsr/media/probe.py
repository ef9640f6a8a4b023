"""Facts about a file and its streams: from its header alone (`probe`), or with its first frame (`video_info`)."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av import VideoFrame
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidsr.errors import SourceError
from vidsr.media.compression_probe import Compression
from vidsr.media.formats import depth_of
from vidsr.media.frame import StreamInfo, VideoInfo
from vidsr.media.libav import stream_codec
from vidsr.media.open_input import heif_items, is_still, open_source

_MAX_RATE = 1000  # frames per second; FFmpeg derives higher ones from two packets of DV
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_NOT_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass(frozen=True, kw_only=True)
class MediaProbe:
    """The header of an image or a video."""

    width: int
    height: int
    still: bool
    """Whether the file is an image."""
    seconds: float
    """Duration of the video, 0 if unknown."""
    rate: Fraction | None
    """Mean frames per second."""


def probe(path: Path) -> MediaProbe:
    """The header of a file, without decoding. Raises SourceError if it is neither image nor video."""
    with open_source(path) as container:
        video = require_video(path, container, missing="image and no video")
        if not video.codec_context.width or not video.codec_context.height:
            raise SourceError(f"{path}: holds no image and no video")
        return MediaProbe(
            width=video.codec_context.width,
            height=video.codec_context.height,
            still=is_still(container),
            seconds=video_seconds(container, video),
            rate=frame_rate(video),
        )


def video_seconds(container: InputContainer, video: VideoStream) -> float:
    """Duration of the video by its stream, else by the container; 0 if unknown."""
    stream_s = float(video.duration * video.time_base) if video.duration and video.time_base else 0.0
    return stream_s or (container.duration or 0) / av.time_base


def first_video(container: InputContainer) -> VideoStream | None:
    """The first video stream with a decoder, cover art and thumbnails excluded; None if there is none."""
    stills = heif_items(container)  # of an animation the first frame, once more
    for stream in sorted(container.streams.video, key=lambda stream: stream in stills):
        # Against PyAV's stubs a stream without a decoder has no context.
        if not stream.disposition & _NOT_VIDEO and getattr(stream, "codec_context", None) is not None:
            return stream
    return None


def require_video(path: Path, container: InputContainer, *, missing: str = "video") -> VideoStream:
    """The first video stream. Raises SourceError with the reason why there is none, or that `missing` is missing."""
    video, items = first_video(container), heif_items(container)
    if video in items and len(items) > 1:
        raise SourceError(f"{path}: a HEIC or AVIF image of several parts (tiles, alpha) is read by upscale only")
    if video is not None:
        return video
    if any(not stream.disposition & _NOT_VIDEO for stream in container.streams.video):
        raise SourceError(f"{path}: its video has a codec for which there is no decoder")
    raise SourceError(f"{path}: holds no {missing}")


def video_decoder(video: VideoStream) -> VideoCodecContext:
    """The decoder of a stream: libvpx for VP8 and VP9 with alpha, which FFmpeg's own decoders drop."""
    name = _ALPHA_DECODERS.get(codec_name(video))
    if name is None or tag(video.metadata, "alpha_mode") != "1":
        return video.codec_context
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder


def tag(tags: dict[str, str], name: str) -> str | None:
    """The value of a tag, whose name some containers write in capitals; None without it."""
    return next((value for key, value in tags.items() if key.lower() == name), None)


def missing_frames_text(container: InputContainer, video: VideoStream, *, trimmed: bool) -> str:
    """Why no frame can be decoded, at the start of the range if `trimmed`."""
    if video.codec_context.width:
        return " there: it ends before, or is damaged" if trimmed else ": it is damaged, or cut off"
    if container.format.name == "webp_pipe":
        return ": it is damaged, or an animated WebP"
    if is_still(container):
        return ": it is damaged, or of a kind that is not read; use a PNG of it"
    return ": it is damaged, or far too large"


def other_streams(container: InputContainer, video: VideoStream) -> list[Stream]:
    """All streams but the video, those that FFmpeg has read as chapters, and the stills of an animation."""
    items = heif_items(container)
    return [stream for stream in container.streams if stream is not video and stream.discard != Discard.all
            and stream not in items]  # fmt: skip


def video_info(
    path: Path,
    container: InputContainer,
    video: VideoStream,
    *,
    stored: VideoFrame,
    converted: VideoFrame,
    matrix: tuple[int, ...] | None,
    rotated: bool,
    interlaced: bool,
    compression: Compression,
) -> VideoInfo:
    """The facts of a source by its first frame, as decoded (`stored`) and in its working format (`converted`).

    `rotated`: filters have swapped width and height in between. `matrix` is the display matrix not yet applied.
    """
    aspect = video.sample_aspect_ratio or Fraction(1)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=codec_name(video),
        width=converted.width,
        height=converted.height,
        pixel_format=stored.format.name,
        working_format=converted.format.name,
        depth=depth_of(converted.format.name),
        rate=frame_rate(video),
        frames=video.frames,
        duration_s=container.duration / av.time_base if container.duration else None,
        pixel_aspect=1 / aspect if rotated else aspect,
        matrix=matrix,
        interlaced=interlaced,
        still=is_still(container),
        compression=compression,
        video=_stream_info(video),
        others=tuple(_stream_info(stream) for stream in other_streams(container, video)),
        chapters=len(container.chapters()),
    )


def codec_name(stream: Stream) -> str:
    """FFmpeg's name of the codec, or the tag of one that it does not know; of an attachment its MIME type."""
    if stream.type == "attachment":
        return printable(stream.metadata.get("mimetype", "unknown"))
    name, tag, headers = stream_codec(stream)
    if name != "none":
        return name
    return "webvtt" if headers.startswith(b"WEBVTT") else tag or "unknown"  # FFmpeg does not know S_TEXT/WEBVTT


def frame_rate(video: VideoStream) -> Fraction | None:
    """Mean frames per second; None if unknown."""
    average = video.average_rate
    return average if average and average < _MAX_RATE else video.guessed_rate or None


def title_of(stream: Stream) -> str:
    """The title tag; FFmpeg reads back a title in MP4 as `name`."""
    return stream.metadata.get("title") or stream.metadata.get("name", "")


def _stream_info(stream: Stream) -> StreamInfo:
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=codec_name(stream),
        language=printable(stream.language or ""),
        title=printable(title_of(stream)),
    )


def printable(text: str) -> str:
    """The text of a tag or a name with a sign for each byte that is not UTF-8."""
    return text.encode(errors="surrogateescape").decode(errors="replace")
