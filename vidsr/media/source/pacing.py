"""A file played at its own speed, as a camera would send it."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

LivePacket: TypeAlias = "Packet[Stream]"  # quoted: PyAV's packets take a parameter in its stubs alone

_BEHIND_S = 1.0  # a reader that is later than that goes on from where it is, and does not hurry
_GAP_S = 10.0  # times that jump further are not waited for


def paced(packets: Iterable[LivePacket], *, video: VideoStream, wait: Callable[[float], bool]) -> Iterator[LivePacket]:
    """The packets, those of the video when their time to be decoded has come: that of showing runs ahead and back.

    Others come in between as the file has them, which may be a second before or behind. `wait(seconds)` says whether
    to end.
    """
    zero: float | None = None
    for packet in packets:
        if packet.stream is video and packet.dts is not None:
            at, now = float(packet.dts * packet.time_base), time.monotonic()
            if zero is None or not -_BEHIND_S <= zero + at - now <= _GAP_S:
                zero = now - at
            if wait(max(0.0, zero + at - now)):
                return
        yield packet
