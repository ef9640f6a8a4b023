"""The quantiser of an HEVC key frame, by the headers of its first slice: ITU-T H.265, 7.3.2 and 7.3.6."""

from collections.abc import Iterator
from dataclasses import dataclass

from vidsr.media.bit_reader import BitReader
from vidsr.media.nal_units import length_bytes, nal_units, payload

_SEQUENCE, _PICTURE, _IDR, _SLICES = 33, 34, (19, 20), range(32)
_ARRAYS_AT = 22  # in MP4's header: the number of arrays of parameter sets
_UNIT_HEADER = 2  # bytes
_HEADER_BYTES = 1024  # of a unit that are read: far more than its headers take
_GENERAL_PROFILE, _SUB_LAYER_PROFILE, _LEVEL = 88, 88, 8  # bits
_YUV444 = 3
_FIRST_QUANTISER = 26
_FINER_BLOCKS = 9
"""The difference between the quantisers of a key frame's slice and of its blocks, where these have their own. This
value fits x265 best, by the gain of the weights on its key frames (see `vidsr/model/zoo/README.md`)."""


@dataclass(frozen=True)
class _Sequence:
    has_planes: bool
    """Whether the three colours are coded apart from each other."""
    has_chroma: bool
    has_sample_offsets: bool


@dataclass(frozen=True)
class _Picture:
    has_output_flag: bool
    extra_bits: int
    quantiser: int
    has_block_quantisers: bool


def key_frame_quantiser(headers: bytes, packet: bytes) -> int | None:
    """The quantiser of the luma of an IDR picture, 0 to 51, lower by what its depth has more than 8 bits.

    It is that of the first slice, less `_FINER_BLOCKS` where blocks may differ from it. `headers` are those of the
    stream. None for another picture, and where headers are missing or damaged.
    """
    sequence: _Sequence | None = None
    pictures: dict[int, _Picture] = {}
    try:
        for unit in (*_parameter_sets(headers), *nal_units(packet, length_bytes("hevc", headers))):
            kind = unit[0] >> 1 & 63
            if kind not in (_SEQUENCE, _PICTURE, *_SLICES):
                continue
            bits = BitReader(payload(unit[:_HEADER_BYTES], _UNIT_HEADER))
            if kind == _SEQUENCE:
                sequence = _read_sequence(bits)
            elif kind == _PICTURE:
                number = bits.golomb()
                pictures[number] = _read_picture(bits)
            else:
                return _slice_quantiser(bits, sequence, pictures) if sequence and kind in _IDR else None
    except (ValueError, KeyError, IndexError):
        pass
    return None


def _parameter_sets(headers: bytes) -> Iterator[bytes | memoryview]:
    if headers[:1] != b"\1":
        yield from nal_units(headers, 0)
        return
    at = _ARRAYS_AT + 1
    for _ in range(headers[_ARRAYS_AT]):
        count, at = int.from_bytes(headers[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            begin = at + 2
            at = begin + int.from_bytes(headers[at:begin], "big")
            if unit := headers[begin:at]:
                yield unit


def _read_sequence(bits: BitReader) -> _Sequence:
    bits.skip(4)
    sub_layers = bits.take(3)
    bits.skip(1)
    _skip_profile(bits, sub_layers)
    bits.golomb()
    chroma = bits.golomb()
    has_planes = chroma == _YUV444 and bool(bits.take())
    bits.skip_golomb(2)
    if bits.take():
        bits.skip_golomb(4)
    bits.skip_golomb(3)
    bits.skip_golomb(3 * (sub_layers + 1 if bits.take() else 1))
    bits.skip_golomb(6)
    if bits.take() and bits.take():
        _skip_scaling_lists(bits)
    bits.skip(1)
    return _Sequence(has_planes, has_chroma=chroma > 0 and not has_planes, has_sample_offsets=bool(bits.take()))


def _skip_profile(bits: BitReader, sub_layers: int) -> None:
    bits.skip(_GENERAL_PROFILE + _LEVEL)
    parts = [(bits.take(), bits.take()) for _ in range(sub_layers)]
    if sub_layers:
        bits.skip(2 * (8 - sub_layers))
    for has_profile, has_level in parts:
        bits.skip(_SUB_LAYER_PROFILE * has_profile + _LEVEL * has_level)


def _skip_scaling_lists(bits: BitReader) -> None:
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if bits.take():
                bits.skip_golomb((size > 1) + min(64, 16 << 2 * size))
            else:
                bits.golomb()


def _read_picture(bits: BitReader) -> _Picture:
    """A picture parameter set behind its number."""
    bits.golomb()
    bits.skip(1)
    has_output_flag, extra_bits = bool(bits.take()), bits.take(3)
    bits.skip(2)
    bits.skip_golomb(2)
    quantiser = _FIRST_QUANTISER + bits.signed_golomb()
    bits.skip(2)
    return _Picture(has_output_flag, extra_bits, quantiser, has_block_quantisers=bool(bits.take()))


def _slice_quantiser(bits: BitReader, sequence: _Sequence, pictures: dict[int, _Picture]) -> int | None:
    if not bits.take():  # not the first slice of its picture
        return None
    bits.skip(1)
    picture = pictures[bits.golomb()]
    bits.skip(picture.extra_bits)
    bits.golomb()
    bits.skip(picture.has_output_flag + 2 * sequence.has_planes)
    if sequence.has_sample_offsets:
        bits.skip(1 + sequence.has_chroma)
    finer = _FINER_BLOCKS if picture.has_block_quantisers else 0
    return picture.quantiser + bits.signed_golomb() - finer
