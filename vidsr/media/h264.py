"""The sequence parameters of an H.264 stream, as far as they decide how it can be decoded."""

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
    return [unit[1:].replace(b"\0\0\3", b"\0\0") for unit in units if unit and unit[0] & 31 == 7]


def _frames_only(parameters: bytes) -> bool:
    """The flag frame_mbs_only. Raises ValueError if the set ends before it."""
    bits = _Bits(parameters)
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


def _skip_scaling_list(bits: "_Bits", size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.golomb()
            following = (last + ((code + 1) // 2 if code % 2 else -code // 2)) % 256
        last = following or last


class _Bits:
    """Numbers from a string of bits."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self._at = 0

    def take(self, count: int) -> int:
        """The next bits as a number, 0 for none. Raises ValueError at the end."""
        if count > len(self._bits) - self._at:
            raise ValueError("the parameter set is cut off")
        self._at += count
        return int(self._bits[self._at - count : self._at] or "0", 2)

    def golomb(self) -> int:
        """The next number in Exp-Golomb code. Raises ValueError at the end."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)
