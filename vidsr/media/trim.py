"""The part of a source that is read, and what of its packets and chapters belongs to it."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from vidsr.media.frame import SidePacket

if TYPE_CHECKING:
    from av.container.core import Chapter  # there for type checkers alone

APART_S = 10  # streams of one file are interleaved at least this closely


@dataclass(frozen=True, kw_only=True)
class Span:
    """The part of a source that is read, in seconds on its own time line; None is an open end."""

    start: Fraction | None = None
    end: Fraction | None = None

    @property
    def shift(self) -> Fraction:
        """What is taken off every time."""
        return self.start or Fraction(0)

    def holds(self, time: Fraction) -> bool:
        """Whether what is shown at a time is read."""
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)

    def is_over(self, packet: SidePacket) -> bool:
        """Whether nothing that is read can come behind a packet of the video."""
        return self.end is not None and packet.dts is not None and time_of(packet) > self.end + APART_S

    def takes(self, packet: SidePacket) -> bool:
        """Whether a packet is read; if so, it is moved to the time line of the frames."""
        if not self.holds(time_of(packet)):
            return False
        move(packet, -self.shift)
        return True

    def moved(self, chapter: "Chapter") -> "Chapter | None":
        """The chapter on the time line of the frames, None when it is cut away."""
        base = chapter["time_base"]
        if not base:
            return chapter
        start, end = (tick - round(self.shift / base) for tick in (chapter["start"], chapter["end"]))
        if self.end is not None:
            end = min(end, round((self.end - self.shift) / base))
        if self.start is not None:
            start = max(start, 0)
        return {**chapter, "start": start, "end": end} if start < end else None


def time_of(packet: SidePacket) -> Fraction:
    """When a packet is decoded, in seconds."""
    return packet.time_base * (packet.dts or 0)


def move(packet: SidePacket, by: Fraction) -> None:
    """Give the packet a time so many seconds later."""
    ticks = round(by / packet.time_base)
    packet.dts = (packet.dts or 0) + ticks
    if packet.pts is not None:
        packet.pts += ticks
