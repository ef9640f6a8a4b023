"""Whether a file ends where its format says: at the size that its header states, or with the mark of an end."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_TAIL_BYTES = 2**20
_HEADER_BYTES = 2**16
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_IS_LIVE = 1
_MOV_BOXES = set(b"ftyp styp moov moof mdat mfra sidx free skip wide uuid meta".split())
_FLV_TAGS = (8, 9, 18)
_MXF_KEY, _MXF_PACK = bytes.fromhex("060e2b34020501010d01020101"), 17 + 32
"""Of the first partition; its length is written behind 16 bytes, in up to 9 bytes."""
_NUT_INDEX = bytes.fromhex("4e58dd672f23e64e")
_OGG_PAGE = struct.Struct("<4xxB20xB")
_OGG_LAST = 4


def missing_end(path: Path, format_name: str) -> str | None:
    """What is missing at the end of a file of FFmpeg's format; None if nothing is known. Raises OSError."""
    check = next((check for name, check in _CHECKS.items() if format_name.startswith(name)), None)
    if check is None:
        return None
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            found = check(file, size)
    except (struct.error, IndexError):  # the header is damaged
        return None
    if isinstance(found, str):
        return found
    return f"the file is cut off: it should have {found} bytes, not {size}" if found and found > size else None


def asf_seconds(path: Path) -> float:
    """The duration that a WMV file states, 0 if unknown. Raises OSError."""
    with path.open("rb") as file:
        return _asf_properties(file)[1]


def _asf(file: BinaryIO, size: int) -> int:
    return _asf_properties(file)[0]


def _asf_properties(file: BinaryIO) -> tuple[int, float]:
    """Bytes and seconds that the header states; 0 if unknown."""
    header = file.read(_HEADER_BYTES)
    at = header.find(_ASF_PROPERTIES)
    properties = header[at + 40 : at + 92]
    if at < 0 or len(properties) < 52:
        return 0, 0.0
    size, duration, preroll, flags = struct.unpack("<Q16xQ8xQI", properties)
    return (0, 0.0) if flags & _ASF_IS_LIVE else (size, max(0.0, duration / 1e7 - preroll / 1e3))


def _matroska(file: BinaryIO, size: int) -> int:
    header = file.read(_HEADER_BYTES)
    if not header.startswith(_EBML):
        return 0
    length, at = _ebml_size(header, 4)
    at += length or 0
    if header[at : at + 4] != _SEGMENT:
        return 0
    length, at = _ebml_size(header, at + 4)
    return 0 if length is None else at + length


def _ebml_size(data: bytes, at: int) -> tuple[int | None, int]:
    """The size that is stored at an offset, None if unknown, and the offset behind it."""
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & ~(1 << 7 * width)
    return None if value == (1 << 7 * width) - 1 else value, at + width


def _avi(file: BinaryIO, size: int) -> int:
    (length,) = struct.unpack("<4xI", file.read(8))
    return length + 8 if length < 2**31 else 0  # programs that could not finish the file leave a large number


def _mov(file: BinaryIO, size: int) -> int:
    """The end of the last box, which is in a file without fragments that of all frames."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(16).ljust(16, b"\0")
        length, kind, long_length = struct.unpack(">I4sQ", head)
        length = long_length if length == 1 else length
        if length < 8 or kind not in _MOV_BOXES:
            return 0
        at += length
    return at


def _flv(file: BinaryIO, size: int) -> int | str:
    """The end of the last tag."""
    signature, at = file.read(3), int.from_bytes(file.read(6)[2:], "big")
    while signature == b"FLV" and at + 4 < size:
        file.seek(at + 4)  # behind the size of the tag before
        head = file.read(4)
        if head[0] not in _FLV_TAGS:
            return "a part of the file is missing or damaged" if head[0] else 0  # some programs append zeros
        at += 15 + int.from_bytes(head[1:], "big")
    return at


def _mxf(file: BinaryIO, size: int) -> str | None:
    header = file.read(_MXF_PACK + 10)
    if not header.startswith(_MXF_KEY) or len(header) < _MXF_PACK:
        return None
    pack = header[17 + header[16] % 128 if header[16] >= 128 else 17 :]
    (footer,) = struct.unpack_from(">Q", pack, 24)
    return "the file is cut off: it has no footer" if footer >= size else None


def _nut(file: BinaryIO, size: int) -> str | None:
    tail = _tail(file, size)
    distance = int.from_bytes(tail[-12:-4], "big")
    return None if tail[-distance:].startswith(_NUT_INDEX) else "the file is cut off: it has no index at its end"


def _ogg(file: BinaryIO, size: int) -> str | None:
    tail = _tail(file, size)
    at = tail.rfind(b"OggS")
    if 0 <= at <= len(tail) - _OGG_PAGE.size:
        flags, count = _OGG_PAGE.unpack_from(tail, at)
        begin = at + _OGG_PAGE.size + count
        if flags & _OGG_LAST and begin + sum(tail[begin - count : begin]) <= len(tail):
            return None
    return "the file is cut off: it has no last page"


def _tail(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - _TAIL_BYTES), os.SEEK_SET)
    return file.read()


_CHECKS: dict[str, Callable[[BinaryIO, int], int | str | None]] = {
    "asf": _asf,
    "avi": _avi,
    "flv": _flv,
    "matroska": _matroska,
    "mov": _mov,
    "mxf": _mxf,
    "nut": _nut,
    "ogg": _ogg,
}
"""By the beginning of FFmpeg's name of a format; each returns the bytes that the header states, or what is missing."""
