"""Joining: the packets of all segments, in order, on one time line."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from vidsr.errors import WorkerError
from vidsr.media.packet_data import PacketData
from vidsr.segments.work import UpscaledSegment


class SegmentJoiner:
    """Joins segments; `headers` are those of the file. Of the joined packets only the last ones are kept."""

    def __init__(self, headers: bytes) -> None:
        self._headers = headers
        self._frames = 0
        self._end: int | None = None  # the pts of the last frame
        self._next = 0
        self._delay: int | None = None  # of the encoder, in frames
        self._before: deque[int] = deque()  # the pts of the frames that it holds back
        self._held: PacketData | None = None  # the last packet: perhaps that of the file
        self._last_duration = 0

    def packets(self, segment: UpscaledSegment) -> Iterator[PacketData]:
        """The packets that the next segment completes, with new decoding times: the encoder's delay behind the frames.

        Raises WorkerError for a segment that does not follow, or is not as its frames.
        """
        self._check(segment)
        self._next += 1
        for packet in self._timed(segment):
            if self._held:
                yield self._held
            self._held = packet
        self._frames += len(segment.times)
        self._end = segment.times[-1] if segment.times else self._end

    def last_packet(self, *, as_displayed: bool) -> Iterator[PacketData]:
        """The last packet of the file.

        With `as_displayed` it lasts as the frame that is displayed last: an MP4 ends when the last packet in decoding
        order does.
        """
        if self._held:
            yield replace(self._held, duration=self._last_duration) if as_displayed else self._held

    def _timed(self, segment: UpscaledSegment) -> Iterator[PacketData]:
        times = segment.times
        if self._delay is None and times:
            self._delay = sum((packet.dts or 0) < times[0] for packet in segment.packets)
            ahead_ticks = times[min(self._delay, len(times) - 1)] - times[0]
            self._before.extend(time - ahead_ticks for time in times[: self._delay])
        self._before.extend(times)
        for packet in segment.packets:
            dts = self._before.popleft()
            if dts > (packet.pts or 0):
                raise self._error(segment, "its packets come in another order than the encoder's delay allows")
            if packet.pts == times[-1]:
                self._last_duration = packet.duration
            yield replace(packet, dts=dts)

    def _check(self, segment: UpscaledSegment) -> None:
        pts = sorted(packet.pts or 0 for packet in segment.packets)
        if segment.index != self._next:
            raise self._error(segment, f"segment {self._next} should follow")
        if pts != list(segment.times):
            raise self._error(segment, f"{len(segment.times)} frames were encoded, and {len(pts)} came back")
        if not segment.times:  # all of it is outside the range
            return
        if segment.headers != self._headers:
            raise self._error(segment, "its codec headers are not those of the file")
        if not segment.packets[0].key:
            raise self._error(segment, "it does not begin with a key frame")
        if self._end is not None and pts[0] <= self._end:
            raise self._error(segment, "it begins before the end of the one before")

    def _error(self, segment: UpscaledSegment, why: str) -> WorkerError:
        return WorkerError(f"segment {segment.index}: {why}", self._frames)
