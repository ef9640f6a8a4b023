"""Live MPEG-TS and MJPEG of numbered pictures, made here, with any time stamps that a test asks for."""

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
BOUNDARY = b"picture"
_TUNED = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "threads": "1"},
    "libx265": {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=error:bframes=0"},
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the pictures are like."""

    size: tuple[int, int] = (160, 120)
    fps: int = 10
    camera: int = 0
    codec: str = "libx264"
    pixels: str = "yuv420p"


Times = Callable[[int, int], int | None]
"""From a picture's index and its right time in 1/90000 s the time stamp it shall bear; None: none at all."""


def right(_index: int, ticks: int) -> int:
    """The time as it is."""
    return ticks


def mpeg_ts(kind: Kind, times: Times = right, *, first: int | None = None) -> Iterator[bytes]:
    """Without end and in real time: the transport stream of each picture, the first of a key frame every second.

    `first` is the number of the first one; by itself it is the clock's.
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
        for index, picture in enumerate(_pictures(kind, first)):
            picture = picture.reformat(format=kind.pixels)
            picture.pts, picture.time_base = index, Fraction(1, kind.fps)
            output.mux(stream.encode(picture))
            piece = pipe.getvalue()
            pipe.seek(0)
            pipe.truncate()
            yield retimed(piece, times(index, index * _TICKS // kind.fps))


def changing(*kinds: Kind, after: int) -> Iterator[bytes]:
    """Without end and in real time: a transport stream that becomes another after so many pictures; the last lasts.

    All have one frame rate; time and numbers go on.
    """
    begin = int(time.monotonic() * kinds[0].fps)
    for place, kind in enumerate(kinds):
        passed = place * after * _TICKS // kind.fps
        pieces = mpeg_ts(kind, lambda _index, ticks, passed=passed: passed + ticks, first=begin + place * after)  # type: ignore[misc]
        yield from pieces if kind is kinds[-1] else islice(pieces, after)


def mjpeg(kind: Kind) -> Iterator[bytes]:
    """Without end and in real time: the parts of a multipart answer, a JPEG each."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = kind.size
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, kind.fps)
    for index, picture in enumerate(_pictures(kind)):
        full = picture.reformat(format="yuvj420p")
        full.pts = index
        for packet in encoder.encode(full):
            head = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (BOUNDARY, packet.size)
            yield head + bytes(packet) + b"\r\n"


def _pictures(kind: Kind, first: int | None = None) -> Iterator[av.VideoFrame]:
    """Paced; the numbers are those of the machine's clock, so that they go on from one connection to the next."""
    width, height = kind.size
    gray = bytes([128]) * (width * height // 2)
    number = int(time.monotonic() * kind.fps) if first is None else first
    while True:
        time.sleep(max(0.0, number / kind.fps - time.monotonic()))
        data = luma(kind.size, camera=kind.camera, number=number % (1 << 16)) + gray
        yield av.VideoFrame.from_ndarray(np.frombuffer(data, np.uint8).reshape(-1, width), format="yuv420p")
        number += 1


def retimed(stream: bytes, ticks: int | None) -> bytes:
    """The same transport stream with this time stamp (modulo 2**33, as it comes) at the picture in it."""
    changed = bytearray(stream)
    for start in range(0, len(changed), _PACKET):
        begins, adapted = changed[start + 1] & 0x40, changed[start + 3] & 0x20
        header = start + 4 + (1 + changed[start + 4] if adapted else 0)
        if begins and changed[header : header + 3] == b"\0\0\1" and 0xE0 <= changed[header + 3] <= 0xEF:
            assert changed[header + 7] & 0xC0 == 0x80, "a picture whose two time stamps differ"
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
