"""Time stamps: which of them are kept, and how the others are repaired.

- A packet that begins no earlier than the previous one of its stream follows it. Durations are no evidence: many
  containers store none.
- A jump from which the stream returns is an outlier: the packets of the jump get times between their neighbours.
- A jump from which it does not return is a pause, or, backwards or too far ahead, the start of a new part (joined
  recordings, a broadcast that restarts): all streams are moved alike, and the part follows the one before.
  The 33 bits of MPEG-TS that start again at 0 are neither: the count goes on.
- A start far from 0 is a clock (a broadcast's, a camera's): all streams are moved alike, and the file begins at 0.
- Frames leave the decoder in display order. A frame whose time is not between those of its neighbours gets one there.
  Two neighbours or more that are late by less than a second cannot be distinguished from frames after a pause:
  packets are stored that much out of order, too. They keep their times, and the frames after them, which are then too
  early, get times close behind until they catch up; the report says so.
- Subtitles and data may come at any time, in any order; they are moved as the rest is, and no more. One far ahead
  holds up no other stream: `StreamCopier` writes packets in the order of their times, within a bound of bytes.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise

from av import VideoFrame

from vidsr.media.frame import SidePacket
from vidsr.media.trim import MAX_INTERLEAVE_S, dts_seconds, shift_packet

_BACKWARD_S = Fraction(1, 10)  # steps back up to this are the muxer's; FFmpeg has the same limit
_REORDER_S = 1  # frames are stored this much out of order without being wrong
_BROADCAST_PAUSE_S = 10  # a larger step forward is a discontinuity, as in FFmpeg
_FILE_PAUSE_S = 1800  # in other files: longer than any frame, below the step at which FFmpeg's MP4 muxer aborts
_MAX_REORDERED = 16  # frames, in H.264 and HEVC
_WRAP_S = Fraction(2**33, 90_000)
_AHEAD, _AHEAD_BYTES = 64, 16 * 2**20  # packets that are read ahead, to see whether a stream returns from a jump


@dataclass(kw_only=True)
class _Track:
    """The state of a stream: seconds added to its times, begin and usual distance of its last packet."""

    offset: Fraction
    begin: Fraction | None = None
    step: Fraction = Fraction(0)

    @property
    def end(self) -> Fraction:
        return (self.begin or Fraction(0)) + self.step


class TimestampRepair:
    """Makes the time stamps of all streams continuous.

    `clock_s` is subtracted from all of them. `broadcast`: the time stamps may restart and wrap. `dts_only`: the
    container stores one time stamp per packet, in decoding order. `retimed` counts the frames, and `retimed_packets`
    the packets of other streams, without a usable time stamp; `parts` the new parts.
    """

    def __init__(self, *, clock_s: Fraction = Fraction(0), broadcast: bool, dts_only: bool) -> None:
        self.retimed = self.retimed_packets = self.parts = 0
        self.stored_end = Fraction(0)
        """The latest end of a packet by the time stamps as stored, wrong ones among them."""
        self._dts_only, self._broadcast = dts_only, broadcast
        self._pause = _BROADCAST_PAUSE_S if broadcast else _FILE_PAUSE_S
        self._offset = -clock_s  # of the newest part; streams reach it at different packets
        self._tracks: dict[int, _Track] = {}  # of video and audio, by stream
        self._ended = False  # whether all packets that follow are known
        self._last_pts: int | None = None
        self._last_stored: int | None = None

    def sentences(self) -> Iterator[str]:
        """What was repaired."""
        if self.retimed:
            yield f"{self.retimed} frames had no usable time stamp and received one"
        if self.retimed_packets:
            yield f"{self.retimed_packets} audio packets had no usable time stamp and received one"
        if self.parts:
            yield f"the time stamps restart {self.parts} times; each part now follows the one before"

    def packets(self, packets: Iterable[SidePacket]) -> Iterator[SidePacket]:
        """The packets in their order, with continuous time stamps, and a dts if their stream needs one."""
        ahead: deque[SidePacket] = deque()
        ahead_bytes = 0
        self._ended = False
        for packet in packets:
            ahead.append(packet)
            ahead_bytes += packet.size
            while len(ahead) > _AHEAD or (ahead_bytes > _AHEAD_BYTES and len(ahead) > 1):
                first = ahead.popleft()
                ahead_bytes -= first.size
                yield self._repaired(first, ahead)
        self._ended = True
        while ahead:
            yield self._repaired(ahead.popleft(), ahead)

    def frames(self, frames: Iterable[VideoFrame], step: int) -> Iterator[VideoFrame]:
        """The frames, each later than the one before; `step` is the usual distance between frames in ticks."""
        for frame, following in pairwise(chain(frames, [None])):
            if frame is not None:  # never, but for the type checker
                frame.pts = self._frame_pts(frame, following, step)
                yield frame

    def _frame_pts(self, frame: VideoFrame, following: VideoFrame | None, step: int) -> int:
        last, stored = self._last_pts, self._stored(frame)
        limit = None if following is None else self._stored(following)
        repeated, self._last_stored = stored == self._last_stored, stored
        least = max(1, step // 16)
        usual = frame.duration if frame.duration > least else step
        pts = stored
        if last is None:
            if stored is None or (limit is not None and limit < stored):
                pts = 0 if limit is None else limit - min(usual, max(1, limit))
        elif stored is None or stored <= last or _is_late(last, stored, limit, usual=usual):
            if limit is not None and limit > last:
                pts = last + min(usual, max(1, (limit - last) // 2))
            else:  # with times that are late only, the next ones catch up
                pts = last + (usual if stored is None or repeated or following is None else least)
        assert pts is not None
        self.retimed += pts != stored
        self._last_pts = pts
        return pts

    def _stored(self, frame: VideoFrame) -> int | None:
        return frame.dts if self._dts_only else frame.pts

    def _repaired(self, packet: SidePacket, ahead: deque[SidePacket]) -> SidePacket:
        if not packet.size:
            return packet
        self.stored_end = max(self.stored_end, _presented_end(packet))
        kind, index = packet.stream.type, packet.stream_index
        if kind not in ("video", "audio"):
            packet.dts = packet.pts if packet.dts is None else packet.dts
            if packet.dts is None:
                packet.dts = round(self._end / packet.time_base)
            else:
                shift_packet(packet, self._unwrapped(dts_seconds(packet), self._offset, self._end))
            _limit_reordering(packet, Fraction(0))
            return packet
        track = self._tracks.setdefault(index, _Track(offset=self._offset))
        if packet.dts is None and packet.pts is not None:
            packet.dts = packet.pts if kind == "audio" else _dts_before(packet, ahead)
        if packet.dts is not None:
            self._place(packet, track, ahead)
        elif kind == "audio":
            packet.dts = round(track.end / packet.time_base)
            self._advance(packet, track, track.end)
        elif packet.pts is not None:
            packet.pts += round(track.offset / packet.time_base)
        return packet

    @property
    def _end(self) -> Fraction:
        """The latest end of a packet of video or audio."""
        return max((track.end for track in self._tracks.values() if track.begin is not None), default=Fraction(0))

    def _place(self, packet: SidePacket, track: _Track, ahead: deque[SidePacket]) -> None:
        time = dts_seconds(packet)
        track.offset = self._unwrapped(time, track.offset, self._end if track.begin is None else track.begin)
        is_video = packet.stream.type == "video"
        between = self._between(packet, track, ahead)
        reordered = is_video and between is not None and abs(between - track.offset - time) <= _REORDER_S
        if between is not None and not reordered:
            self._move_outlier(packet, track, between)
        else:
            if track.begin is not None and not reordered and not self._follows(time + track.offset - track.begin):
                self._reach_part(packet, track, ahead)
            shift_packet(packet, track.offset)
            if track.begin is not None and not is_video:
                shift_packet(packet, max(Fraction(0), track.begin - dts_seconds(packet)))
        _limit_reordering(packet, track.step)
        self._advance(packet, track, dts_seconds(packet) if between is None else between)

    def _between(self, packet: SidePacket, track: _Track, ahead: Iterable[SidePacket]) -> Fraction | None:
        """The time of a packet that is an outlier, from the packets that follow it; None for any other packet."""
        base = packet.time_base
        distances = chain([0], self._distances(packet, ahead))
        if track.begin is None:
            before = _before(list(distances), usual=round(_REORDER_S / base))
            return None if before is None else dts_seconds(packet) + track.offset + before * base
        jump_s = dts_seconds(packet) + track.offset - track.begin
        jump, pause = round(jump_s / base), round(self._pause / base)
        is_last = self._ended
        for n_outliers, (before, after) in enumerate(pairwise(distances), 1):
            is_last, back, place = False, after - before, jump + after
            if back * jump < 0 and abs(back) > abs(jump) / 2:
                returns = 0 <= place < (jump if jump > 0 else pause)
                return track.begin + round(place / (n_outliers + 1)) * base if returns else None
            if -_BACKWARD_S <= jump_s <= max(_BACKWARD_S, 2 * track.step):
                return None
        return track.end if is_last and jump_s < -_BACKWARD_S else None

    def _distances(self, packet: SidePacket, ahead: Iterable[SidePacket]) -> Iterator[int]:
        """The ticks from the dts of a packet to those of the packets that follow it in its stream."""
        index, wrap = packet.stream_index, _WRAP_S / packet.time_base
        for following in ahead:
            if following.stream_index == index and following.dts is not None and packet.dts is not None:
                ticks = following.dts - packet.dts
                yield ticks - round(round(ticks / wrap) * wrap) if self._broadcast else ticks

    def _move_outlier(self, packet: SidePacket, track: _Track, begin: Fraction) -> None:
        distance = begin - dts_seconds(packet)
        delay = 0 if packet.pts is None or packet.dts is None else (packet.pts - packet.dts) * packet.time_base
        if packet.stream.type == "audio":
            self.retimed_packets += 1
        elif not 0 <= delay <= _REORDER_S:  # the pts is right, or wrong in its own way
            shift_packet(packet, track.offset)
            packet.dts = round(begin / packet.time_base)
            return
        else:
            self.retimed += 1
        shift_packet(packet, distance)

    def _reach_part(self, packet: SidePacket, track: _Track, ahead: deque[SidePacket]) -> None:
        """Sets the offset of a packet that does not follow and is no outlier."""
        time = dts_seconds(packet)
        assert track.begin is not None
        place = time + track.offset
        others = [t.begin for t in self._tracks.values() if t is not track and t.begin is not None]
        if place > track.begin:
            if place <= self._end + MAX_INTERLEAVE_S:
                return  # it paused, and the others did not
        elif any(abs(other - place) < 1 < track.begin - other for other in others):
            return  # it was ahead of the others, and is no longer
        if not self._follows(time + self._offset - track.begin):
            self.parts += 1
            self._offset = self._end - min(chain([time], self._reaching(time, ahead)))
        track.offset = self._offset

    def _reaching(self, time: Fraction, ahead: deque[SidePacket]) -> Iterator[Fraction]:
        """The times of the next packets that reach the part in which `time` is, too."""
        for packet in ahead:
            track, other = self._tracks.get(packet.stream_index), dts_seconds(packet)
            if track is None or track.begin is None or packet.dts is None or abs(other - time) > MAX_INTERLEAVE_S:
                continue
            if not self._follows(other + track.offset - track.begin):
                yield other

    def _follows(self, jump: Fraction) -> bool:
        return -_BACKWARD_S <= jump <= self._pause

    def _unwrapped(self, time: Fraction, offset: Fraction, near: Fraction) -> Fraction:
        """The offset that brings the time nearest to another one, if the time stamps of the file wrap."""
        return offset + _WRAP_S * round((near - time - offset) / _WRAP_S) if self._broadcast and near else offset

    def _advance(self, packet: SidePacket, track: _Track, begin: Fraction) -> None:
        step = (packet.duration or 0) * packet.time_base
        if not 0 < step < self._pause:
            step = max(Fraction(0), begin - (begin if track.begin is None else track.begin))
        track.begin, track.step = begin, step


def _before(distances: list[int], *, usual: int) -> int | None:
    """The ticks to the right time of the first packet of a stream; None if its own is right.

    `distances` are those to the packets after it. The longer of two runs of packets without a step above `usual` has
    the right times.
    """
    steps = [after - before for before, after in pairwise(distances)]
    jumps = [number for number, step in enumerate(steps) if abs(step) > usual] + [len(steps)]
    n_outliers, run = jumps[0] + 1, (jumps[1:] or jumps)[0] - jumps[0]
    if run <= n_outliers or distances[n_outliers] > -usual:  # a part that begins as the first is no return
        return None
    return distances[n_outliers] - n_outliers * max(0, steps[n_outliers])


def _is_late(last: int, stored: int, limit: int | None, *, usual: int) -> bool:
    """Whether a frame's time is an outlier: that of the next one, `limit`, is before it and nearer to the usual."""
    return limit is not None and last < limit < stored and abs(stored - last - usual) > abs(limit - last - usual)


def _dts_before(packet: SidePacket, ahead: Iterable[SidePacket]) -> int | None:
    """The dts of one of the first packets of a video in Matroska, from the first that has one; None without any."""
    packets = (following for following in ahead if following.stream_index == packet.stream_index and following.size)
    for number, following in enumerate(packets, 1):
        if following.dts is not None:
            return following.dts - number * (packet.duration or 1)
    return None


def _presented_end(packet: SidePacket) -> Fraction:
    begin = packet.dts if packet.pts is None else packet.pts
    return ((begin or 0) + (packet.duration or 0)) * packet.time_base


def _limit_reordering(packet: SidePacket, step: Fraction) -> None:
    """Removes a pts that is too far from the dts for any order of frames that are `step` apart."""
    if packet.pts is None or packet.dts is None or packet.pts == packet.dts:
        return
    step = max(step, (packet.duration or 0) * packet.time_base)
    if abs(packet.pts - packet.dts) * packet.time_base > max(Fraction(MAX_INTERLEAVE_S), _MAX_REORDERED * step):
        packet.pts = None if packet.stream.type == "video" else packet.dts
