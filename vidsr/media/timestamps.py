"""The times of a source, put in order: broadcasts that begin anew, files without times, bits that fell over."""

from fractions import Fraction

from av import VideoFrame

from vidsr.media.frame import SidePacket
from vidsr.media.trim import APART_S, move, time_of

_BACK_S = Fraction(1, 10)  # running back by no more is a muxer's carelessness; it is FFmpeg's own limit, too
_GAP_S = 10  # a broadcast that jumps further ahead has begun anew, as FFmpeg has it
_LONG_GAP_S = 1800  # and other files: more than any picture stands still, less than makes FFmpeg's MP4 writer abort


class Timeline:
    """The one time line that the packets of all streams are brought to.

    `repaired` counts the pictures that had no time of their own, or one that was taken. `in_parts`: a broadcast or a
    disc may begin its times anew; each part is then put behind the one before. `by_dts`: the file has but one time
    for each packet, which is not when its picture is shown.
    """

    def __init__(self, *, in_parts: bool, by_dts: bool) -> None:
        self.repaired = 0
        self._by_dts = by_dts
        self._gap = _GAP_S if in_parts else _LONG_GAP_S
        self._latest = Fraction(0)  # what is added to the times of the part that began last
        self._shifts: dict[int, Fraction] = {}  # the same for each stream: they do not change at the same packet
        self._doubts: dict[int, Fraction] = {}  # a time that does not follow, until the next one bears it out
        self._begins: dict[int, Fraction] = {}  # of the last packet of each stream
        self._ends: dict[int, Fraction] = {}
        self._last_pts: int | None = None

    @property
    def end(self) -> Fraction:
        """When the last packet of all ends, in seconds."""
        return max(self._ends.values(), default=Fraction(0))

    def place(self, packet: SidePacket) -> None:
        """Give a packet its place on the time line, and a time of decoding if it has none and needs one."""
        index, base = packet.stream.index, packet.time_base
        if packet.dts is None and packet.stream.type == "video":
            return
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.dts is None:
            packet.dts = round(self._ends.get(index, Fraction(0)) / base)
        else:
            move(packet, self._shift(packet))
        if packet.pts is not None and abs(packet.pts - packet.dts) * base > APART_S:
            packet.pts = None if packet.stream.type == "video" else packet.dts
        begin, step = time_of(packet), (packet.duration or 0) * base
        if not 0 < step < self._gap:
            step = max(Fraction(0), begin - self._begins.get(index, begin))
        self._begins[index], self._ends[index] = begin, begin + step

    def date(self, picture: VideoFrame, step: int) -> int:
        """The picture's time in ticks, later than that of the one before; it is set where it has to be made up.

        `step` is the usual distance of two pictures.
        """
        own, last = picture.dts if self._by_dts else picture.pts, self._last_pts
        pts = own
        if pts is None:
            pts = 0 if last is None else last + (picture.duration or step)
        elif last is not None and pts <= last:
            pts = last + 1
        self.repaired += pts != own
        picture.pts = self._last_pts = pts
        return pts

    def _shift(self, packet: SidePacket) -> Fraction:
        """What is added to the packet's time. One time that does not follow is not believed, two in a row are."""
        index, time = packet.stream.index, time_of(packet)
        if packet.stream.type not in ("video", "audio"):
            return self._latest
        shift, end = self._shifts.get(index, self._latest), self._ends.get(index)
        if end is None or self._follows(time + shift, end) or end < time + shift <= self.end + APART_S:
            self._doubts.pop(index, None)
        else:
            doubt = self._doubts.pop(index, None)
            if doubt is None or not self._follows(time, doubt):
                self._doubts[index] = time
                return end - time
            if not self._follows(time + self._latest, end):
                self._latest = self.end - time
            shift = self._latest
        self._shifts[index] = shift
        return shift

    def _follows(self, time: Fraction, end: Fraction) -> bool:
        return -_BACK_S <= time - end <= self._gap
