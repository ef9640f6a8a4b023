"""The units of H.264 and HEVC in packets and in the headers of a stream."""

from collections.abc import Iterator

_LENGTH_AT = {"h264": 4, "hevc": 21}
"""Where a codec's headers in MP4 have the number of bytes of a length, less 1."""
_START_CODE = b"\0\0\1"


def length_bytes(codec: str, headers: bytes) -> int:
    """The bytes of the length before each unit of a packet; 0 where start codes separate them."""
    in_mp4 = headers[:1] == b"\1" and len(headers) > _LENGTH_AT[codec]
    return (headers[_LENGTH_AT[codec]] & 3) + 1 if in_mp4 else 0


def nal_units(data: bytes, length_bytes: int) -> Iterator[memoryview]:
    """The units of a packet that are not empty: behind their lengths, or behind start codes with 0 `length_bytes`."""
    view, at = memoryview(data), 0
    if not length_bytes:
        at = data.find(_START_CODE)
        while at >= 0:
            begin, at = at + 3, data.find(_START_CODE, at + 3)
            if unit := view[begin : at if at >= 0 else None]:
                yield unit
        return
    while at + length_bytes < len(data):
        begin = at + length_bytes
        at = begin + int.from_bytes(data[at:begin], "big")
        if unit := view[begin:at]:
            yield unit


def payload(unit: bytes | memoryview, header_bytes: int) -> bytes:
    """What a unit holds behind its own header, without emulation prevention."""
    return bytes(unit[header_bytes:]).replace(b"\0\0\3", b"\0\0")
