"""What flows through the pipeline, and what is known of where it comes from."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from av import Packet, VideoFrame
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Stream

from vidsr.media.compression import Compression
from vidsr.media.formats import Plane

Picture: TypeAlias = VideoFrame
_NOT_FOR_ENCODERS = {"VIDEO_ENC_PARAMS", "DISPLAYMATRIX"}  # the one is of the source, the other told to the container
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


def _newer_kind(cls: type[SideDataType], value: object) -> SideDataType:
    """A member for a kind that the enum does not list."""
    member = object.__new__(cls)
    member._name_, member._value_ = f"KIND_{value}", value  # type: ignore[assignment]
    return member


# PyAV 18.1 knows FFmpeg's kinds of side data up to 27, and fails on a frame that carries another: EXIF is 31.
SideDataType._missing_ = classmethod(_newer_kind)  # type: ignore[assignment]


def side_data(picture: VideoFrame, name: str) -> bytes | None:
    """What a picture carries beside its pixels, by PyAV's name for it; None without any."""
    found = picture.side_data.get(name)
    return bytes(found) if isinstance(found, SideData) else None


def carries_more(picture: VideoFrame) -> bool:
    """Whether an encoder may find something beside the pixels: captions, light levels, a time code."""
    carried: Iterable[object] = picture.side_data  # PyAV's stubs take it for a dict of text
    return any(isinstance(data, SideData) and data.type.name not in _NOT_FOR_ENCODERS for data in carried)
