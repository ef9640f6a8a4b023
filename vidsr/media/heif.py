"""HEIF files (HEIC, AVIF): an image of tiles and with transparency, whose parts FFmpeg reads as a stream each."""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from av import VideoFrame
from av.container import InputContainer
from av.video.stream import VideoStream

from vidsr.errors import SourceError
from vidsr.media.color_tags import ColorTags
from vidsr.media.display_matrix import FLIP
from vidsr.media.filters import UNPREMULTIPLY, Filter, crop
from vidsr.media.formats import samples_of
from vidsr.media.libav import set_frame_side_data
from vidsr.media.side_data import FrameKind

_ROTATIONS: dict[int, tuple[Filter, ...]] = {
    1: (("transpose", "cclock"),),
    2: (*FLIP, ("hflip", "")),
    3: (("transpose", "clock"),),
}  # by quarters anticlockwise
_MIRRORS: dict[int, tuple[Filter, ...]] = {0: FLIP, 1: (("hflip", ""),)}
_XMP = rb"mime[^\0]*\0application/rdf\+xml\0"
_ALPHA = (b"alpha", b"auxid:1")


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """An image of equal tiles, row by row."""

    tiles: tuple[int, ...]
    """Ids of the items, which FFmpeg gives to the streams."""
    columns: int
    size: tuple[int, int] | None
    """(width, height), to which the tiles are cropped; None for one tile."""


@dataclass(frozen=True, kw_only=True)
class HeifImage:
    """The primary image of a file."""

    color: Tiling
    alpha: Tiling | None
    upright: tuple[Filter, ...]
    """The filters that turn it upright, and first divide its colours by an alpha by which they are multiplied."""
    profile: bytes | None
    """The ICC profile."""


def read_heif(path: Path, items: Sequence[VideoStream]) -> tuple[HeifImage, VideoStream]:
    """The structure of the primary image, and the first of its `items`. Raises SourceError if it is not understood."""
    try:
        image = _Meta(path.read_bytes()).primary()
        return image, next(stream for stream in items if stream.id == image.color.tiles[0])
    except (struct.error, IndexError, KeyError, StopIteration) as error:
        raise SourceError(
            f"{path}: the parts of this HEIC or AVIF image are not understood; use a PNG of it"
        ) from error


def heif_metadata(data: bytes) -> tuple[bytes | None, bytes | None, bool]:
    """Exif and XMP in the bytes of a file, and whether it holds a gain map, a depth map or the like.

    Raises struct.error, IndexError or KeyError if it is not understood.
    """
    meta = _Meta(data)
    exif = meta.item(b"Exif")
    return exif and exif[4 + int.from_bytes(exif[:4], "big") :], meta.item(_XMP), meta.has_auxiliary_images()


def decode_heif(path: Path, container: InputContainer, image: HeifImage, options: dict[str, str]) -> VideoFrame:
    """The whole image, not turned yet; `options` are those of the decoders. Raises SourceError for a missing part."""
    try:
        color = _assembled(container, image.color, options)
        profile = () if image.profile is None else (image.profile,)
        if image.alpha is None:
            set_frame_side_data(color, FrameKind.ICC_PROFILE, *profile)
            return color
        alpha = _assembled(container, image.alpha, options)
        whole = VideoFrame(color.width, color.height, color.format.name.replace("yuvj", "yuv").replace("yuv", "yuva"))
        for index in range(3):
            samples_of(whole, index)[:] = samples_of(color, index)
        samples_of(whole, 3)[:] = samples_of(alpha, 0)
        set_frame_side_data(whole, FrameKind.ICC_PROFILE, *profile)
        return _tagged(whole, color)
    except (av.FFmpegError, ValueError, KeyError, IndexError) as error:
        raise SourceError(f"{path}: a part of this HEIC or AVIF image is damaged or missing") from error


def _assembled(container: InputContainer, tiling: Tiling, options: dict[str, str]) -> VideoFrame:
    streams = [stream for stream in container.streams.video if stream.id in tiling.tiles]
    frames = dict(_decoded(container, streams, options))
    first = frames[tiling.tiles[0]]
    if tiling.size is None:
        return first
    rows = -(-len(tiling.tiles) // tiling.columns)
    whole = VideoFrame(first.width * tiling.columns, first.height * rows, first.format.name)
    for number, item in enumerate(tiling.tiles):
        for index in range(len(whole.planes)):
            part = samples_of(frames[item], index)
            height, width = part.shape
            y, x = number // tiling.columns * height, number % tiling.columns * width
            samples_of(whole, index)[y : y + height, x : x + width] = part
    return crop(_tagged(whole, first), tiling.size)


def _decoded(
    container: InputContainer, streams: list[VideoStream], options: dict[str, str]
) -> Iterator[tuple[int, VideoFrame]]:
    """The frame of each stream, by its id."""
    for stream in streams:
        stream.codec_context.options, stream.codec_context.thread_count = options, 1
    container.seek(0)
    for packet in container.demux(streams):
        yield from ((packet.stream.id, frame) for frame in packet.decode() if isinstance(frame, VideoFrame))


def _tagged(frame: VideoFrame, like: VideoFrame) -> VideoFrame:
    frame.pts, frame.time_base = 0, like.time_base
    ColorTags.of(like).write(frame)
    return frame


class _Meta:
    """The box `meta` of a file (ISO/IEC 14496-12 and 23008-12)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._boxes = dict(_boxes(dict(_boxes(data))[b"meta"][4:]))

    def primary(self) -> HeifImage:
        item = self._primary_item()
        upright: tuple[Filter, ...] = UNPREMULTIPLY * any(item == source for source, _ in self._references(b"prem"))
        profile = None
        for kind, value in self._properties(item):
            if kind == b"irot":
                upright += _ROTATIONS.get(value[0] & 3, ())
            elif kind == b"imir":
                upright += _MIRRORS[value[0] & 1]
            elif kind == b"colr" and value[:4] in (b"prof", b"rICC"):
                profile = value[4:]
        alpha = next((source for source in self._auxiliary_to(item) if self._is_alpha(source)), None)
        return HeifImage(
            color=self._tiling(item),
            alpha=None if alpha is None else self._tiling(alpha),
            upright=upright,
            profile=profile,
        )

    def has_auxiliary_images(self) -> bool:
        return not all(self._is_alpha(source) for source in self._auxiliary_to(self._primary_item()))

    def item(self, kind: bytes) -> bytes | None:
        """The bytes of the first item whose type, name and content type match a pattern."""
        data = self._boxes[b"iinf"]
        for _, info in _boxes(data[8 if data[0] else 6 :]):
            at = 8 if info[0] > 2 else 6  # behind the item's number, of 4 or 2 bytes
            if re.match(kind, info[at + 2 :]):
                return self._payload(int.from_bytes(info[4:at], "big"))
        return None

    def _primary_item(self) -> int:
        version, number = self._boxes[b"pitm"][0], self._boxes[b"pitm"][4:]
        return int.from_bytes(number[: 4 if version else 2], "big")

    def _auxiliary_to(self, item: int) -> Iterator[int]:
        return (source for source, targets in self._references(b"auxl") if item in targets)

    def _is_alpha(self, item: int) -> bool:
        return any(kind == b"auxC" and any(word in value for word in _ALPHA) for kind, value in self._properties(item))

    def _tiling(self, item: int) -> Tiling:
        tiles = next((targets for source, targets in self._references(b"dimg") if source == item), None)
        if tiles is None:
            return Tiling(tiles=(item,), columns=1, size=None)
        grid = self._payload(item)
        width, height = struct.unpack_from(">II" if grid[1] & 1 else ">HH", grid, 4)
        return Tiling(tiles=tiles, columns=grid[3] + 1, size=(width, height))

    def _references(self, kind: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
        """(item, the items it refers to) of each reference of a kind."""
        data = self._boxes.get(b"iref", bytes(4))
        letter, width = ("I", 4) if data[0] else ("H", 2)
        for name, body in _boxes(data[4:]):
            if name == kind:
                (source,) = struct.unpack_from(f">{letter}", body)
                (count,) = struct.unpack_from(">H", body, width)
                yield source, struct.unpack_from(f">{count}{letter}", body, width + 2)

    def _properties(self, item: int) -> Iterator[tuple[bytes, bytes]]:
        """The properties of an item in their order: name and content."""
        boxes = dict(_boxes(self._boxes[b"iprp"]))
        properties, data = list(_boxes(boxes[b"ipco"])), boxes[b"ipma"]
        wide_item, wide_index = data[0] > 0, data[3] & 1
        (count,) = struct.unpack_from(">I", data, 4)
        at = 8
        for _ in range(count):
            (owner,) = struct.unpack_from(">I" if wide_item else ">H", data, at)
            at += 4 if wide_item else 2
            indices = struct.unpack_from(f">{data[at]}{'H' if wide_index else 'B'}", data, at + 1)
            at += 1 + data[at] * (2 if wide_index else 1)
            if owner == item:
                yield from (properties[(index & (0x7FFF if wide_index else 0x7F)) - 1] for index in indices)

    def _payload(self, item: int) -> bytes:
        """The bytes of an item that lies in the box `idat` or in the file itself, in one piece."""
        data = self._boxes[b"iloc"]
        version, sizes = data[0], [data[4] >> 4, data[4] & 15, data[5] >> 4, data[5] & 15 if data[0] else 0]
        wide, at = version > 1, 6 + (4 if version > 1 else 2)

        def number(width: int) -> int:
            nonlocal at
            at += width
            return int.from_bytes(data[at - width : at], "big")

        while at < len(data):
            found = number(4 if wide else 2)
            method = number(2) & 15 if version else 0
            number(2)  # the file that holds it: this one
            offset = number(sizes[2])
            extents = [(number(sizes[3]), number(sizes[0]), number(sizes[1])) for _ in range(number(2))]
            if found == item:
                start = offset + extents[0][1]
                return (self._boxes[b"idat"] if method == 1 else self._data)[start : start + extents[0][2]]
        raise KeyError(item)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of the boxes that follow each other."""
    at = 0
    while at + 8 <= len(data):
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        kind = data[at + 4 : at + 8]
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + size if size >= head else len(data)
        yield kind, data[at + head : end]
        at = end
