"""The plan of segments: where a video is cut, found in one pass over its packets."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from vidsr.media.packet_data import PacketData

MIN_SECONDS = 6
"""Seconds after which the next random access point begins a segment: about 8 on average, as key frames are apart."""
MIN_FRAMES = 16
"""Frames of a segment, more than encoders delay."""
MAX_SECONDS = 120
"""Seconds without a random access point after which a video is not cut: a segment is held in memory."""
MAX_BYTES = 2**28


class NotSegmentable(Exception):
    """A video that cannot be cut; str() is the reason."""


@dataclass(frozen=True, kw_only=True)
class PlannedSegment:
    """A part of a video and the packets to decode it from; times in ticks of the packets."""

    index: int
    packets: tuple[PacketData, ...]
    """In decoding order from a random access point; those shown outside the part are decoded, and dropped."""
    start: int | None
    """The pts of its first frame; None: from the beginning."""
    end: int | None
    """The pts of the first frame after it; None: to the end."""

    @property
    def times(self) -> list[int]:
        """The pts of the packets that are shown in it, in decoding order."""
        shown = (packet.pts for packet in self.packets if packet.pts is not None and not packet.discard)
        return [pts for pts in shown if self.contains(pts)]

    def contains(self, pts: int) -> bool:
        """Whether a frame is in this part."""
        return (self.start is None or self.start <= pts) and (self.end is None or pts < self.end)


def plan_segments(
    packets: Iterable[PacketData],
    time_base: Fraction,
    *,
    is_random_access: Callable[[PacketData], bool],
) -> Iterator[PlannedSegment]:
    """The segments of a video, in order, each as soon as its last packet is read.

    A segment begins at a random access point that is shown after all packets before it, and ends with the last
    packet that is shown before the next one begins. Raises NotSegmentable where packets do not have the times from
    which that follows, or no random access point comes for long.
    """
    plan = _Plan(Fraction(MIN_SECONDS) / time_base, MAX_SECONDS / time_base)
    for packet in packets:
        yield from plan.add(packet, may_begin=is_random_access)
    yield plan.segment(len(plan.packets), end=None)


class _Plan:
    """The segment that is being filled, and perhaps the random access point that ends it."""

    def __init__(self, least: Fraction, most: Fraction) -> None:
        self._least, self._most = least, most
        self.packets: list[PacketData] = []
        self._start: int | None = None
        self._latest: int | None = None  # the largest pts so far, and the last dts
        self._last_dts: int | None = None
        self._bytes = self._index = 0
        self._entry: tuple[int, int] | None = None  # its position in `packets` and its pts

    def add(self, packet: PacketData, *, may_begin: Callable[[PacketData], bool]) -> Iterator[PlannedSegment]:
        pts, dts = self._times(packet)
        if self._entry is None and self._is_long_enough(pts) and may_begin(packet):
            self._entry = len(self.packets), pts
        self.packets.append(packet)
        self._bytes += len(packet.data)
        self._latest = pts if self._latest is None else max(self._latest, pts)
        if self._entry and dts >= self._entry[1]:  # no packet after this one is shown before the random access point
            yield self._cut(*self._entry)
        elif pts - self._begin > self._most or self._bytes > MAX_BYTES:
            raise NotSegmentable(f"decoding cannot begin anywhere in {MAX_SECONDS} s or {MAX_BYTES >> 20} MiB of it")

    def segment(self, count: int, *, end: int | None) -> PlannedSegment:
        """The first packets as a segment."""
        segment = PlannedSegment(index=self._index, packets=tuple(self.packets[:count]), start=self._start, end=end)
        if len(set(segment.times)) < len(segment.times):
            raise NotSegmentable("some of its packets have the same time")
        return segment

    @property
    def _begin(self) -> int:
        first = self.packets[0].pts if self.packets else 0
        return self._start if self._start is not None else first or 0

    def _times(self, packet: PacketData) -> tuple[int, int]:
        if not packet.complete:
            raise NotSegmentable("its codec changes on the way")
        if packet.pts is None or packet.dts is None:
            raise NotSegmentable("some of its packets have no time")
        if packet.pts < packet.dts or (self._last_dts is not None and packet.dts < self._last_dts):
            raise NotSegmentable("the times of its packets run backwards")
        self._last_dts = packet.dts
        return packet.pts, packet.dts

    def _is_long_enough(self, pts: int) -> bool:
        """Whether a segment may end before a packet at `pts`, which must be shown after all before it."""
        later = self._latest is not None and pts > self._latest
        return later and len(self.packets) >= MIN_FRAMES and pts - self._begin >= self._least

    def _cut(self, at: int, pts: int) -> PlannedSegment:
        leading = [number for number, packet in enumerate(self.packets) if number > at and (packet.pts or 0) < pts]
        segment = self.segment(leading[-1] + 1 if leading else at, end=pts)
        self.packets, self._start, self._entry = self.packets[at:], pts, None
        self._index += 1
        self._bytes = sum(len(packet.data) for packet in self.packets)
        return segment
