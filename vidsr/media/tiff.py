"""TIFF files: the tags of the first image, and the variants that FFmpeg's decoder gets wrong without an error."""

import struct
from dataclasses import dataclass

SIGNATURES = (b"II*\0", b"MM\0*")
_FILE_TYPE, _BITS, _COMPRESSION, _PHOTOMETRIC, _TILE_WIDTH = 254, 258, 259, 262, 322
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _REFERENCE_BLACK, _XMP, _DNG_VERSION = 338, 339, 532, 700, 50706
_IS_PREVIEW, _SIGNED, _FLOAT, _PREMULTIPLIED = 1, 2, 3, 1
_WHITE_IS_0, _BLACK_IS_0, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEG = (6, 7)
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_FORMS = {_SHORT: (2, "H"), _LONG: (4, "I"), _RATIONAL: (8, "I")}  # bytes, and how the number is read


@dataclass(frozen=True, kw_only=True)
class Directory:
    """The tags of the first image."""

    numbers: dict[int, int]
    """The first value of each tag that holds whole numbers, the first numerator of one with fractions, else 0."""
    xmp: bytes | None
    has_next: bool
    """Whether another image follows."""


def first_directory(data: bytes) -> Directory:
    """The tags of the first image. Raises struct.error if they are cut off."""
    order = "<" if data.startswith(b"II") else ">"
    (first,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, first)
    numbers, xmp = {}, None
    for at in range(first + 2, first + 2 + 12 * count, 12):
        tag, kind, length, offset = struct.unpack_from(order + "HHII", data, at)
        width, form = _FORMS.get(kind, (0, ""))
        where = at + 8 if width * length <= 4 else offset
        numbers[tag] = struct.unpack_from(order + form, data, where)[0] if form else 0
        if tag == _XMP:
            xmp = data[offset : offset + length]
    return Directory(numbers=numbers, xmp=xmp, has_next=any(data[first + 2 + 12 * count :][:4]))


def unread_variant(data: bytes) -> str | None:
    """The feature of a TIFF file that FFmpeg's decoder turns into black or false colours; None for others."""
    try:
        tags = first_directory(data).numbers
    except struct.error:
        return None
    depth, colours = tags.get(_BITS, 1), tags.get(_PHOTOMETRIC, _WHITE_IS_0)
    unread = {
        "a raw photo": _DNG_VERSION in tags or tags.get(_FILE_TYPE, 0) & _IS_PREVIEW,
        "JPEG within TIFF": tags.get(_COMPRESSION) in _JPEG,
        "tiles": _TILE_WIDTH in tags,
        f"{depth} bits per sample": depth not in (1, 2, 4, 8, 16, 32),
        "signed samples": tags.get(_SAMPLE_FORMAT) == _SIGNED,
        "floating point of 16 bits": tags.get(_SAMPLE_FORMAT) == _FLOAT and depth == 16,
        "CMYK of 16 bits": colours == _CMYK and depth > 8,
        "YCbCr of limited range": colours == _YCBCR and tags.get(_REFERENCE_BLACK, 0),
        "its colour model": colours not in (_WHITE_IS_0, _BLACK_IS_0, _RGB, _PALETTE, _CMYK, _YCBCR),
    }
    return next((name for name, is_unread in unread.items() if is_unread), None)


def is_premultiplied(data: bytes) -> bool:
    """Whether the colours of a TIFF file are multiplied by its alpha."""
    try:
        return first_directory(data).numbers.get(_EXTRA_SAMPLES) == _PREMULTIPLIED
    except struct.error:
        return False
