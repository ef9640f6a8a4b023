"""The queue of packets between the decoder of a camera and the thread that reads them."""

import math
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from vidsr.media.source.live_source import LiveSource
from vidsr.media.source.pacing import LivePacket
from vidsr.settings import StreamSettings
from vidsr.stream_url import StreamUrl

Packet = TypeVar("Packet")

MAX_AGE_S = 10.0  # the supervisor kills a process that stalls for as long
MAX_BYTES = 64 << 20  # 10 s at 50 Mbit/s, more than cameras send
MAX_PACKETS = 4096  # 10 s of 60 frames and 340 packets of audio per second


@dataclass(kw_only=True)
class QueuedPacket(Generic[Packet]):
    """A packet in the queue, or taken from it."""

    number: int
    packet: Packet
    arrived_s: float
    size: int
    video: bool
    key: bool
    dropped: bool = False
    """Whether it must not be decoded: it is late, or a packet that it depends on was dropped. Its data are valid."""


class DroppingQueue(Generic[Packet]):
    """The packets of one connection, between the thread that reads, which never waits, and the one that decodes.

    Video is dropped in whole runs that end at a key frame, so that the next decoded packet depends on no dropped one;
    audio is kept. Dropped packets are still returned, marked as such, for a recording of the source itself. Only at a
    bound are the oldest packets discarded.
    """

    def __init__(
        self, *, max_age_s: float = MAX_AGE_S, max_bytes: int = MAX_BYTES, max_packets: int = MAX_PACKETS
    ) -> None:
        self._dropped: Counter[str] = Counter()
        self._max_age_s, self._max_bytes, self._max_packets = max_age_s, max_bytes, max_packets
        self._entries: deque[QueuedPacket[Packet]] = deque()
        self._bytes = self._count = 0
        self._decode_from: float = 0  # number of the first video packet to decode; infinite until a key frame comes
        self._reason = ""
        self._error: Exception | None = None
        self._changed = threading.Condition()

    @property
    def dropped(self) -> Counter[str]:
        """The number of dropped packets so far, by reason: those given to `drop`, and "full"."""
        with self._changed:
            return self._dropped.copy()

    def put(self, packet: Packet, *, arrived_s: float, size: int, video: bool, key: bool) -> None:
        """Append a packet of `size` bytes; `key` is a video packet that starts with a key frame."""
        with self._changed:
            number, self._count = self._count, self._count + 1
            if video and key and self._decode_from == math.inf:
                self._decode_from = number
            self._entries.append(
                QueuedPacket(number=number, packet=packet, arrived_s=arrived_s, size=size, video=video, key=key)
            )
            self._bytes += size
            while self._is_full(arrived_s):
                self._evict()
            self._changed.notify()

    def close(self, error: Exception) -> None:
        """Mark the end: `get` raises the error after the packets that were put before."""
        with self._changed:
            self._error = error
            self._changed.notify()

    def get(self, timeout_s: float) -> QueuedPacket[Packet] | None:
        """The oldest packet, or None after `timeout_s` without one. Raises the error given to `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._error, timeout_s)
            if not self._entries:
                if self._error:
                    raise self._error
                return None
            return self._pop()

    def drop(self, reason: str) -> None:
        """Drop the video before the newest key frame in the queue.

        Without such a key frame, or with nothing queued before it, all video up to the next key frame is dropped.
        """
        with self._changed:
            self._drop_to_key(reason)

    def age_s(self, now_s: float) -> float:
        """Seconds that the oldest packet to be decoded has waited; 0 without one."""
        with self._changed:
            oldest = next((entry for entry in self._entries if self._decodes(entry)), None)
            return now_s - oldest.arrived_s if oldest else 0.0

    def _decodes(self, entry: QueuedPacket[Packet]) -> bool:
        return entry.video and entry.number >= self._decode_from

    def _is_full(self, now_s: float) -> bool:
        return bool(self._entries) and (
            len(self._entries) > self._max_packets
            or self._bytes > self._max_bytes
            or now_s - self._entries[0].arrived_s > self._max_age_s
        )

    def _drop_to_key(self, reason: str) -> None:
        waiting = [entry for entry in self._entries if self._decodes(entry)]
        if waiting:
            keys = [entry.number for entry in waiting[1:] if entry.key]
            self._decode_from, self._reason = keys[-1] if keys else math.inf, reason

    def _pop(self) -> QueuedPacket[Packet]:
        entry = self._entries.popleft()
        self._bytes -= entry.size
        entry.dropped = entry.video and entry.number < self._decode_from
        self._dropped[self._reason] += entry.dropped
        return entry

    def _evict(self) -> None:
        """Discard the oldest packet, and drop the run that depends on it if it was to be decoded."""
        if self._decodes(self._entries[0]):
            self._drop_to_key("full")
        evicted = self._pop()  # which may count it, too
        self._dropped["full"] += not evicted.dropped


_JOIN_S = 0.5  # a read within FFmpeg cannot be interrupted; the thread is abandoned after this time


class PacketReader:
    """A thread that opens a source and fills `queue`; closed by `with`. Its errors are raised by `queue.get`."""

    def __init__(self, url: StreamUrl, settings: StreamSettings) -> None:
        self.queue: DroppingQueue[LivePacket] = DroppingQueue()
        self.source: LiveSource | None = None
        """Set before the first packet is queued."""
        self._url, self._settings = url, settings
        self._thread = threading.Thread(target=self._read, name="packet-reader", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        self._thread.join(_JOIN_S)
        if self.source and not self._thread.is_alive():
            self.source.close()

    def stop(self) -> None:
        """Read no more packets."""
        if self.source:
            self.source.stop()

    def _read(self) -> None:
        try:
            self.source = source = LiveSource(self._url, self._settings)
            for packet in source.packets():
                video = packet.stream is source.video
                self.queue.put(
                    packet,
                    arrived_s=time.monotonic(),
                    size=packet.size,
                    video=video,
                    key=video and packet.is_keyframe,
                )
        except Exception as error:  # bugs, too, are raised where the packets are taken
            self.queue.close(error)
