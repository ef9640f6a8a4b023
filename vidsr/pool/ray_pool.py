"""Ray actors under supervision: one that dies or hangs is replaced; no plane is lost, and none overtakes another."""

import logging
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Self, TypeVar

import numpy as np

from vidsr.arrays import Plane
from vidsr.cpu import Cpu
from vidsr.cpu_affinity import CpuShare, describe_machine, plan_cores
from vidsr.engine.change_detection import UpdatePlan
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.pool import engine_span
from vidsr.pool.base import BasePool, PendingPlane
from vidsr.pool.ray_runtime import START_S, ray, ray_session
from vidsr.pool.worker import Worker, WorkerLocation, WorkerResult
from vidsr.settings import PoolSettings

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

DEATHS_PER_FRAME = 2  # the frame in work at each of them is the suspect, and is quarantined
DEATHS_PER_MINUTE = 10  # more come from a broken machine, not from a bad frame
POLL_S = 0.5

_LOST = (
    ray.exceptions.RayActorError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.LocalRayletDiedError,
)


@dataclass(kw_only=True)
class WorkerSlot:
    """A share of the machine, and the actor that has it now."""

    share: CpuShare
    actor: "ray.actor.ActorHandle[Worker]"
    location: WorkerLocation
    weights: Weights
    """Its network after all that was sent to it."""
    on_probation: bool = False
    """Whether it works alone on a plane at which a worker died, so that no other plane can be the suspect."""


@dataclass(kw_only=True, eq=False)
class PendingJob(PendingPlane):
    """A plane in flight; its plan is kept until the result is here, to be sent again."""

    slot: WorkerSlot
    result: "ray.ObjectRef[WorkerResult]" = field(init=False)  # from the moment it is sent
    deaths: int = 0

    def send(self) -> None:
        """Send it to its actor, which works in the order of sending: it finds the network of its time."""
        if self.unchanged:
            return
        other = None if self.slot.weights is self.weights else self.weights
        self.result = self.slot.actor.upscale.remote(self.plan, other)
        self.slot.weights = self.weights


class RayPool(BasePool[PendingJob]):
    """A pool of engines in processes of their own, each on its own cores; closed by `with`.

    `restarts` counts the replaced workers, `quarantined` lists the indices of the planes that killed two of them and
    were upscaled by `fallback` instead.
    """

    def __init__(self, weights: Weights, settings: PoolSettings, *, fallback: Callable[[Plane], Plane]) -> None:
        super().__init__(weights, settings)
        self._fallback = fallback
        self._slots: list[WorkerSlot] = []
        self._cpu: Cpu | None = None
        self._deaths: deque[float] = deque(maxlen=DEATHS_PER_MINUTE + 1)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._ray_lives = stack.enter_context(ray_session(self._settings.ray_address))
            stack.callback(self._stop)
            self._slots = self._start_workers()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def workers(self) -> int:
        """The number of engines."""
        return len(self._slots)

    @property
    def processes(self) -> int:
        """The same."""
        return len(self._slots)

    @property
    def threads(self) -> int:
        """Of each worker."""
        return self._slots[0].share.threads

    @property
    def locations(self) -> list[WorkerLocation]:
        """Where the workers run now."""
        return [slot.location for slot in self._slots]

    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> Callable[[], bool]:
        """As `Pool.prepare`, by every worker of now."""
        plane = np.asanyarray(plane, order="C")
        calls: list[ray.ObjectRef[None]] = [slot.actor.prepare.remote(networks, plane, depth) for slot in self._slots]
        return lambda: len(ray.wait(calls, num_returns=len(calls), timeout=0)[0]) == len(calls)

    def unpinned_threads(self) -> list[int]:
        """The threads of all workers that may run outside their cores."""
        calls = [slot.actor.unpinned_threads.remote() for slot in self._slots]
        found: list[list[int]] = ray.get(calls, timeout=START_S)
        return [thread for threads in found for thread in threads]

    def _begin(self, index: int, plan: UpdatePlan) -> PendingJob:
        """The plane goes to the worker with the least to do."""
        slot = min(self._slots, key=lambda slot: sum(job.plan.share for job in self._in_flight if job.slot is slot))
        plane = np.asanyarray(plan.plane, order="C")  # in one piece a plane is shared with the worker, not copied
        job = PendingJob(index=index, plan=replace(plan, plane=plane), weights=self._weights, slot=slot)
        if not slot.on_probation:
            job.send()
        return job

    def _ready(self, job: PendingJob) -> bool:
        return bool(ray.wait([job.result], timeout=0)[0])

    def _abandon(self) -> None:
        for slot in self._slots:
            slot.on_probation = False

    def _collect(self, job: PendingJob) -> Plane:
        self.latest = None
        if job.plan.tiles is not None and self._previous is None:
            job.plan = replace(job.plan, tiles=None, share=1.0)
            job.send()
        made = np.empty(0, job.plan.plane.dtype) if job.unchanged else self._made(job)
        self._in_flight.remove(job)
        self._end_probation(job.slot)
        if made is None:
            self._previous = None
            return self._fallback(job.plan.plane)
        return self._composite(job, made)

    def _made(self, job: PendingJob) -> Plane | None:
        """The worker's result; None when the plane ended two workers."""
        while job.deaths < DEATHS_PER_FRAME:
            try:
                ready, _ = ray.wait([job.result], timeout=self._timeout_s(job))
                if ready:
                    made = ray.get(job.result)
                    self.engine_s += made.ended_s - made.began_s
                    self.latest = engine_span(made.began_s, made.ended_s, self._slots.index(job.slot))
                    self._report(made.choice, made.warnings)
                    return made.upscaled
                reason = "hangs"
            except _LOST:
                reason = "died"
            except ray.exceptions.RayTaskError as error:
                raise WorkerError(f"frame {job.index}: {error.cause}", job.index) from error
            job.deaths += 1
            self._replace(job, reason)
        self.quarantined.append(job.index)
        log.warning("frame %d ended %d workers; it is upscaled without the network", job.index, job.deaths)
        return None

    def _timeout_s(self, job: PendingJob) -> float:
        return self._settings.timeout_s * max(1.0, job.plan.plane.size / 1e6)

    def _replace(self, culprit: PendingJob, reason: str) -> None:
        """Start a new actor in the slot; it gets the culprit, if that may try again, and nothing else until then."""
        self._deaths.append(time.monotonic())
        if len(self._deaths) > DEATHS_PER_MINUTE and self._deaths[-1] - self._deaths[0] < 60:
            message = f"workers died {len(self._deaths)} times in a minute, last at frame {culprit.index}"
            raise WorkerError(message, culprit.index)
        slot = culprit.slot
        log.warning("worker %d %s at frame %d; it is replaced", slot.location.pid, reason, culprit.index)
        self.restarts += 1
        try:
            self._end(slot)
            slot.actor = self._actor()
            slot.location = self._answer(slot.actor.location.remote(), culprit)
            slot.weights = self._weights
            self._answer(self._start(slot), culprit)
        except _LOST:
            self._replace(culprit, "died before it began")
        except ray.exceptions.RayError as error:
            message = f"no new worker starts at frame {culprit.index}: {_first_line(error)}"
            raise WorkerError(message, culprit.index) from error
        else:
            slot.on_probation = True
            if culprit.deaths < DEATHS_PER_FRAME:
                culprit.send()

    def _answer(self, call: "ray.ObjectRef[Answer]", culprit: PendingJob) -> Answer:
        """The answer of a new actor. Raises WorkerError at once where Ray itself has ended: no answer would come."""
        until = time.monotonic() + START_S
        while not ray.wait([call], timeout=POLL_S)[0] and time.monotonic() < until:
            if not self._ray_lives():
                raise WorkerError(f"Ray itself ended at frame {culprit.index}", culprit.index)
        return ray.get(call, timeout=POLL_S)

    def _end_probation(self, slot: WorkerSlot) -> None:
        """End the probation, and send the planes that waited for it, in their order."""
        if slot.on_probation:
            slot.on_probation = False
            for job in self._in_flight:
                if job.slot is slot:
                    job.send()

    def _start_workers(self) -> list[WorkerSlot]:
        """A slot per worker: the actors report their location, and each node's cores are shared among its own."""
        try:
            actors = [self._actor() for _ in range(self._count())]
            locations: list[WorkerLocation] = ray.get([actor.location.remote() for actor in actors], timeout=START_S)
            machines = {location.node: location.machine for location in locations}
            counts = Counter(location.node for location in locations)
            plans = {
                node: iter(plan_cores(machine, workers=counts[node], threads=self._settings.threads))
                for node, machine in machines.items()
            }
            slots = [
                WorkerSlot(share=next(plans[location.node]), actor=actor, location=location, weights=self._weights)
                for actor, location in zip(actors, locations, strict=True)
            ]
            self._cpu = _common_cpu([location.cpu for location in locations])
            ray.get([self._start(slot) for slot in slots], timeout=START_S)
        except ray.exceptions.RayTaskError as error:
            raise WorkerError(f"a worker does not start: {error.cause}") from error
        except ray.exceptions.RayError as error:
            raise WorkerError(f"the workers do not start: {_first_line(error)}") from error
        return slots

    def _count(self) -> int:
        if self._settings.workers:
            return self._settings.workers
        if self._settings.ray_address:
            cpus = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
            return max(1, cpus // (self._settings.threads or 1))
        return len(plan_cores(describe_machine(), threads=self._settings.threads))

    def _actor(self) -> "ray.actor.ActorHandle[Worker]":
        cpus = (self._settings.threads or 1) if self._settings.ray_address else 0
        options = {"num_cpus": cpus, "scheduling_strategy": "SPREAD", "max_restarts": 0, "max_task_retries": 0}
        return ray.remote(Worker).options(**options, enable_task_events=False).remote()  # type: ignore[return-value]

    def _start(self, slot: WorkerSlot) -> "ray.ObjectRef[None]":
        return slot.actor.start.remote(slot.weights, slot.share, self._settings, self._cpu)

    def _end(self, slot: WorkerSlot) -> None:
        """End its process: Ray does not end one that is stopped, a SIGKILL does."""
        ray.kill(slot.actor, no_restart=True)
        if slot.location.node == ray.get_runtime_context().get_node_id():
            with suppress(ProcessLookupError):
                os.kill(slot.location.pid, signal.SIGKILL)

    def _stop(self) -> None:
        for slot in self._slots:
            with suppress(Exception):  # the cluster may be gone, and our processes with it
                self._end(slot)


def _common_cpu(cpus: Sequence[Cpu]) -> Cpu | None:
    """What all of them have in common; None where they are of one kind, and may use the results of `vidsr tune`."""
    common = reduce(Cpu.common, cpus)
    return None if all(cpu == common for cpu in cpus) else common


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
