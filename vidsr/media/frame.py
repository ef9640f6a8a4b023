"""What flows through the pipeline, and what is known of where it comes from."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from av import Packet, VideoFrame
from av.stream import Stream

from vidsr.arrays import Plane
from vidsr.media.compression_probe import Compression

Picture: TypeAlias = VideoFrame
SidePacket: TypeAlias = "Packet[Stream]"  # quoted: PyAV's packets take a parameter in its stubs alone
"""A packet of a stream beside the video."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A decoded picture in its working format, and the packets of other streams that came before it."""

    picture: VideoFrame
    luma: Plane
    """(H, W) view of the picture's luma, uint8, or uint16 above 8 bits."""
    packets: tuple[SidePacket, ...] = ()

    def __repr__(self) -> str:
        picture = self.picture
        return f"Frame({picture.width}x{picture.height} {picture.format.name}, pts={picture.pts})"


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """One stream of a file."""

    index: int
    kind: str
    codec: str
    language: str = ""
    title: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (f"#{self.index}", self.kind, self.codec, self.language, self.title) if part)


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What is known of a source before its frames are read, sizes as the frames will have them."""

    path: Path
    container: str
    codec: str
    width: int
    height: int
    pixel_format: str
    """As it is stored; `working_format` is what the frames are in."""
    working_format: str
    depth: int
    """Bits of a luma sample."""
    rate: Fraction | None
    """Frames a second on average; frames carry their own times."""
    frames: int
    """As the container says, 0 when it does not."""
    duration_s: float | None
    pixel_aspect: Fraction
    matrix: tuple[int, ...] | None
    """The display matrix that a player must apply to the frames, None when they are upright."""
    interlaced: bool
    still: bool
    """Whether it is a picture file."""
    compression: Compression
    video: StreamInfo
    others: tuple[StreamInfo, ...]
    """The streams beside the video."""
    chapters: int
