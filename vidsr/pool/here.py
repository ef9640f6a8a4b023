"""The pool without Ray: engines in threads of this process."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import numpy as np

from vidsr.clock import Span
from vidsr.cores import describe_machine, plan_cores
from vidsr.engine import Engine, Plane
from vidsr.engine.precision import settled
from vidsr.engine.reuse import Task, Watch, enlarged, pasted
from vidsr.errors import WorkerError
from vidsr.flow import windowed
from vidsr.model.weights import Weights
from vidsr.pool import DEPTH, FEW_CORES, Ticket, require_scale, worked
from vidsr.settings import PoolSettings

_Seats = SimpleQueue[tuple[int, Engine]]
"""Engines of one network that nobody uses just now, with their numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Job:
    """A plane on its way."""

    index: int
    task: Task
    scale: int
    made: "Future[tuple[Plane, Span]] | None"
    """None where nothing of it has to be enlarged."""


class ThisProcess:
    """A pool of engines side by side in threads, each at a plane of its own; closed by `with`.

    Of one thread each they rest less than a single one of as many threads, which wait for each other: on two cores it
    makes 1.05 to 1.10 times as many planes, 1.06 to 1.17 with an encoder beside it. `engines` bounds them.
    """

    restarts = 0

    def __init__(self, weights: Weights, settings: PoolSettings, *, engines: int = FEW_CORES) -> None:
        self.quarantined: list[int] = []
        self.engine_s = 0.0
        self.latest: Span | None = None
        (share,) = plan_cores(describe_machine(), workers=1, threads=settings.threads)
        self.workers = min(share.threads, engines)
        self._threads, self._settings = share.threads // self.workers, settings
        self._sent = 0
        self._before: Plane | None = None
        self._flight: deque[_Job] = deque()
        self._executor = ThreadPoolExecutor(self.workers, thread_name_prefix="engine")
        self._take(weights)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._executor.shutdown(cancel_futures=True)

    @property
    def reused(self) -> float:
        """As `Pool.reused`."""
        return self._watch.reused

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """As `Pool.map`: at most `DEPTH` planes an engine are taken ahead of the one that is handed out."""
        for job in self._flight:  # of a map that was left early
            if job.made:
                job.made.cancel()
        self._flight.clear()
        self._watch.forget()
        return windowed(partial(self._submit, depth=depth), self._collect, enumerate(planes), self.workers * DEPTH)

    def send(self, plane: Plane, depth: int) -> Ticket:
        """As `Pool.send`, with no bound on how many wait."""
        self._sent += 1
        return _Ticket(self, self._submit((self._sent - 1, plane), depth))

    def swap(self, weights: Weights) -> None:
        """As `Pool.swap`."""
        if weights is self._weights:
            return
        require_scale(weights, self._weights.architecture.scale)
        settled(self._settings.precision, weights)
        self._take(weights)

    def _take(self, weights: Weights) -> None:
        self._weights = weights
        self._watch = Watch(weights.architecture.halo, tolerance=self._settings.reuse)
        self._seats = _Seats()
        for number in range(self.workers):
            self._seats.put((number, Engine(weights, threads=self._threads, precision=self._settings.precision)))

    def _submit(self, item: tuple[int, Plane], depth: int) -> _Job:
        index, plane = item
        task = self._watch(plane, depth)
        made = None if task.tiles == () else self._executor.submit(_enlarged, task, self._seats)
        job = _Job(index=index, task=task, scale=self._weights.architecture.scale, made=made)
        self._flight.append(job)
        return job

    def _collect(self, job: _Job) -> Plane:
        """The result of the oldest job."""
        self.latest, made = None, np.empty(0, job.task.plane.dtype)
        self._flight.popleft()
        if job.made:
            try:
                made, self.latest = job.made.result()
            except Exception as error:  # as a worker's: what goes wrong with a plane is told with its index
                raise WorkerError(f"frame {job.index}: {error}", job.index) from error
            self.engine_s += self.latest.seconds
        self._before = pasted(self._before, job.task, made, job.scale)
        return self._before


@dataclass(frozen=True)
class _Ticket:
    """A job of a pool; those before it have their results."""

    pool: ThisProcess
    job: _Job

    def ready(self) -> bool:
        return self.job.made is None or self.job.made.done()

    def result(self) -> Plane:
        return self.pool._collect(self.job)


def _enlarged(task: Task, seats: _Seats) -> tuple[Plane, Span]:
    """What the next free engine makes of a task, and the work at it."""
    number, engine = seats.get()
    try:
        began = time.perf_counter()
        return enlarged(engine, task), worked(began, time.perf_counter(), number)
    finally:
        seats.put((number, engine))
