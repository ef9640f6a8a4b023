"""The frames that are being upscaled and the packets between them, returned in order and as soon as they are ready."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from vidsr.arrays import Plane
from vidsr.live.status import NO_NETWORK
from vidsr.media.frame import Frame, SidePacket
from vidsr.media.source.live_timestamps import FrameTime
from vidsr.model.weights import Weights
from vidsr.pool import QUEUE_DEPTH, Pool, Ticket


@dataclass(frozen=True, kw_only=True, eq=False)
class TimedFrame:
    """A decoded frame with its time and the rung that upscales it."""

    decoded: Frame
    """The frame from the decoder, in the pixel format to upscale in."""
    time: FrameTime
    depth: int
    """Bits per luma sample."""
    arrived_s: float
    rung: str


@dataclass(frozen=True, kw_only=True, eq=False)
class UpscaledFrame:
    """A frame, its upscaled luma (None on the rung without a network), and the seconds a worker took."""

    frame: TimedFrame
    luma: Plane | None
    engine_s: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PassthroughPacket:
    """A packet to be copied, with its times in 1/90000 s: audio, or with `is_source` the source's own video."""

    packet: SidePacket
    pts: int | None
    dts: int | None
    is_source: bool


Item: TypeAlias = UpscaledFrame | PassthroughPacket


class ReorderBuffer:
    """Frames in a pool, and the packets between them. `networks` holds the weights by rung."""

    def __init__(self, pool: Pool, networks: Mapping[str, Weights]) -> None:
        self._pool, self._networks = pool, networks
        self._poll_prepared: Callable[[], bool] = lambda: False
        self._is_prepared = False
        self._items: deque[tuple[TimedFrame, Ticket | None] | PassthroughPacket] = deque()
        self._in_work = 0

    def __bool__(self) -> bool:
        return bool(self._items)

    @property
    def is_full(self) -> bool:
        """Whether every worker has enough frames."""
        return self._in_work >= self._pool.engines * QUEUE_DEPTH

    def replace_networks(self, networks: Mapping[str, Weights]) -> None:
        """Use other networks for the next frames; those in work keep theirs. `prepare` must follow."""
        self._networks, self._is_prepared = networks, False
        self._poll_prepared = lambda: False

    def prepare(self, plane: Plane, depth: int) -> None:
        """Start to compile all networks for planes like this one; `available_rung` polls for the result."""
        self._poll_prepared, self._is_prepared = self._pool.prepare([*self._networks.values()], plane, depth), False

    def available_rung(self, rung: str) -> str:
        """`rung`, or `NO_NETWORK` while the networks are being compiled: no frame waits for them."""
        self._is_prepared = self._is_prepared or self._poll_prepared()
        return rung if self._is_prepared else NO_NETWORK

    def submit(self, frame: TimedFrame) -> None:
        """Have a frame upscaled by its rung."""
        network = self._networks.get(frame.rung)
        if network is None:
            self._items.append((frame, None))
            return
        self._pool.set_weights(network)
        self._items.append((frame, self._pool.send(frame.decoded.luma, frame.depth)))
        self._in_work += 1

    def queue_packet(self, packet: PassthroughPacket) -> None:
        """Append a packet, behind the frames before it."""
        self._items.append(packet)

    def ready_items(self) -> Iterator[Item]:
        """The oldest items, as long as they are ready."""
        while self._items and self._is_ready():
            yield self.pop()

    def pop(self) -> Item:
        """The oldest item, for which it waits. Raises WorkerError."""
        item = self._items.popleft()
        if isinstance(item, PassthroughPacket):
            return item
        frame, ticket = item
        if ticket is None:
            return UpscaledFrame(frame=frame, luma=None, engine_s=0.0)
        before_s = self._pool.engine_s
        luma = ticket.result()
        self._in_work -= 1
        return UpscaledFrame(frame=frame, luma=luma, engine_s=self._pool.engine_s - before_s)

    def _is_ready(self) -> bool:
        item = self._items[0]
        return isinstance(item, PassthroughPacket) or item[1] is None or item[1].ready()
