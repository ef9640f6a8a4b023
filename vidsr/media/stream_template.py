"""Stream parameters and timed packets, the input of all sinks."""

from dataclasses import dataclass, replace
from fractions import Fraction

import av
from av import Packet
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidsr.media.frame import AnyPacket, SidePacket


class StreamTemplate:
    """A copy of the parameters of a stream, to declare others by; it outlives the connection of the stream.

    A video template has the size that the decoder saw last: a camera may change its format, which the stream itself
    does not show. `headers` replaces the codec headers (extradata) of the stream.
    """

    def __init__(self, stream: Stream, *, headers: bytes | None = None) -> None:
        container = null_container()  # it owns the copy
        self.stream = container.add_stream_from_template(stream, opaque=True)
        if isinstance(stream, VideoStream):
            decoder, copy = stream.codec_context, self.stream.codec_context
            assert isinstance(copy, VideoCodecContext)
            copy.width, copy.height, copy.sample_aspect_ratio = decoder.width, decoder.height, pixel_aspect(stream)
        if headers:
            self.stream.codec_context.extradata = headers
        if headers or isinstance(stream, VideoStream):
            container.start_encoding()
        container.close()

    def is_compatible(self, other: "StreamTemplate") -> bool:
        """Whether packets of both streams can share one stream of a file."""
        return self._signature() == other._signature()

    def _signature(self) -> tuple[object, ...]:
        stream = self.stream
        audio_params = (stream.rate, stream.layout.name) if isinstance(stream, AudioStream) else ()
        return (stream.codec_context.name, stream.codec_context.extradata, *audio_params)


def is_same_audio(audio: StreamTemplate | None, other: StreamTemplate | None) -> bool:
    """Whether packets of both can share one stream of a file, or both are None."""
    return audio is other or (audio is not None and other is not None and audio.is_compatible(other))


def null_container() -> OutputContainer:
    """A container that writes nothing, to create a stream in.

    Once closed it no longer refers to its streams; they keep it alive as long as they are in use.
    """
    return av.open("-", "w", format="null")


def pixel_aspect(stream: VideoStream) -> Fraction:
    """The sample aspect ratio: of the decoder, else of the container."""
    return stream.codec_context.sample_aspect_ratio or stream.sample_aspect_ratio or Fraction(1)


def video_headers(packet: AnyPacket, stream: Stream) -> bytes | None:
    """The codec headers in a packet; None without any, or where the container holds them, as in MP4."""
    if not (stream.codec_context.extradata or b"\0").startswith(b"\0"):
        return None
    copy: SidePacket = Packet(packet.size)  # padded, unlike Packet(bytes): parsers read beyond the end
    copy.update(bytes(packet))
    try:
        filtered = BitStreamFilterContext("extract_extradata", stream).filter(copy)
    except av.FFmpegError:  # a codec without headers, or corrupt data
        return None
    headers = [each.get_sidedata("new_extradata") for each in filtered if each.has_sidedata("new_extradata")]
    return bytes(headers[0]) if headers else None


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputStreams:
    """The streams of one part of a recording. A new size, format or audio begins another part."""

    video: VideoStream
    """The stream of the encoder."""
    source: StreamTemplate
    audio: StreamTemplate | None
    start_pts: int
    """The time of the first frame, in 1/90000 s."""
    camera: str = ""
    network: str = ""
    """The network that upscales while the load allows it."""

    def can_continue_with(self, other: "OutputStreams") -> bool:
        """Whether a container that was opened for these streams can hold the packets of `other`."""
        return self.video is other.video and is_same_audio(self.audio, other.audio)


@dataclass(frozen=True, kw_only=True, eq=False)
class TimedPacket:
    """A packet with its times in 1/90000 s; those of `av_packet` change with each container it is written to."""

    av_packet: AnyPacket
    pts: int
    dts: int
    key: bool = False
    source_key: bool = False
    """Whether the source has a key frame at the same time, so that the passthrough can be cut there, too."""
    duration: int = 0

    def detach(self) -> "TimedPacket":
        """The same with a copy of the packet, for use in another thread."""
        av_packet: SidePacket = Packet(bytes(self.av_packet))
        av_packet.is_keyframe = self.av_packet.is_keyframe
        return replace(self, av_packet=av_packet)
