"""The pacing of a file that is played as if it were a camera."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

LivePacket: TypeAlias = "Packet[Stream]"  # quoted: Packet is generic only in the stubs of PyAV

_MAX_LAG_S = 1.0  # a reader further behind continues from there, without catching up
_MAX_WAIT_S = 10.0  # larger jumps are not waited for


def paced_packets(
    packets: Iterable[LivePacket], *, video: VideoStream, wait: Callable[[float], bool]
) -> Iterator[LivePacket]:
    """The packets; those of video not before their decoding time has come, as presentation times are not monotonic.

    Other packets come in between in file order, up to a second early or late. `wait(seconds)` returns whether to end.
    """
    start_s: float | None = None
    for packet in packets:
        if packet.stream is video and packet.dts is not None:
            at_s, now_s = float(packet.dts * packet.time_base), time.monotonic()
            if start_s is None or not -_MAX_LAG_S <= start_s + at_s - now_s <= _MAX_WAIT_S:
                start_s = now_s - at_s
            if wait(max(0.0, start_s + at_s - now_s)):
                return
        yield packet
