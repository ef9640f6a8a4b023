"""Trimming: the time range of a source that is read, and its packets and chapters."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.container import InputContainer

from vidsr.media.frame import SidePacket

if TYPE_CHECKING:
    from av.container.core import Chapter  # defined for type checkers only

_MAX_START_S = 10  # a file that begins later counts by a clock
MAX_INTERLEAVE_S = 10  # between packets of different streams at one position of a file


@dataclass(frozen=True, kw_only=True)
class TrimRange:
    """The time range of a source that is read, in seconds of its own time stamps; None is open."""

    start: Fraction | None = None
    end: Fraction | None = None
    hides_negative: bool = False
    """Whether frames before 0 are not shown, as in MP4."""

    @property
    def offset(self) -> Fraction:
        """Seconds that are subtracted from every time stamp."""
        return self.start or Fraction(0)

    def contains(self, time: Fraction) -> bool:
        """Whether a time in seconds is in the range; the end is not."""
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)

    def frame_pts(self, pts: int, time_base: Fraction) -> int | None:
        """The pts of a frame that is shown, counted from the range's start; None for one that is not."""
        if not self.contains(pts * time_base) or (pts < 0 and self.hides_negative):
            return None
        return pts - round(self.offset / time_base)

    def is_past_end(self, packet: SidePacket) -> bool:
        """Whether no packet in the range can follow this packet of the video."""
        return self.end is not None and packet.dts is not None and dts_seconds(packet) > self.end + MAX_INTERLEAVE_S

    def trim_packet(self, packet: SidePacket) -> bool:
        """Whether a packet is in the range; if so, its time stamps are shifted as those of the frames."""
        if not self.contains(dts_seconds(packet)):
            return False
        shift_packet(packet, -self.offset)
        return True

    def trim_chapter(self, chapter: "Chapter", clock_s: Fraction) -> "Chapter | None":
        """The part of the chapter in the range, shifted as the frames; None if it is outside.

        `clock_s` is the time of the file's beginning by its own time stamps, 0 if the frames keep these.
        """
        base = chapter["time_base"]
        if not base:
            return chapter
        start, end = (tick - round((self.offset + clock_s) / base) for tick in (chapter["start"], chapter["end"]))
        if self.end is not None:
            end = min(end, round((self.end - self.offset) / base))
        if self.start is not None or clock_s:
            start = max(start, 0)
        return {**chapter, "start": start, "end": end} if start < end else None


def clock_seconds(container: InputContainer) -> Fraction:
    """The start of a file whose time stamps are those of a clock, in seconds; 0 if they count from its beginning."""
    start = Fraction(container.start_time or 0, av.time_base)
    # MP4 has frames before 0, which are not shown.
    is_clock = start > _MAX_START_S or (start < 0 and not container.format.name.startswith("mov"))
    return start if is_clock else Fraction(0)


def dts_seconds(packet: SidePacket) -> Fraction:
    """The packet's dts in seconds, 0 if it has none."""
    return packet.time_base * (packet.dts or 0)


def shift_packet(packet: SidePacket, seconds: Fraction) -> None:
    """Adds to the packet's time stamps."""
    if not seconds:
        return
    ticks = round(seconds / packet.time_base)
    packet.dts = (packet.dts or 0) + ticks
    if packet.pts is not None:
        packet.pts += ticks
