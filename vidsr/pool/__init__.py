"""Pools: planes in, enlarged planes out, in order, lazily, with a bounded number in flight."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vidsr.engine import Engine
from vidsr.model.weights import Weights
from vidsr.settings import PoolSettings

Plane = NDArray[np.uint8] | NDArray[np.uint16]


class Pool(Protocol):
    """What the pipeline asks of a pool, and the facts of the run that a report wants."""

    workers: int
    restarts: int
    quarantined: list[int]
    engine_s: float

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """Each (H, W) plane of `depth` bits, scale times as large, in order.

        Lazy: never more than a window of planes is taken ahead. Raises WorkerError with the index of the plane
        that the pool could not get past, after the results before it.
        """
        ...


class ThisProcess:
    """The pool without workers: one engine, here."""

    workers = 0
    restarts = 0

    def __init__(self, weights: Weights, threads: int | None = None) -> None:
        self.quarantined: list[int] = []
        self.engine_s = 0.0
        self._engine = Engine(weights, threads=threads or 0)

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """As `Pool.map`, one plane at a time."""
        for plane in planes:
            began = time.perf_counter()
            result = self._engine(plane, depth)
            self.engine_s += time.perf_counter() - began
            yield result


def open_pool(
    weights: Weights, settings: PoolSettings, *, fallback: Callable[[Plane], Plane]
) -> AbstractContextManager[Pool]:
    """The pool that the settings ask for, to be closed by `with`; Ray is loaded only for a pool that needs it.

    `fallback` enlarges the plane that killed two workers.
    """
    if settings.workers == 0:
        return nullcontext(ThisProcess(weights, settings.threads))
    from vidsr.pool.ray_pool import RayPool

    return RayPool(weights, settings, fallback=fallback)
