"""Frames with a number in them, drawn without numpy, so that the Python of the system can do it, too.

A strip at the top and the same one at the bottom hold 32 bits as 2 rows of 16 grey cells: 16 bits of the number, 8 of
the camera and 8 of a checksum, the highest first. Between them a texture moves, so that an encoder has work to do.
"""

COLUMNS, ROWS = 16, 2
STRIP = 8
"""The height of a strip is the height of the frame divided by this."""
DARK, LIGHT = 48, 208
NUMBERS = 1 << 16


def checksum(camera: int, number: int) -> int:
    """8 bits that most wrong readings do not match, such as 32 equal cells."""
    return (camera * 31 + (number >> 8) * 37 + (number & 255) * 73 + 90) & 255


def luma(size: tuple[int, int], *, camera: int, number: int) -> bytes:
    """The luma of the (width, height) frame, row by row."""
    width, height = size
    word = (number % NUMBERS) << 16 | camera << 8 | checksum(camera, number % NUMBERS)
    bits = [word >> (31 - place) & 1 for place in range(COLUMNS * ROWS)]
    lines = [_line(width, bits[row * COLUMNS : (row + 1) * COLUMNS]) for row in range(ROWS)]
    strip_height = height // STRIP
    strip = b"".join(lines[row * ROWS // strip_height] for row in range(strip_height))
    texture = bytes(64 + (37 * x * x // 64 + 5 * x) % 128 for x in range(256)) * (width // 256 + 2)
    starts = ((3 * row + 2 * number) % 256 for row in range(height - 2 * strip_height))
    return strip + b"".join(texture[start : start + width] for start in starts) + strip


def _line(width: int, bits: list[int]) -> bytes:
    edges = [column * width // COLUMNS for column in range(COLUMNS + 1)]
    cells = zip(bits, edges, edges[1:], strict=False)
    return b"".join(bytes([LIGHT if bit else DARK]) * (end - start) for bit, start, end in cells)
