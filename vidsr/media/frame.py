"""The frames and packets of the pipeline, and the description of their source."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import av
from av import Packet
from av.audio.stream import AudioStream
from av.stream import Stream
from av.video.stream import VideoStream

from vidsr.arrays import Plane
from vidsr.media.compression_probe import Compression

if TYPE_CHECKING:
    from av.container.core import Chapter  # defined for type checkers only

VideoFrame: TypeAlias = av.VideoFrame
"""PyAV's frame, for modules outside `media`."""
SidePacket: TypeAlias = "Packet[Stream]"  # quoted: PyAV's packets are generic in its stubs only
"""A packet of a stream other than the video."""
AnyPacket: TypeAlias = "SidePacket | Packet[AudioStream] | Packet[VideoStream]"
"""A packet of any stream."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A decoded frame in its working format, and the packets of other streams that came before it."""

    av_frame: VideoFrame
    luma: Plane
    """(H, W) view of the frame's luma, uint8, or uint16 above 8 bits."""
    packets: tuple[SidePacket, ...] = ()

    def __repr__(self) -> str:
        frame = self.av_frame
        return f"Frame({frame.width}x{frame.height} {frame.format.name}, pts={frame.pts})"


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
    """A source, known before its frames are read; sizes are those of the frames as read."""

    path: Path
    container: str
    codec: str
    width: int
    height: int
    pixel_format: str
    """As stored; the frames are in `working_format`."""
    working_format: str
    depth: int
    """Bits per luma sample."""
    rate: Fraction | None
    """Mean frames per second; each frame has its own time stamp."""
    frames: int
    """Number of frames by the container, 0 if unknown."""
    duration_s: float | None
    pixel_aspect: Fraction
    matrix: tuple[int, ...] | None
    """The display matrix that a player must apply to the frames; None if they are upright."""
    interlaced: bool
    still: bool
    """Whether the file is an image."""
    compression: Compression
    video: StreamInfo
    others: tuple[StreamInfo, ...]
    """The streams other than the video."""
    chapters: int


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceTemplate:
    """What an output file takes over from its source besides frames and packets."""

    info: VideoInfo
    first: VideoFrame
    """The first frame in its working format: colour tags and side data."""
    time_base: Fraction
    """Seconds per tick of the frames' time stamps."""
    video: Stream
    others: tuple[Stream, ...]
    """The streams other than the video, as in `info.others`."""
    covers: dict[int, bytes]
    """Cover art by the index of its stream."""
    metadata: dict[str, str]
    """The tags of the file."""
    chapters: "tuple[Chapter, ...]"
    """With the times of the frames."""
