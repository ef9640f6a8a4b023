"""Exif and XMP of an image that was turned upright and upscaled, with the new orientation and size."""

import re
import struct
from collections.abc import Iterator

_ORIENTATION, _EXIF_IFD = 0x112, 0x8769
_SIZES = {0x100: 0, 0x101: 1, 0xA002: 0, 0xA003: 1}  # tags with the width (0) or the height (1)
_STRUCTURE = {  # tags that say how a TIFF file stores its pixels
    0xFE, 0xFF, 0x102, 0x103, 0x106, 0x10A, 0x111, 0x115, 0x116, 0x117, 0x11C, 0x124, 0x125, 0x13D, 0x140, 0x142,
    0x143, 0x144, 0x145, 0x152, 0x153, 0x15B, 0x212, 0x213, 0x2BC, 0x83BB, 0x8649, 0x8773,
}  # fmt: skip
_SHORT, _LONG = 3, 4
_ENTRY_BYTES = 12


def adjusted_exif(exif: bytes, size: tuple[int, int]) -> bytes:
    """The Exif block (from its TIFF header on) of an upright image of `size`, (width, height).

    It is changed in place, so that all else stays, maker's notes with their offsets included; the thumbnail of an
    image that was turned is cut off. A block that cannot be read is returned as it is.
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    data = bytearray(exif)
    try:
        if order:
            _adjust(data, order, size)
    except struct.error:
        return exif
    return bytes(data)


def _adjust(data: bytearray, order: str, size: tuple[int, int]) -> None:
    (first,) = struct.unpack_from(order + "I", data, 4)
    was_turned = has_inner = False
    kept = []
    for at, tag, kind in _entries(data, order, first):
        if tag == _ORIENTATION:
            was_turned = struct.unpack_from(order + "H", data, at + 8) != (1,)
            struct.pack_into(order + "H", data, at + 8, 1)
        elif tag == _EXIF_IFD and not has_inner:
            has_inner = True
            for inner, inner_tag, inner_kind in _entries(data, order, *struct.unpack_from(order + "I", data, at + 8)):
                _set_size(data, order, inner, inner_tag, inner_kind, size)
        else:
            _set_size(data, order, at, tag, kind, size)
        if tag not in _STRUCTURE:
            kept.append(bytes(data[at : at + _ENTRY_BYTES]))
    (count,) = struct.unpack_from(order + "H", data, first)
    end = first + 2 + _ENTRY_BYTES * count
    following = bytes(4) if was_turned else bytes(data[end : end + 4])
    table = struct.pack(order + "H", len(kept)) + b"".join(kept) + following
    data[first : first + len(table)] = table


def _entries(data: bytearray, order: str, start: int) -> Iterator[tuple[int, int, int]]:
    """Offset, tag and type of each entry of the directory at `start`."""
    (count,) = struct.unpack_from(order + "H", data, start)
    for at in range(start + 2, start + 2 + _ENTRY_BYTES * count, _ENTRY_BYTES):
        tag, kind = struct.unpack_from(order + "HH", data, at)
        yield at, tag, kind


def _set_size(data: bytearray, order: str, at: int, tag: int, kind: int, size: tuple[int, int]) -> None:
    if tag in _SIZES and kind in (_SHORT, _LONG):
        struct.pack_into(order + "HII", data, at + 2, _LONG, 1, size[_SIZES[tag]])


_XMP_NUMBERS = re.compile(rb"""\b((?:tiff|exif|GPano|GCamera|Camera):\w+)(\s*=\s*["']|>)(\d+)""")


def adjusted_xmp(xmp: bytes, size: tuple[int, int], scale: float) -> bytes:
    """The XMP of an upright image of `size`, (width, height), which was upscaled by `scale`.

    A panorama's sizes are scaled; the film behind a motion photo is removed.
    """
    fixed = {
        b"tiff:Orientation": 1, b"tiff:ImageWidth": size[0], b"tiff:ImageLength": size[1],
        b"exif:PixelXDimension": size[0], b"exif:PixelYDimension": size[1],
        b"GCamera:MotionPhoto": 0, b"GCamera:MicroVideo": 0, b"Camera:MotionPhoto": 0,
    }  # fmt: skip

    def replaced(found: re.Match[bytes]) -> bytes:
        name, between, number = found.groups()
        if name.startswith(b"GPano:") and name.endswith(b"Pixels"):
            number = b"%d" % round(int(number) * scale)
        elif name in fixed:
            number = b"%d" % fixed[name]
        return name + between + number

    return _XMP_NUMBERS.sub(replaced, xmp)
