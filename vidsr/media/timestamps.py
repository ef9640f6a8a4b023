"""Repair of time stamps: discontinuities of broadcasts, files without time stamps, damaged ones."""

from fractions import Fraction

from av import VideoFrame

from vidsr.media.frame import SidePacket
from vidsr.media.trim import MAX_INTERLEAVE_S, dts_seconds, shift_packet

_BACKWARD_S = Fraction(1, 10)  # steps back up to this are the muxer's; FFmpeg has the same limit
_BROADCAST_GAP_S = 10  # a larger step forward is a discontinuity, as in FFmpeg
_FILE_GAP_S = 1800  # in other files: above any duration of a frame, below the step at which FFmpeg's MP4 muxer aborts


class TimestampRepair:
    """Makes the time stamps of all streams continuous.

    `retimed` counts the frames without a usable time stamp. `discontinuous`: the time stamps of a broadcast or a disc
    may restart; each part then follows the one before. `dts_only`: the container stores one time stamp per packet,
    in decoding order.
    """

    def __init__(self, *, discontinuous: bool, dts_only: bool) -> None:
        self.retimed = 0
        self._dts_only = dts_only
        self._gap = _BROADCAST_GAP_S if discontinuous else _FILE_GAP_S
        self._latest = Fraction(0)  # offset of the newest part
        self._offsets: dict[int, Fraction] = {}  # by stream: streams reach the new part at different packets
        self._suspects: dict[int, Fraction] = {}  # by stream: a time out of sequence, until the next one confirms it
        self._begins: dict[int, Fraction] = {}  # by stream: of the last packet
        self._ends: dict[int, Fraction] = {}
        self.presented_end = Fraction(0)
        """The end in seconds of the packet that is presented last; later than `end`, where frames are reordered."""
        self._last_pts: int | None = None

    @property
    def end(self) -> Fraction:
        """The latest end of any packet in seconds."""
        return max(self._ends.values(), default=Fraction(0))

    def fix_packet(self, packet: SidePacket) -> None:
        """Sets the packet's time stamps: continuous, with a dts if its stream needs one."""
        index, base = packet.stream.index, packet.time_base
        if packet.dts is None and packet.stream.type == "video":
            return
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.dts is None:
            packet.dts = round(self._ends.get(index, Fraction(0)) / base)
        else:
            shift_packet(packet, self._offset(packet))
        if packet.pts is not None and abs(packet.pts - packet.dts) * base > MAX_INTERLEAVE_S:
            packet.pts = None if packet.stream.type == "video" else packet.dts
        begin, step = dts_seconds(packet), (packet.duration or 0) * base
        if not 0 < step < self._gap:
            step = max(Fraction(0), begin - self._begins.get(index, begin))
        self._begins[index], self._ends[index] = begin, begin + step
        presented = begin if packet.pts is None else packet.pts * base
        self.presented_end = max(self.presented_end, presented + step)

    def fix_frame(self, frame: VideoFrame, step: int) -> int:
        """Sets the frame's pts, later than that of the frame before; returns it.

        `step` is the usual distance between frames in ticks.
        """
        stored, last = frame.dts if self._dts_only else frame.pts, self._last_pts
        pts = stored
        if pts is None:
            pts = 0 if last is None else last + (frame.duration or step)
        elif last is not None and pts <= last:
            pts = last + 1
        self.retimed += pts != stored
        frame.pts = self._last_pts = pts
        return pts

    def _offset(self, packet: SidePacket) -> Fraction:
        """Seconds to add to the packet's time. One time out of sequence is ignored, two in a row start a new part."""
        index, time = packet.stream.index, dts_seconds(packet)
        if packet.stream.type not in ("video", "audio"):
            return self._latest
        offset, end = self._offsets.get(index, self._latest), self._ends.get(index)
        if end is None or self._follows(time + offset, end) or end < time + offset <= self.end + MAX_INTERLEAVE_S:
            self._suspects.pop(index, None)
        else:
            suspect = self._suspects.pop(index, None)
            if suspect is None or not self._follows(time, suspect):
                self._suspects[index] = time
                return end - time
            if not self._follows(time + self._latest, end):
                self._latest = self.end - time
            offset = self._latest
        self._offsets[index] = offset
        return offset

    def _follows(self, time: Fraction, end: Fraction) -> bool:
        return -_BACKWARD_S <= time - end <= self._gap
