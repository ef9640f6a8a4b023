"""H.264 whose frames are coded as one or as two fields by turns, as broadcasts are: no encoder at hand writes it."""

_DELIMITER = b"\0\0\0\1\x09\xf0"  # after it FFmpeg takes each field for a packet
_PCM = 25
_GREY = "10000000"


class _Bits:
    def __init__(self) -> None:
        self.text = ""

    def put(self, *numbers: int) -> "_Bits":
        """Numbers in Exp-Golomb code."""
        for number in numbers:
            code = f"{number + 1:b}"
            self.text += "0" * (len(code) - 1) + code
        return self

    def flags(self, *bits: int) -> "_Bits":
        self.text += "".join(map(str, bits))
        return self

    def align(self) -> "_Bits":
        self.text += "0" * (-len(self.text) % 8)
        return self

    def unit(self, kind: int, reference: int, head: bytes = b"") -> bytes:
        """The bits as a unit of the stream, with emulation prevention."""
        self.flags(1).align()
        body, zeros = bytearray(), 0
        for byte in head + int(self.text, 2).to_bytes(len(self.text) // 8, "big"):
            if zeros >= 2 and byte <= 3:
                body.append(3)
                zeros = 0
            body.append(byte)
            zeros = 0 if byte else zeros + 1
        return b"\0\0\0\1" + bytes([reference << 5 | kind]) + bytes(body)


def field_coded(count: int = 40) -> bytes:
    """So many frames of 16x32: grey ones, whole or of two fields, with a repetition after each."""
    sequence = _Bits().put(0, 0, 2, 1).flags(0).put(0, 0).flags(0, 0, 1, 0, 0).unit(7, 3, bytes([77, 0, 30]))
    pictures = _Bits().put(0, 0).flags(0, 0).put(0, 0, 0).flags(0, 0, 0).put(0, 0, 0).flags(1, 0, 0).unit(8, 3)
    stream, number = sequence + pictures + _picture(0, 60, first=True) + _repetition(0, bottom=True), 1
    for index in range(1, count):
        if index % 2:
            stream += _repetition(number, bottom=False)
            continue
        in_fields = index % 4 != 0
        stream += _picture(number, 60 + index, in_fields=in_fields)
        stream += _repetition(number, bottom=True) if in_fields else b""
        number += 1
    return stream


def _picture(number: int, grey: int, *, first: bool = False, in_fields: bool = True) -> bytes:
    """A grey frame, or the top field of one; the `first` one of the stream begins it."""
    bits = _Bits().put(0, 2, 0).flags(*map(int, f"{number % 16:04b}"), *((1, 0) if in_fields else (0,)))
    bits = bits.put(0).flags(0, 0) if first else bits.flags(0)
    bits.put(0, 1)
    for _ in range(1 if in_fields else 2):
        bits.put(_PCM).align().text += f"{grey:08b}" * 256 + _GREY * 128
    return _DELIMITER + bits.unit(5 if first else 1, 3)


def _repetition(number: int, *, bottom: bool) -> bytes:
    """The frame before once more, to which no other refers, or its top field as the `bottom` one."""
    bits = _Bits().put(0, 0, 0).flags(*map(int, f"{number % 16:04b}"), *((1, 1) if bottom else (0,)), 0, 0)
    bits.flags(*((0,) if bottom else ())).put(0, 1, 1 if bottom else 2)
    return _DELIMITER + bits.unit(1, 3 if bottom else 0)
