"""What is being enlarged, and what waits behind it: handed out in order, each as soon as it is done."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from vidsr.arrays import Plane
from vidsr.media.frame import Frame, SidePacket
from vidsr.media.source.live_timestamps import Moment
from vidsr.model.weights import Weights
from vidsr.pool import QUEUE_DEPTH, Pool, Ticket

PLAIN = "swscale"
"""The rung without a network."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """A picture on its way."""

    frame: Frame
    """Its `pts` is that of the moment, in 1/90000 s."""
    moment: Moment
    depth: int
    """Bits of a luma sample."""
    arrived_s: float
    rung: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Enlarged:
    """A picture with its luma from the network, None where none enlarged it, and a worker's seconds for that."""

    shot: Shot
    luma: Plane | None
    engine_s: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Copied:
    """A packet that is copied, with its times in 1/90000 s; `original` is one of the source's own video."""

    packet: SidePacket
    pts: int | None
    dts: int | None
    original: bool


Item: TypeAlias = Enlarged | Copied


class Flight:
    """Pictures in a pool, and the packets between them; `networks` are the weights of each rung that has some."""

    def __init__(self, pool: Pool, networks: Mapping[str, Weights]) -> None:
        self._pool, self._networks = pool, networks
        self._prepared: Callable[[], bool] = lambda: False
        self._able = False
        self._items: deque[tuple[Shot, Ticket | None] | Copied] = deque()
        self._at_work = 0

    def __bool__(self) -> bool:
        return bool(self._items)

    @property
    def full(self) -> bool:
        """Whether every worker has enough to do."""
        return self._at_work >= self._pool.workers * QUEUE_DEPTH

    def prepare(self, plane: Plane, depth: int) -> None:
        """Have all networks compiled for planes like this one: `able` says when they are."""
        self._prepared, self._able = self._pool.prepare([*self._networks.values()], plane, depth), False

    def able(self, rung: str) -> str:
        """The rung that is asked for, or `PLAIN` while the networks are compiled: no picture waits for that."""
        self._able = self._able or self._prepared()
        return rung if self._able else PLAIN

    def send(self, shot: Shot) -> None:
        """Have a picture enlarged as its rung says."""
        network = self._networks.get(shot.rung)
        if network is None:
            self._items.append((shot, None))
            return
        self._pool.swap(network)
        self._items.append((shot, self._pool.send(shot.frame.luma, shot.depth)))
        self._at_work += 1

    def lay(self, copied: Copied) -> None:
        """Let a packet wait for the pictures before it."""
        self._items.append(copied)

    def done(self) -> Iterator[Item]:
        """What can be handed out without waiting."""
        while self._items and self._is_ready():
            yield self.first()

    def first(self) -> Item:
        """The oldest of all, whatever it takes. Raises WorkerError."""
        item = self._items.popleft()
        if isinstance(item, Copied):
            return item
        shot, ticket = item
        if ticket is None:
            return Enlarged(shot=shot, luma=None, engine_s=0.0)
        before_s = self._pool.engine_s
        luma = ticket.result()
        self._at_work -= 1
        return Enlarged(shot=shot, luma=luma, engine_s=self._pool.engine_s - before_s)

    def _is_ready(self) -> bool:
        item = self._items[0]
        return isinstance(item, Copied) or item[1] is None or item[1].ready()
