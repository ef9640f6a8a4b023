"""Ray actors under supervision: one that dies or hangs is replaced, and no plane and no order is lost."""

import logging
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import reduce
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import ray
from ray.actor import ActorHandle

from vidsr.arrays import Plane
from vidsr.cpu import Cpu
from vidsr.cpu_affinity import describe_machine, plan_cores
from vidsr.engine.change_detection import Task
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.pool import worked
from vidsr.pool.base import PlanePool
from vidsr.pool.jobs import Seat, SeatedJob, send
from vidsr.pool.ray_runtime import cluster
from vidsr.pool.worker import Place, Worker
from vidsr.settings import PoolSettings

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

DEATHS_PER_FRAME = 2  # the frame that was in work at each of them is the suspect, and is taken out
DEATHS_PER_MINUTE = 10  # more is no bad frame but a broken machine
START_S = 120.0
LOOK_S = 0.5

_LOST = (
    ray.exceptions.RayActorError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.LocalRayletDiedError,
)


class RayPool(PlanePool[SeatedJob]):
    """A pool of engines in processes of their own, each on its own cores; closed by `with`.

    `restarts` counts the workers that were replaced, `quarantined` lists the planes, by index, that killed two of
    them and were enlarged by `fallback` instead.
    """

    def __init__(self, weights: Weights, settings: PoolSettings, *, fallback: Callable[[Plane], Plane]) -> None:
        super().__init__(weights, settings)
        self._fallback = fallback
        self._seats: list[Seat] = []
        self._cpu: Cpu | None = None
        self._deaths: deque[float] = deque(maxlen=DEATHS_PER_MINUTE + 1)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._whole = stack.enter_context(cluster(self._settings.ray_address))
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
    def processes(self) -> int:
        """As many."""
        return len(self._seats)

    @property
    def threads(self) -> int:
        """Of each."""
        return self._seats[0].share.threads

    @property
    def places(self) -> list[Place]:
        """Where the workers live now."""
        return [seat.place for seat in self._seats]

    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> Callable[[], bool]:
        """As `Pool.prepare`, by every worker that there is now."""
        plane = np.asanyarray(plane, order="C")
        calls: list[ray.ObjectRef[None]] = [seat.actor.prepare.remote(networks, plane, depth) for seat in self._seats]
        return lambda: len(ray.wait(calls, num_returns=len(calls), timeout=0)[0]) == len(calls)

    def strays(self) -> list[int]:
        """The threads of all workers that may run outside their cores."""
        found: list[list[int]] = ray.get([seat.actor.strays.remote() for seat in self._seats], timeout=START_S)
        return [thread for threads in found for thread in threads]

    def _begin(self, index: int, task: Task) -> SeatedJob:
        """The worker with the least to do gets it."""
        seat = min(self._seats, key=lambda seat: sum(job.task.share for job in self._flight if job.seat is seat))
        plane = np.asanyarray(task.plane, order="C")  # in one piece a plane is shared with the worker, not copied
        job = SeatedJob(index=index, task=replace(task, plane=plane), weights=self._weights, seat=seat)
        if not seat.on_trial:
            send(job)
        return job

    def _ready(self, job: SeatedJob) -> bool:
        return bool(ray.wait([job.result], timeout=0)[0])

    def _drop(self) -> None:
        for seat in self._seats:
            seat.on_trial = False

    def _collect(self, job: SeatedJob) -> Plane:
        self.latest = None
        if job.task.tiles is not None and self._before is None:
            job.task = replace(job.task, tiles=None, share=1.0)
            send(job)
        made = np.empty(0, job.task.plane.dtype) if job.idle else self._made(job)
        self._flight.remove(job)
        self._acquit(job.seat)
        if made is None:
            self._before = None
            return self._fallback(job.task.plane)
        return self._put_together(job, made)

    def _made(self, job: SeatedJob) -> Plane | None:
        """What a worker made of it; None when it ended two of them."""
        while job.deaths < DEATHS_PER_FRAME:
            try:
                ready, _ = ray.wait([job.result], timeout=self._patience_s(job))
                if ready:
                    made = ray.get(job.result)
                    self.engine_s += made.ended_s - made.began_s
                    self.latest = worked(made.began_s, made.ended_s, self._seats.index(job.seat))
                    self._note(made.choice, made.warnings)
                    return made.plane
                reason = "hangs"
            except _LOST:
                reason = "died"
            except ray.exceptions.RayTaskError as error:
                raise WorkerError(f"frame {job.index}: {error.cause}", job.index) from error
            job.deaths += 1
            self._replace(job, reason)
        self.quarantined.append(job.index)
        log.warning("frame %d ended %d workers; it is enlarged without the network", job.index, job.deaths)
        return None

    def _patience_s(self, job: SeatedJob) -> float:
        return self._settings.timeout_s * max(1.0, job.task.plane.size / 1e6)

    def _replace(self, culprit: SeatedJob, reason: str) -> None:
        """A new actor in the seat, which gets the culprit, if it may try again, and for now nothing else."""
        self._deaths.append(time.monotonic())
        if len(self._deaths) > DEATHS_PER_MINUTE and self._deaths[-1] - self._deaths[0] < 60:
            message = f"workers died {len(self._deaths)} times in a minute, the last one at frame {culprit.index}"
            raise WorkerError(message, culprit.index)
        seat = culprit.seat
        log.warning("worker %d %s at frame %d; it is replaced", seat.place.pid, reason, culprit.index)
        self.restarts += 1
        try:
            self._end(seat)
            seat.actor = self._actor()
            seat.place = self._answer(seat.actor.place.remote(), culprit)
            seat.weights = self._weights
            self._answer(self._start(seat), culprit)
        except _LOST:
            self._replace(culprit, "died before it began")
        except ray.exceptions.RayError as error:
            message = f"no new worker to be had at frame {culprit.index}: {_first_line(error)}"
            raise WorkerError(message, culprit.index) from error
        else:
            seat.on_trial = True
            if culprit.deaths < DEATHS_PER_FRAME:
                send(culprit)

    def _answer(self, call: "ray.ObjectRef[Answer]", culprit: SeatedJob) -> Answer:
        """What a new actor says. Raises WorkerError at once where Ray itself was lost: nobody would ever answer."""
        until = time.monotonic() + START_S
        while not ray.wait([call], timeout=LOOK_S)[0] and time.monotonic() < until:
            if not self._whole():
                raise WorkerError(f"Ray itself ended at frame {culprit.index}", culprit.index)
        return ray.get(call, timeout=LOOK_S)

    def _acquit(self, seat: Seat) -> None:
        """End the trial, and send again, in their order, the planes that waited for it."""
        if seat.on_trial:
            seat.on_trial = False
            for job in self._flight:
                if job.seat is seat:
                    send(job)

    def _seated(self) -> list[Seat]:
        """A seat for every worker: the actors say where they are, and each node's cores are shared among its own."""
        try:
            actors = [self._actor() for _ in range(self._count())]
            places: list[Place] = ray.get([actor.place.remote() for actor in actors], timeout=START_S)
            machines = {place.node: place.machine for place in places}
            counts = Counter(place.node for place in places)
            plans = {
                node: iter(plan_cores(machine, workers=counts[node], threads=self._settings.threads))
                for node, machine in machines.items()
            }
            seats = [
                Seat(share=next(plans[place.node]), actor=actor, place=place, weights=self._weights)
                for actor, place in zip(actors, places, strict=True)
            ]
            self._cpu = _common_cpu([place.cpu for place in places])
            ray.get([self._start(seat) for seat in seats], timeout=START_S)
        except ray.exceptions.RayTaskError as error:
            raise WorkerError(f"a worker does not start: {error.cause}") from error
        except ray.exceptions.RayError as error:
            raise WorkerError(f"the workers do not start: {_first_line(error)}") from error
        return seats

    def _count(self) -> int:
        if self._settings.workers:
            return self._settings.workers
        if self._settings.ray_address:
            cpus = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
            return max(1, cpus // (self._settings.threads or 1))
        return len(plan_cores(describe_machine(), threads=self._settings.threads))

    def _actor(self) -> ActorHandle[Worker]:
        cpus = (self._settings.threads or 1) if self._settings.ray_address else 0
        options = {"num_cpus": cpus, "scheduling_strategy": "SPREAD", "max_restarts": 0, "max_task_retries": 0}
        return ray.remote(Worker).options(**options, enable_task_events=False).remote()  # type: ignore[return-value]

    def _start(self, seat: Seat) -> "ray.ObjectRef[None]":
        return seat.actor.start.remote(seat.weights, seat.share, self._settings, self._cpu)

    def _end(self, seat: Seat) -> None:
        """No process is left: Ray does not end one that is stopped, a SIGKILL does."""
        ray.kill(seat.actor, no_restart=True)
        if seat.place.node == ray.get_runtime_context().get_node_id():
            with suppress(ProcessLookupError):
                os.kill(seat.place.pid, signal.SIGKILL)

    def _stop(self) -> None:
        for seat in self._seats:
            with suppress(Exception):  # the cluster may be gone; nothing of ours is left then either
                self._end(seat)


def _common_cpu(cpus: Sequence[Cpu]) -> Cpu | None:
    """What all of them can do; None where they are of one kind, so that each may take what `vidsr tune` found."""
    common = reduce(Cpu.common, cpus)
    return None if all(cpu == common for cpu in cpus) else common


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
