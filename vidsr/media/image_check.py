"""Faults of images that FFmpeg's decoders do not report: missing parts, which become grey, and unread variants."""

import re
from collections.abc import Callable
from pathlib import Path

import av
from av import Packet
from av.video.codeccontext import VideoCodecContext

from vidsr.media import tiff

_TAGS = {*range(0xE0, 0xEE), 0xEF, 0xFE}  # markers of JPEG: APP0 to APP15 without Adobe's colours, and comments
_SCAN = 0xDA
_PNG, _RESTORE = b"\x89PNG", b"\2"
_BMP_ALPHA_MASK = 66
"""Where the header of a BMP file has it, from version 4 on, whose length is 108 bytes."""


def unread_variant(path: Path) -> str | None:
    """The feature of an image that FFmpeg's decoder does not read; None if none is known. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(_BMP_ALPHA_MASK + 4)
        if head[:4] in tiff.SIGNATURES:
            return tiff.unread_variant(head + file.read())
        if head.startswith(_PNG):
            return _unread_animation(head + file.read())
    is_bmp_of_16_bits = head[:2] == b"BM" and head[28:30] == b"\x10\0" and head[14] >= 108
    return "transparency of 16 bits" if is_bmp_of_16_bits and any(head[_BMP_ALPHA_MASK:]) else None


def _unread_animation(data: bytes) -> str | None:
    """FFmpeg draws over a frame of an animated PNG that is to be restored; the first and the last never are."""
    frames = [data[found.end() :][:26] for found in re.finditer(b"fcTL", data)]
    restored = b"acTL" in data and any(frame[24:25] == _RESTORE for frame in frames[1:-1])
    return "frames that restore the one before" if restored else None


def is_premultiplied(path: Path, codec: str) -> bool:
    """Whether the colours of an image of FFmpeg's `codec` are multiplied by its alpha. Raises OSError."""
    return codec == "tiff" and tiff.is_premultiplied(path.read_bytes())


def image_damage(path: Path, codec: str) -> str | None:
    """What is wrong with an image or an animation of FFmpeg's `codec`; None if nothing is known. Raises OSError."""
    is_whole = _CHECKS.get(codec)
    if is_whole is None or is_whole(path.read_bytes()):
        return None
    return "the image is cut off or damaged: a part of it is missing"


def _is_whole_jpeg(data: bytes) -> bool:
    """Whether a decoder that accepts no error decodes it; without tags and comments, whose faults do no harm."""
    kept, at = data[:2], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] not in _TAGS:
            kept += data[at:end]
        at = end
    kept += data[at:]
    context = av.CodecContext.create("mjpeg", "r")
    assert isinstance(context, VideoCodecContext)
    context.options = {"err_detect": "explode"}
    packet = Packet(len(kept))
    packet.update(kept)  # padded with zeros, as the decoder demands
    try:
        return bool([*context.decode(packet), *context.decode(None)])
    except av.FFmpegError:
        return False


def _is_whole_gif(data: bytes) -> bool:
    """Whether no block is cut off; some writers leave out the trailer."""
    try:
        at = 13 + _color_table_bytes(data[10])
        while at < len(data) and data[at] != 0x3B:
            if data[at] == 0:
                at += 1
                continue
            if data[at] == 0x2C:  # a frame: its header, a table of colours, the size of the codes
                at += 11 + _color_table_bytes(data[at + 9])
            elif data[at] == 0x21:
                at += 2
            else:
                return False
            while data[at]:
                at += 1 + data[at]
            at += 1
    except IndexError:
        return False
    return True


def _color_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _is_whole_png(data: bytes) -> bool:
    return b"\0\0\0\0IEND\xae\x42\x60\x82" in data


def _is_whole_qoi(data: bytes) -> bool:
    return data.endswith(b"\0\0\0\0\0\0\0\1")


_CHECKS: dict[str, Callable[[bytes], bool]] = {
    "mjpeg": _is_whole_jpeg,
    "gif": _is_whole_gif,
    "apng": _is_whole_png,
    "qoi": _is_whole_qoi,
}
