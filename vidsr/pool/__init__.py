"""Pools: planes in, enlarged planes out, in order, lazily, with a bounded number in flight."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from vidsr.clock import Span
from vidsr.cores import describe_machine, plan_cores
from vidsr.engine import Engine, Plane
from vidsr.engine.precision import settled
from vidsr.engine.reuse import ReusingEngine
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model
from vidsr.settings import PoolSettings

DEPTH = 2
"""Planes at a worker: one in work, one that waits, so that it never does."""


class Ticket(Protocol):
    """A plane that was sent."""

    def ready(self) -> bool:
        """Whether `result` would return at once, or has to deal with a worker that was lost."""
        ...

    def result(self) -> Plane:
        """As an item of `Pool.map`."""
        ...


class Pool(Protocol):
    """What the pipeline asks of a pool, and the facts of the run that a report wants."""

    restarts: int
    quarantined: list[int]
    engine_s: float
    latest: Span | None
    """The work at the plane that was handed out last; None where no engine did it."""

    @property
    def workers(self) -> int:
        """How many processes enlarge; 0 where it is this one."""
        ...

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """Each (H, W) plane of `depth` bits, scale times as large, in order.

        Lazy: never more than a window of planes is taken ahead. Raises WorkerError with the index of the plane
        that the pool could not get past, after the results before it.
        """
        ...

    def send(self, plane: Plane, depth: int) -> Ticket:
        """One plane for enlarging, for whoever cannot wait for the next one to come: a live source.

        The results are to be taken in the order of sending, and no `map` may be in progress.
        """
        ...

    def swap(self, weights: Weights) -> None:
        """Take another network of the same scale for every plane from now on, also in the middle of a `map`.

        Planes that were taken before keep the network that they were taken under, whatever happens to their worker.
        To be called by whoever takes the results, between two of them. Weights are checked when they are made, so
        that nothing can be wrong with them but the scale: for another one this raises ValueError, and changes nothing.
        Nor does it where int8 was asked for and they have no calibration: then it raises ModelError.
        """
        ...


class ThisProcess:
    """The pool without workers: one engine, here."""

    workers = 0
    restarts = 0

    def __init__(self, weights: Weights, settings: PoolSettings) -> None:
        self.quarantined: list[int] = []
        self.engine_s = 0.0
        self.latest: Span | None = None
        self._sent = 0
        (share,) = plan_cores(describe_machine(), workers=1, threads=settings.threads)
        self._threads, self._settings = share.threads, settings
        self._engine = engine_for(weights, settings, threads=share.threads)

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """As `Pool.map`, one plane at a time."""
        for index, plane in enumerate(planes):
            yield self._enlarged(index, plane, depth, self._engine)

    def send(self, plane: Plane, depth: int) -> Ticket:
        """As `Pool.send`; it is enlarged when the result is asked for."""
        self._sent += 1
        return _Here(partial(self._enlarged, self._sent - 1, plane, depth, self._engine))

    def _enlarged(self, index: int, plane: Plane, depth: int, engine: ReusingEngine) -> Plane:
        began = time.perf_counter()
        try:
            result = engine(plane, depth)
        except Exception as error:  # as a worker's: what goes wrong with a plane is told with its index
            raise WorkerError(f"frame {index}: {error}", index) from error
        self.latest = worked(began, time.perf_counter(), 0)
        self.engine_s += self.latest.seconds
        return result

    def swap(self, weights: Weights) -> None:
        """As `Pool.swap`."""
        require_scale(weights, self._engine.scale)
        self._engine = engine_for(weights, self._settings, threads=self._threads)


@dataclass(frozen=True)
class _Here:
    """A plane that is enlarged here, by `result`."""

    result: Callable[[], Plane]

    def ready(self) -> bool:
        return True


def open_pool(
    model: str | Weights,
    settings: PoolSettings = PoolSettings(),
    *,
    fallback: Callable[[Plane], Plane] | None = None,
) -> AbstractContextManager[Pool]:
    """The pool that the settings ask for, to be closed by `with`; Ray is loaded only for a pool that needs it.

    `model` is a name of the zoo, the path of a weight file, or weights. `fallback` enlarges the plane that killed two
    workers, by default each pixel as it is. Raises ModelError when the network cannot be computed as they ask.
    """
    weights = load_model(model) if isinstance(model, str) else model
    settled(settings.precision, weights)  # what cannot be is told here, not by a worker
    if settings.workers == 0:
        return nullcontext(ThisProcess(weights, settings))
    from vidsr.pool.ray_pool import RayPool

    return RayPool(weights, settings, fallback=fallback or partial(_repeated, scale=weights.architecture.scale))


def engine_for(weights: Weights, settings: PoolSettings, *, threads: int) -> ReusingEngine:
    """The engine of a pool's process."""
    return ReusingEngine(Engine(weights, threads=threads, precision=settings.precision), tolerance=settings.reuse)


def worked(began_s: float, ended_s: float, worker: int) -> Span:
    """The work at one plane."""
    return Span(stage="enlarge", began_s=began_s, ended_s=ended_s, lane=worker)


def require_scale(weights: Weights, scale: int) -> None:
    """Raises ValueError when the network enlarges by another scale."""
    if weights.architecture.scale != scale:
        raise ValueError(f"a pool that enlarges {scale} times cannot take {weights.architecture}")


def _repeated(plane: Plane, scale: int) -> Plane:
    return plane.repeat(scale, axis=0).repeat(scale, axis=1)
