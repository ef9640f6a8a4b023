"""The pool without Ray: engines in threads of this process."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Self

import numpy as np

from vidsr.arrays import Plane
from vidsr.cpu_affinity import describe_machine, plan_cores
from vidsr.engine import Engine
from vidsr.engine.change_detection import Task, enlarged
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.pool import worked
from vidsr.pool.base import Job, PlanePool
from vidsr.pool.engine_cache import Engines
from vidsr.settings import PoolSettings
from vidsr.stage_timer import Span

MOST_ENGINES = 4
"""More side by side were never measured; further threads help these."""
_Seats = SimpleQueue[tuple[int, Engines]]
"""Those that nobody uses just now, with their numbers."""


@dataclass(kw_only=True, eq=False)
class _PooledJob(Job):
    made: "Future[tuple[Plane, Span, Engine]] | None"
    """None where it is idle."""


class ThisProcess(PlanePool[_PooledJob]):
    """A pool of engines side by side in threads, each at a plane of its own; closed by `with`.

    Of one thread each they rest less than a single one of as many threads, which wait for each other: on two cores it
    makes 1.05 to 1.10 times as many planes, 1.06 to 1.17 with an encoder beside it. `engines` bounds them.
    """

    processes = 0

    def __init__(self, weights: Weights, settings: PoolSettings, *, engines: int = MOST_ENGINES) -> None:
        (share,) = plan_cores(describe_machine(), workers=1, threads=settings.threads)
        self._threads = shared_out(share.threads, engines)
        self._executor = ThreadPoolExecutor(len(self._threads), thread_name_prefix="engine")
        self._seats, self._taking_all = _Seats(), Lock()
        for number, own in enumerate(self._threads):
            seat = Engines(threads=own, precision=settings.precision)
            seat(weights)
            self._seats.put((number, seat))
        super().__init__(weights, settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._executor.shutdown(cancel_futures=True)

    @property
    def workers(self) -> int:
        """How many engines there are."""
        return len(self._threads)

    @property
    def threads(self) -> int:
        """Of all engines."""
        return sum(self._threads)

    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> Callable[[], bool]:
        """As `Pool.prepare`, by one thread of all: whatever else this process does goes on."""
        return self._executor.submit(self._prepare, networks, plane.copy(), depth).done

    def _prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> None:
        with self._taking_all:  # two that each wait for what the other has would wait for ever
            seats = [self._seats.get() for _ in self._threads]
        try:
            for weights in networks:
                for _, engines in seats:
                    engines.prepare(weights, plane, depth)
        finally:
            for seat in seats:
                self._seats.put(seat)

    def _begin(self, index: int, task: Task) -> _PooledJob:
        made = None if task.tiles == () else self._executor.submit(_enlarged, task, self._weights, self._seats)
        return _PooledJob(index=index, task=task, weights=self._weights, made=made)

    def _ready(self, job: _PooledJob) -> bool:
        return job.made is None or job.made.done()

    def _drop(self) -> None:
        for job in self._flight:
            if job.made:
                job.made.cancel()

    def _collect(self, job: _PooledJob) -> Plane:
        self.latest, made = None, np.empty(0, job.task.plane.dtype)
        self._flight.popleft()
        if job.made:
            try:
                made, self.latest, engine = job.made.result()
            except Exception as error:  # as a worker's: what goes wrong with a plane is told with its index
                raise WorkerError(f"frame {job.index}: {error}", job.index) from error
            self.engine_s += self.latest.seconds
            self._note(engine.choice, engine.warnings)
        return self._put_together(job, made)


def shared_out(threads: int, engines: int) -> list[int]:
    """The threads of each of so many engines at the most, as even as can be: all of them are used."""
    count = min(threads, engines)
    return [threads // count + (number < threads % count) for number in range(count)]


def _enlarged(task: Task, weights: Weights, seats: _Seats) -> tuple[Plane, Span, Engine]:
    """The result of a task, the work at it, and the engine that did it: the next one that was free."""
    number, engines = seats.get()
    try:
        began = time.perf_counter()
        engine = engines(weights)
        return enlarged(engine, task), worked(began, time.perf_counter(), number), engine
    finally:
        seats.put((number, engines))
