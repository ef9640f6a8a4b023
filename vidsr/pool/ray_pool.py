"""Ray actors under supervision: one that dies or hangs is replaced, and no plane and no order is lost."""

import logging
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
import ray
from numpy.typing import NDArray
from ray.actor import ActorHandle

from vidsr.cores import plan_cores
from vidsr.errors import WorkerError
from vidsr.flow import windowed
from vidsr.model.weights import Weights
from vidsr.pool.cluster import cluster
from vidsr.pool.worker import Place, Worker
from vidsr.settings import PoolSettings

log = logging.getLogger(__name__)

Plane = NDArray[np.uint8] | NDArray[np.uint16]

DEPTH = 2  # planes at a worker: one in work, one that waits, so that it never does
DEATHS_PER_FRAME = 2  # the frame that was in work at each of them is the suspect, and is taken out
DEATHS_PER_MINUTE = 10  # more is no bad frame but a broken machine
START_S = 120.0

_LOST = (
    ray.exceptions.RayActorError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.LocalRayletDiedError,
)


@dataclass(kw_only=True)
class _Seat:
    """The cores of a worker, and the actor that holds them now."""

    cpus: frozenset[int]
    actor: "ActorHandle[Worker]"
    place: Place


@dataclass(kw_only=True, eq=False)
class _Job:
    index: int
    plane: Plane  # kept until the result is here, to be sent again
    depth: int
    seat: _Seat
    result: "ray.ObjectRef[tuple[Plane, float]]"
    deaths: int = 0


class RayPool:
    """A pool of engines in processes of their own, each on its own cores; closed by `with`.

    `restarts` counts the workers that were replaced, `quarantined` lists the planes, by index, that killed two of
    them and were enlarged by `fallback` instead.
    """

    def __init__(self, weights: Weights, settings: PoolSettings, *, fallback: Callable[[Plane], Plane]) -> None:
        self.restarts = 0
        self.quarantined: list[int] = []
        self.engine_s = 0.0
        self._weights, self._settings, self._fallback = weights, settings, fallback
        self._seats: list[_Seat] = []
        self._flight: deque[_Job] = deque()
        self._deaths: deque[float] = deque(maxlen=DEATHS_PER_MINUTE + 1)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(cluster(self._settings.ray_address))
            stack.callback(self._stop)
            self._seats = self._seated()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def workers(self) -> int:
        """How many engines there are."""
        return len(self._seats)

    @property
    def places(self) -> list[Place]:
        """Where the workers live now."""
        return [seat.place for seat in self._seats]

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """As `Pool.map`: at most `DEPTH` planes a worker are taken ahead of the one that is handed out."""
        self._flight.clear()
        submit = partial(self._submit, depth=depth)
        return windowed(submit, self._collect, enumerate(planes), self.workers * DEPTH)

    def strays(self) -> list[int]:
        """The threads of all workers that may run outside their cores."""
        return [thread for seat in self._seats for thread in ray.get(seat.actor.strays.remote(), timeout=START_S)]

    def _submit(self, item: tuple[int, Plane], depth: int) -> _Job:
        index, plane = item
        load = Counter(id(job.seat) for job in self._flight)
        seat = min(self._seats, key=lambda seat: load[id(seat)])
        plane = np.ascontiguousarray(plane)
        result = seat.actor.enlarge.remote(plane, depth)
        job = _Job(index=index, plane=plane, depth=depth, seat=seat, result=result)
        self._flight.append(job)
        return job

    def _collect(self, job: _Job) -> Plane:
        """The result of the oldest job; whatever it takes to get it."""
        while job.deaths < DEATHS_PER_FRAME:
            try:
                ready, _ = ray.wait([job.result], timeout=self._patience_s(job))
                if ready:
                    plane, seconds = ray.get(job.result)
                    self._flight.remove(job)
                    self.engine_s += seconds
                    return plane
                reason = "hangs"
            except _LOST:
                reason = "died"
            except ray.exceptions.RayTaskError as error:
                raise WorkerError(f"frame {job.index}: {error.cause}", job.index) from error
            job.deaths += 1
            self._replace(job, reason)
        self._flight.remove(job)
        self.quarantined.append(job.index)
        log.warning("frame %d ended %d workers; it is enlarged without the network", job.index, job.deaths)
        return self._fallback(job.plane)

    def _patience_s(self, job: _Job) -> float:
        return self._settings.timeout_s * max(1.0, job.plane.size / 1e6)

    def _replace(self, culprit: _Job, reason: str) -> None:
        """A new actor in the seat; what waited there is sent again, in its order, the culprit only if it may."""
        self._deaths.append(time.monotonic())
        if len(self._deaths) > DEATHS_PER_MINUTE and self._deaths[-1] - self._deaths[0] < 60:
            message = f"workers died {len(self._deaths)} times in a minute, the last one at frame {culprit.index}"
            raise WorkerError(message, culprit.index)
        seat = culprit.seat
        log.warning("worker %d %s at frame %d; it is replaced", seat.place.pid, reason, culprit.index)
        self._end(seat)
        self.restarts += 1
        try:
            seat.actor = self._actor()
            seat.place = ray.get(seat.actor.place.remote(), timeout=START_S)
            ray.get(seat.actor.start.remote(self._weights, seat.cpus), timeout=START_S)
        except ray.exceptions.RayError as error:
            raise WorkerError(f"no new worker to be had at frame {culprit.index}: {error}", culprit.index) from error
        for job in self._flight:
            if job.seat is seat and job.deaths < DEATHS_PER_FRAME:
                job.result = seat.actor.enlarge.remote(job.plane, job.depth)

    def _seated(self) -> list[_Seat]:
        """A seat for every worker: the actors say where they are, and each node's cores are shared among its own."""
        try:
            actors = [self._actor() for _ in range(self._count())]
            places: list[Place] = ray.get([actor.place.remote() for actor in actors], timeout=START_S)
            seats = []
            for node, count in Counter(place.node for place in places).items():
                here = [(actor, place) for actor, place in zip(actors, places, strict=True) if place.node == node]
                cores = plan_cores(here[0][1].machine, workers=count, threads=self._settings.threads)
                seats += [
                    _Seat(cpus=cpus, actor=actor, place=place)
                    for cpus, (actor, place) in zip(cores, here, strict=True)
                ]
            ray.get([seat.actor.start.remote(self._weights, seat.cpus) for seat in seats], timeout=START_S)
        except ray.exceptions.RayTaskError as error:
            raise WorkerError(f"a worker does not start: {error.cause}") from error
        except ray.exceptions.RayError as error:
            raise WorkerError(f"the workers do not start: {error}") from error
        return seats

    def _count(self) -> int:
        from vidsr.cores import describe_machine

        if self._settings.workers:
            return self._settings.workers
        if self._settings.ray_address:
            return max(1, int(ray.cluster_resources().get("CPU", 1)) // (self._settings.threads or 1))
        return len(plan_cores(describe_machine(), threads=self._settings.threads))

    def _actor(self) -> "ActorHandle[Worker]":
        cpus = (self._settings.threads or 1) if self._settings.ray_address else 0
        options = {"num_cpus": cpus, "scheduling_strategy": "SPREAD", "max_restarts": 0, "max_task_retries": 0}
        return ray.remote(Worker).options(**options, enable_task_events=False).remote()

    def _end(self, seat: _Seat) -> None:
        """No process is left: Ray does not end one that is stopped, a SIGKILL does."""
        ray.kill(seat.actor, no_restart=True)
        if seat.place.node == ray.get_runtime_context().get_node_id():
            with suppress(ProcessLookupError):
                os.kill(seat.place.pid, signal.SIGKILL)

    def _stop(self) -> None:
        for seat in self._seats:
            with suppress(Exception):  # the cluster may be gone; nothing of ours is left then either
                self._end(seat)
