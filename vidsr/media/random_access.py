"""Random access points: the packets at which decoding can begin, by the bitstream where containers are wrong."""

from collections.abc import Callable
from functools import partial
from operator import attrgetter

from av.codec import Codec

from vidsr.media.nal_units import length_bytes, nal_units, payload
from vidsr.media.packet_data import PacketData

IsRandomAccess = Callable[[PacketData], bool]

_BY_KEY_FLAG = {"vp8", "vp9", "av1", "mpeg1video", "mpeg2video", "mpeg4", "ffv1"}
_IDR, _SEI, _H264_SLICES = 5, 6, range(1, 6)
_RECOVERY_POINT = 6
_HEVC_SLICES, _IRAP = range(32), range(16, 22)


def random_access_rule(codec: Codec, headers: bytes) -> IsRandomAccess | None:
    """The rule by which packets of a codec are random access points; None for a codec that has none.

    `headers` are those of the stream. Frames that are shown before a random access point and stored after it may
    depend on what is before it.
    """
    name = codec.canonical_name
    if name in _BY_UNITS:
        return partial(_BY_UNITS[name], length_bytes=length_bytes(name, headers))
    return attrgetter("key") if name in _BY_KEY_FLAG or codec.intra_only else None


def _is_h264_entry(packet: PacketData, *, length_bytes: int) -> bool:
    """An IDR picture, or one whose recovery point is complete at once: after a gradual refresh it would not be."""
    recovered = False
    for unit in nal_units(packet.data, length_bytes):
        kind = unit[0] & 31
        if kind == _SEI:
            recovered |= _recovers_at_once(unit)
        elif kind in _H264_SLICES:
            return kind == _IDR or recovered
    return False


def _is_hevc_entry(packet: PacketData, *, length_bytes: int) -> bool:
    kinds = (unit[0] >> 1 & 63 for unit in nal_units(packet.data, length_bytes))
    return next((kind in _IRAP for kind in kinds if kind in _HEVC_SLICES), False)


_BY_UNITS = {"h264": _is_h264_entry, "hevc": _is_hevc_entry}


def _recovers_at_once(unit: memoryview) -> bool:
    """Whether a unit of H.264's supplemental information has a recovery point of 0 frames."""
    message = payload(unit, 1)
    at = 0
    while at + 2 < len(message):
        kind, at = _sum_of_bytes(message, at)
        size, at = _sum_of_bytes(message, at)
        if kind == _RECOVERY_POINT and at < len(message):
            return bool(message[at] & 128)  # 0 in Exp-Golomb code
        at += size
    return False


def _sum_of_bytes(message: bytes, at: int) -> tuple[int, int]:
    """A number in bytes of 255 and a last one, and the position behind it."""
    number = 0
    while at < len(message):
        number, at = number + message[at], at + 1
        if message[at - 1] != 255:
            break
    return number, at
