"""The packets of a source on their way to the original: they wait for their times, which their frames set."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from vidsr.live.reorder_buffer import PassthroughPacket
from vidsr.media.source.live_timestamps import SECOND, TIME_BASE, LiveTimeline
from vidsr.media.source.pacing import LivePacket

_MAX_WAITING = 24  # more than decoders delay
_MAX_FRAMES = 64
_SAME_CLOCK = 10 * SECOND


@dataclass(frozen=True, kw_only=True, eq=False)
class _Waiting:
    packet: LivePacket
    pts: int | None
    dts: int | None
    arrived_s: float
    has_frame: bool


class SourcePackets:
    """The packets of one connection, from the first key frame with a frame on, in decoding order."""

    def __init__(self, timeline: LiveTimeline) -> None:
        self._timeline = timeline
        self._waiting: deque[_Waiting] = deque()
        self._pts_of: dict[int, int] = {}  # of the last frames, by their time at the source
        self._last_source: int | None = None

    def put(
        self, packet: LivePacket, times: tuple[int | None, int | None], *, arrived_s: float, is_decoded: bool
    ) -> None:
        """Append a packet with its pts and dts; a dropped one has no frame to wait for."""
        if self._last_source is None and packet.is_keyframe:
            self._waiting.clear()
        if packet.is_keyframe or self._waiting or self._last_source is not None:
            pts, dts = (None if each is None else round(each * packet.time_base / TIME_BASE) for each in times)
            self._waiting.append(_Waiting(packet=packet, pts=pts, dts=dts, arrived_s=arrived_s, has_frame=is_decoded))

    def on_frame(self, source_pts: int | None, *, time_base: Fraction, pts: int) -> None:
        """A frame of the source got `pts` on the timeline."""
        self._last_source = 0 if source_pts is None else round(source_pts * time_base / TIME_BASE)
        self._pts_of[self._last_source] = pts
        if len(self._pts_of) > _MAX_FRAMES:
            del self._pts_of[next(iter(self._pts_of))]

    def placed(self, *, is_last: bool) -> Iterator[PassthroughPacket]:
        """The packets whose times are known; with `is_last` all, as no frame follows. None before the first frame."""
        while self._waiting and self._last_source is not None:
            first = self._waiting[0]
            if not is_last and self._is_frame_due(first):
                return
            self._waiting.popleft()
            pts = self._pts(first)
            behind = 0 if first.pts is None or first.dts is None else first.pts - first.dts
            yield PassthroughPacket(packet=first.packet, pts=pts, dts=pts - behind, is_source=True)

    def _is_frame_due(self, first: _Waiting) -> bool:
        """Whether the decoder may still return the frame of a packet."""
        if not first.has_frame or first.pts is None or first.pts in self._pts_of or self._last_source is None:
            return False
        return len(self._waiting) <= _MAX_WAITING and not 0 <= self._last_source - first.pts <= _SAME_CLOCK

    def _pts(self, packet: _Waiting) -> int:
        if packet.has_frame and packet.pts in self._pts_of:
            return self._pts_of[packet.pts]
        pts = self._timeline.source_pts(
            packet.dts if packet.pts is None else packet.pts, time_base=TIME_BASE, arrived_s=packet.arrived_s
        )
        return self._timeline.expected_pts(packet.arrived_s) if pts is None else pts
