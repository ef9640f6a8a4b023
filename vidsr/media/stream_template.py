"""What a recorder's targets are fed with: streams to declare, packets with their times."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

import av
from av import Packet
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidsr.media.frame import SidePacket


class Stencil:
    """A copy of what a stream is, to declare others by: the stream itself ends with the connection it came from.

    A video's has the size that its decoder saw last, and the headers that the packet `first` bears, if any: a camera
    may become another on the way, of which FFmpeg's stream says nothing.
    """

    def __init__(self, stream: Stream, *, first: "AnyPacket | None" = None) -> None:
        holder = nowhere()  # the copy lives in it
        self.stream = holder.add_stream_from_template(stream, opaque=True)
        if isinstance(stream, VideoStream):
            seen, copy = stream.codec_context, self.stream.codec_context
            assert isinstance(copy, VideoCodecContext)
            copy.width, copy.height, copy.sample_aspect_ratio = seen.width, seen.height, aspect(stream)
            copy.extradata = (_headers(first, stream) if first else None) or copy.extradata
            holder.start_encoding()
        holder.close()

    def like(self, other: "Stencil") -> bool:
        """Whether packets of the one can follow those of the other in a file."""
        return self._nature() == other._nature()

    def _nature(self) -> tuple[object, ...]:
        stream = self.stream
        sound = (stream.rate, stream.layout.name) if isinstance(stream, AudioStream) else ()
        return (stream.codec_context.name, stream.codec_context.extradata, *sound)


def nowhere() -> OutputContainer:
    """A container for the sake of a stream in it; it writes nothing.

    Once closed it holds its streams no more, but they go on to hold it, and live as long as somebody uses them.
    """
    return av.open("-", "w", format="null")


def aspect(stream: VideoStream) -> Fraction:
    """The shape of its pixels: as its decoder saw it last, else as its container says."""
    return stream.codec_context.sample_aspect_ratio or stream.sample_aspect_ratio or Fraction(1)


def _headers(packet: "AnyPacket", stream: VideoStream) -> bytes | None:
    """The headers of the codec in a packet; None where it has none, or they are the container's, as in MP4."""
    if not (stream.codec_context.extradata or b"\0").startswith(b"\0"):
        return None
    try:
        found = BitStreamFilterContext("extract_extradata", stream).filter(Packet(bytes(packet)))
    except av.FFmpegError:  # no codec with headers, or bits that make no sense
        return None
    headers = [each.get_sidedata("new_extradata") for each in found if each.has_sidedata("new_extradata")]
    return bytes(headers[0]) if headers else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Feed:
    """The streams of one part of what is recorded; another size, format or sound is another feed."""

    video: VideoStream
    """The encoder's."""
    source: Stencil
    audio: Stencil | None
    begin: int
    """The time of its first picture in 1/90000 s."""

    def goes_on_as(self, other: "Feed") -> bool:
        """Whether a container that was begun for this one can take the packets of the other."""
        if self.video is not other.video or (self.audio is None) != (other.audio is None):
            return False
        return self.audio is None or other.audio is None or self.audio.like(other.audio)


AnyPacket: TypeAlias = "SidePacket | Packet[AudioStream] | Packet[VideoStream]"


@dataclass(frozen=True, kw_only=True, eq=False)
class Unit:
    """A packet and its times in 1/90000 s, which its own stop saying with the first container it is written to."""

    packet: AnyPacket
    pts: int
    dts: int
    key: bool = False
    source_key: bool = False
    """Whether the source has a key picture at the same time: where the original can be cut, too."""
    duration: int = 0

    def apart(self) -> "Unit":
        """The same with a packet of its own, for a thread of its own: other targets are given this one's."""
        packet: SidePacket = Packet(bytes(self.packet))
        packet.is_keyframe = self.packet.is_keyframe
        return replace(self, packet=packet)
