"""Numbers from the bits of a header, as H.264 and HEVC code them."""


class BitReader:
    """Reads from the first bit on. Every method raises ValueError at the end."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self._at = 0

    def take(self, count: int = 1) -> int:
        """The next bits as a number, 0 for none."""
        if count > len(self._bits) - self._at:
            raise ValueError("the header is cut off")
        self._at += count
        return int(self._bits[self._at - count : self._at] or "0", 2)

    def skip(self, count: int) -> None:
        """Pass over bits."""
        self.take(count)

    def golomb(self) -> int:
        """The next number in Exp-Golomb code, 0 or more."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        """The next number in signed Exp-Golomb code."""
        code = self.golomb()
        return (code + 1) // 2 if code % 2 else -code // 2

    def skip_golomb(self, count: int) -> None:
        """Pass over numbers in Exp-Golomb code."""
        for _ in range(count):
            self.golomb()
