"""The sequence parameters of an H.264 stream, as far as they decide how it can be decoded."""

from vidsr.media.bit_reader import BitReader
from vidsr.media.nal_units import payload

_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
"""Profiles whose parameter sets say more about the samples: ITU-T H.264, 7.3.2.1.1."""
_YUV444 = 3
_AVCC_HEADER = 8
"""Bytes of MP4's header before its first parameter set, which is preceded by its length in two bytes."""


def may_have_fields(extradata: bytes) -> bool:
    """Whether frames may be coded as two fields, by the sequence parameter sets; True where these are unreadable."""
    sets = _parameter_sets(extradata)
    try:
        return not sets or any(not _frames_only(parameters) for parameters in sets)
    except ValueError:
        return True


def _parameter_sets(extradata: bytes) -> list[bytes]:
    """The sequence parameter sets without their header byte and emulation prevention."""
    in_mp4 = extradata[:1] == b"\1"  # then it holds one set, hardly ever more
    units = [extradata[_AVCC_HEADER:]] if in_mp4 else extradata.split(b"\0\0\1")[1:]
    return [payload(unit, 1) for unit in units if unit and unit[0] & 31 == 7]


def _frames_only(parameters: bytes) -> bool:
    """The flag frame_mbs_only. Raises ValueError if the set ends before it."""
    bits = BitReader(parameters)
    profile, _ = bits.take(8), bits.take(16)
    bits.golomb()
    if profile in _HIGH_PROFILES:
        chroma = bits.golomb()
        bits.take(chroma == _YUV444)
        bits.golomb(), bits.golomb(), bits.take(1)
        if bits.take(1):
            for number in range(12 if chroma == _YUV444 else 8):
                if bits.take(1):
                    _skip_scaling_list(bits, 16 if number < 6 else 64)
    bits.golomb()
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1), bits.golomb(), bits.golomb()
        for _ in range(bits.golomb()):
            bits.golomb()
    bits.golomb(), bits.take(1), bits.golomb(), bits.golomb()
    return bool(bits.take(1))


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last
