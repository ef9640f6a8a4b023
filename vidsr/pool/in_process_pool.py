"""The pool without Ray: engines in threads of this process."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock
from typing import Self

import numpy as np

from vidsr.arrays import Plane
from vidsr.cpu import describe_machine, plan_cores
from vidsr.engine import Engine
from vidsr.engine.change_detection import UpdatePlan
from vidsr.engine.reusing_engine import run_plan
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.pool import engine_span
from vidsr.pool.base import BasePool, PendingPlane
from vidsr.pool.engine_cache import EngineCache
from vidsr.settings import PoolSettings
from vidsr.stage_timer import TimedSpan

MAX_ENGINES = 4
"""More side by side were never measured; further threads go to these."""
_IdleEngines = SimpleQueue[tuple[int, EngineCache]]
"""The engines without work, with their numbers."""


@dataclass(kw_only=True, eq=False)
class _FuturePlane(PendingPlane):
    future: "Future[tuple[Plane, TimedSpan, Engine]] | None"
    """None where nothing changed."""


class InProcessPool(BasePool[_FuturePlane]):
    """A pool of engines side by side in threads, each with a plane of its own; closed by `with`.

    Engines of one thread rest less than a single one of as many threads, which wait for each other: on two cores two
    make 1.05 to 1.10 times as many planes, 1.06 to 1.17 with an encoder beside them. `caches` are used in the place of
    its own.
    """

    workers = 0

    def __init__(self, weights: Weights, settings: PoolSettings, *, caches: list[EngineCache] | None = None) -> None:
        super().__init__(weights, settings)
        self._caches = caches or engine_caches(settings, MAX_ENGINES)
        self._executor = ThreadPoolExecutor(len(self._caches), thread_name_prefix="engine")
        self._idle, self._taking_all = _IdleEngines(), Lock()
        for number, cache in enumerate(self._caches):
            cache(weights)
            self._idle.put((number, cache))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    @property
    def engines(self) -> int:
        """The number of engines."""
        return len(self._caches)

    @property
    def threads(self) -> int:
        """Of all engines."""
        return sum(cache.threads for cache in self._caches)

    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> Callable[[], bool]:
        """As `Pool.prepare`, by one of the threads: all else that this process does goes on."""
        return self._executor.submit(self._prepare, networks, plane.copy(), depth).done

    def _prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> None:
        with self._taking_all:  # two calls that each wait for the other's engines would wait for ever
            taken = [self._idle.get() for _ in self._caches]
        try:
            for weights in networks:
                for _, cache in taken:
                    cache.prepare(weights, plane, depth)
        finally:
            for each in taken:
                self._idle.put(each)

    def _begin(self, index: int, plan: UpdatePlan) -> _FuturePlane:
        future = None if plan.tiles == () else self._executor.submit(_upscale, plan, self._weights, self._idle)
        return _FuturePlane(index=index, plan=plan, weights=self._weights, future=future)

    def _ready(self, pending: _FuturePlane) -> bool:
        return pending.future is None or pending.future.done()

    def _abandon(self) -> None:
        for pending in self._in_flight:
            if pending.future:
                pending.future.cancel()

    def _collect(self, pending: _FuturePlane) -> Plane:
        self.last_span, upscaled = None, np.empty(0, pending.plan.plane.dtype)
        self._in_flight.popleft()
        if pending.future:
            try:
                upscaled, self.last_span, engine = pending.future.result()
            except Exception as error:  # as in a worker: a plane's error is reported with its index
                raise WorkerError(f"frame {pending.index}: {error}", pending.index) from error
            self.engine_s += self.last_span.seconds
            self._report(engine.precision_choice, engine.warnings)
        return self._composite(pending, upscaled)


def engine_caches(settings: PoolSettings, engines: int) -> list[EngineCache]:
    """The caches of at most `engines` engines, among which the threads of the settings are divided."""
    (share,) = plan_cores(describe_machine(), workers=1, threads=settings.threads)
    return [EngineCache(threads=own, precision=settings.precision) for own in split_evenly(share.threads, engines)]


def split_evenly(threads: int, engines: int) -> list[int]:
    """The threads of each of at most `engines` engines: all threads are used."""
    count = min(threads, engines)
    return [threads // count + (number < threads % count) for number in range(count)]


def _upscale(plan: UpdatePlan, weights: Weights, idle: _IdleEngines) -> tuple[Plane, TimedSpan, Engine]:
    """The result of a plan, the time it took, and the engine that did it: the next one without work."""
    number, cache = idle.get()
    try:
        began = time.perf_counter()
        engine = cache(weights)
        return run_plan(engine, plan), engine_span(began, time.perf_counter(), number), engine
    finally:
        idle.put((number, cache))
