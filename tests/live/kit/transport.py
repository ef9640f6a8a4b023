"""Live MPEG-TS and MJPEG of numbered frames, with any timestamps that a test needs."""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import av
import numpy as np
from av.video.reformatter import ColorRange

from kit.pattern import luma

_PACKET = 188
_TICKS = 90_000
_WRAP = 1 << 33
BOUNDARY = b"frame"
_TUNED = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "threads": "1"},
    "libx265": {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=error:bframes=0"},
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The properties of the frames."""

    size: tuple[int, int] = (160, 120)
    fps: int = 10
    camera: int = 0
    codec: str = "libx264"
    pixels: str = "yuv420p"


Times = Callable[[int, int], int | None]
"""Returns the timestamp of a frame from its index and its right time in 1/90000 s; None: without a timestamp."""


def right(_index: int, ticks: int) -> int:
    """The right time."""
    return ticks


def mpeg_ts(kind: Kind, times: Times = right, *, first: int | None = None) -> Iterator[bytes]:
    """An endless transport stream in real time, one piece per frame; a key frame begins every second.

    `first` is the number of the first frame, by default from the clock.
    """
    pipe = io.BytesIO()
    options = {"flush_packets": "1", "pat_period": "0.5"}
    with av.open(pipe, "w", format="mpegts", options=options) as output:
        stream = output.add_stream(kind.codec, rate=kind.fps, options=_TUNED.get(kind.codec, {}))
        stream.width, stream.height = kind.size
        stream.pix_fmt = kind.pixels
        stream.codec_context.color_range = ColorRange.JPEG if kind.pixels.startswith("yuvj") else ColorRange.MPEG
        stream.codec_context.gop_size = kind.fps
        stream.codec_context.max_b_frames = 0
        for index, frame in enumerate(_frames(kind, first)):
            frame = frame.reformat(format=kind.pixels)
            frame.pts, frame.time_base = index, Fraction(1, kind.fps)
            output.mux(stream.encode(frame))
            piece = pipe.getvalue()
            pipe.seek(0)
            pipe.truncate()
            yield retimed(piece, times(index, index * _TICKS // kind.fps))


def changing(*kinds: Kind, after: int) -> Iterator[bytes]:
    """An endless transport stream in real time that switches to the next kind every `after` frames.

    All kinds have one frame rate; times and numbers continue.
    """
    begin = int(time.monotonic() * kinds[0].fps)
    for place, kind in enumerate(kinds):
        passed = place * after * _TICKS // kind.fps
        pieces = mpeg_ts(kind, lambda _index, ticks, passed=passed: passed + ticks, first=begin + place * after)  # type: ignore[misc]
        yield from pieces if kind is kinds[-1] else islice(pieces, after)


def mjpeg(kind: Kind) -> Iterator[bytes]:
    """An endless multipart body in real time, with one JPEG per part."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = kind.size
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, kind.fps)
    for index, frame in enumerate(_frames(kind)):
        full = frame.reformat(format="yuvj420p")
        full.pts = index
        for packet in encoder.encode(full):
            head = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (BOUNDARY, packet.size)
            yield head + bytes(packet) + b"\r\n"


def _frames(kind: Kind, first: int | None = None) -> Iterator[av.VideoFrame]:
    """Paced frames; numbers follow the clock of the machine, and so continue in the next connection."""
    width, height = kind.size
    gray = bytes([128]) * (width * height // 2)
    number = int(time.monotonic() * kind.fps) if first is None else first
    while True:
        time.sleep(max(0.0, number / kind.fps - time.monotonic()))
        data = luma(kind.size, camera=kind.camera, number=number % (1 << 16)) + gray
        yield av.VideoFrame.from_ndarray(np.frombuffer(data, np.uint8).reshape(-1, width), format="yuv420p")
        number += 1


def retimed(stream: bytes, ticks: int | None) -> bytes:
    """The transport stream with this timestamp (modulo 2**33) at its frame."""
    changed = bytearray(stream)
    for start in range(0, len(changed), _PACKET):
        begins, adapted = changed[start + 1] & 0x40, changed[start + 3] & 0x20
        header = start + 4 + (1 + changed[start + 4] if adapted else 0)
        if begins and changed[header : header + 3] == b"\0\0\1" and 0xE0 <= changed[header + 3] <= 0xEF:
            assert changed[header + 7] & 0xC0 == 0x80, "a frame whose pts and dts differ"
            changed[header + 9 : header + 14] = _stamp(ticks)
            if ticks is None:
                changed[header + 7] &= 0x3F
    return bytes(changed)


def _stamp(ticks: int | None) -> bytes:
    if ticks is None:
        return b"\xff" * 5  # stuffing
    ticks %= _WRAP
    parts = 0x21 | (ticks >> 30) << 1, ticks >> 22 & 255, 1 | (ticks >> 15 & 127) << 1, ticks >> 7 & 255
    return bytes([*parts, 1 | (ticks & 127) << 1])
