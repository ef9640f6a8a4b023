"""What a recorder's targets are fed with: streams to declare, packets with their times."""

from dataclasses import dataclass
from typing import TypeAlias

import av
from av import Packet
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from vidsr.media.frame import SidePacket


class Stencil:
    """A copy of what a stream is, to declare others by: the stream itself ends with the connection it came from."""

    def __init__(self, stream: Stream) -> None:
        self._holder = nowhere()  # the copy lives in it
        self.stream = self._holder.add_stream_from_template(stream, opaque=True)

    def like(self, other: "Stencil") -> bool:
        """Whether packets of the one can follow those of the other in a file."""
        return self._nature() == other._nature()

    def _nature(self) -> tuple[object, ...]:
        stream = self.stream
        sound = (stream.rate, stream.layout.name) if isinstance(stream, AudioStream) else ()
        return (stream.codec_context.name, stream.codec_context.extradata, *sound)


def nowhere() -> OutputContainer:
    """A container that keeps nothing."""
    return av.open("-", "w", format="null")


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
