"""What a camera sent and nobody has decoded yet."""

import math
import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Packet = TypeVar("Packet")

MOST_S = 10.0  # a pipeline that takes nothing for so long is ended by its supervisor
MOST_BYTES = 64 << 20  # 10 s of 50 Mbit/s, which no camera reaches
MOST_PACKETS = 4096  # 10 s of 60 pictures and 340 packets of sound a second


@dataclass(frozen=True, kw_only=True)
class Waiting(Generic[Packet]):
    """A packet as it is taken."""

    packet: Packet
    arrived_s: float
    dropped: bool
    """It is not to be decoded: there was no time for it, or what it builds on is missing. Its bytes are still good."""


@dataclass(frozen=True, kw_only=True)
class _Entry(Generic[Packet]):
    number: int
    packet: Packet
    arrived_s: float
    size: int
    video: bool
    key: bool


class Backlog(Generic[Packet]):
    """The packets of one connection between the thread that reads it, which never waits, and the one that decodes.

    What is dropped are whole runs of video that end at a key frame, so that what is decoded next needs nothing that
    was left out; sound is kept. Dropped packets are still handed out, marked, for a recording of the source itself;
    only where a bound is hit the oldest of all are gone. `dropped` counts packets by reason: those that `drop` was
    given, and "full".
    """

    def __init__(
        self, *, most_s: float = MOST_S, most_bytes: int = MOST_BYTES, most_packets: int = MOST_PACKETS
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._most_s, self._most_bytes, self._most_packets = most_s, most_bytes, most_packets
        self._entries: deque[_Entry[Packet]] = deque()
        self._bytes = self._numbers = 0
        self._from: float = 0  # the number of the first video packet to decode; infinite until a key frame comes
        self._reason = ""
        self._error: Exception | None = None
        self._changed = threading.Condition()

    def put(self, packet: Packet, *, arrived_s: float, size: int, video: bool, key: bool) -> None:
        """Takes a packet of `size` bytes; `key` is a video packet that can be decoded without those before it."""
        with self._changed:
            number, self._numbers = self._numbers, self._numbers + 1
            if video and key and self._from == math.inf:
                self._from = number
            self._entries.append(
                _Entry(number=number, packet=packet, arrived_s=arrived_s, size=size, video=video, key=key)
            )
            self._bytes += size
            while self._full(arrived_s):
                self._lose()
            self._changed.notify()

    def end(self, error: Exception) -> None:
        """There will be no more: `get` raises the error once what came before it is taken."""
        with self._changed:
            self._error = error
            self._changed.notify()

    def get(self, timeout_s: float) -> Waiting[Packet] | None:
        """The oldest packet, or None when there was none for so long. Raises what the backlog was ended with."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._error, timeout_s)
            if not self._entries:
                if self._error:
                    raise self._error
                return None
            entry, dropped = self._take()
        return Waiting(packet=entry.packet, arrived_s=entry.arrived_s, dropped=dropped)

    def drop(self, reason: str) -> None:
        """Video before the newest key frame that waits is not to be decoded.

        Without such a key frame, or where nothing waits before it: all video until the next one comes.
        """
        with self._changed:
            self._cut(reason)

    def age_s(self, now_s: float) -> float:
        """How long the oldest packet has waited that is to be decoded; 0 when there is none."""
        with self._changed:
            oldest = next((entry for entry in self._entries if self._decodes(entry)), None)
            return now_s - oldest.arrived_s if oldest else 0.0

    def _decodes(self, entry: _Entry[Packet]) -> bool:
        return entry.video and entry.number >= self._from

    def _full(self, now_s: float) -> bool:
        return bool(self._entries) and (
            len(self._entries) > self._most_packets
            or self._bytes > self._most_bytes
            or now_s - self._entries[0].arrived_s > self._most_s
        )

    def _cut(self, reason: str) -> None:
        waiting = [entry for entry in self._entries if self._decodes(entry)]
        if waiting:
            keys = [entry.number for entry in waiting[1:] if entry.key]
            self._from, self._reason = keys[-1] if keys else math.inf, reason

    def _take(self) -> tuple[_Entry[Packet], bool]:
        entry = self._entries.popleft()
        self._bytes -= entry.size
        dropped = entry.video and entry.number < self._from
        self.dropped[self._reason] += dropped
        return entry, dropped

    def _lose(self) -> None:
        """The oldest packet is gone, and with one that was to be decoded the run that builds on it."""
        if self._decodes(self._entries[0]):
            self._cut("full")
        _, dropped = self._take()
        self.dropped["full"] += not dropped
