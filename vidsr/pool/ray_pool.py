"""Ray actors under supervision: one that dies or hangs is replaced; no plane is lost, and none overtakes another."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from vidsr.arrays import Plane
from vidsr.callbacks import ShouldStop
from vidsr.engine.change_detection import UpdatePlan
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.pool import engine_span
from vidsr.pool.base import BasePool, PendingPlane
from vidsr.pool.placement import LOST, PLACE_S, WorkerSlot
from vidsr.pool.ray_runtime import START_S, ray
from vidsr.pool.ray_workers import RayWorkers
from vidsr.pool.worker import WorkerLocation, WorkerResult
from vidsr.settings import PoolSettings

log = logging.getLogger(__name__)

DEATHS_PER_FRAME = 2  # the frame in work at each of them is the suspect, and is quarantined
DEATHS_PER_MINUTE = 10  # more come from a broken machine, not from a bad frame
POLL_S = 0.5
PING_S = 5.0
FIRST_PLANES = 3  # limits for the first plane, for which the network is compiled
MOST_LIMITS = 10  # after which nothing excuses a plane


@dataclass(kw_only=True, eq=False)
class PendingJob(PendingPlane):
    """A plane in flight; its plan is kept until the result is here, to be sent again."""

    slot: WorkerSlot
    result: "ray.ObjectRef[WorkerResult] | None" = None
    """None until it is sent, and where nothing changed."""
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
    were upscaled by `fallback` instead. Open `workers` are used in the place of its own, and stay open; `should_stop`
    ends the start of its own ones by Stopped.
    """

    def __init__(
        self,
        weights: Weights,
        settings: PoolSettings,
        *,
        fallback: Callable[[Plane], Plane],
        workers: RayWorkers | None = None,
        should_stop: ShouldStop = lambda: False,
    ) -> None:
        super().__init__(weights, settings)
        self._fallback = fallback
        self._shared, self._workers = workers is not None, workers or RayWorkers(weights, settings, should_stop)
        self._deaths: deque[float] = deque(maxlen=DEATHS_PER_MINUTE + 1)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if not self._shared:
            self._stack.enter_context(self._workers)
        for slot in self._slots:
            slot.proven = False  # it may have another network, and planes of another size
        self._workers.weights = self._weights
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def _slots(self) -> list[WorkerSlot]:
        return self._workers.slots

    @property
    def engines(self) -> int:
        """The number of engines."""
        return len(self._slots)

    @property
    def workers(self) -> int:
        """The same."""
        return len(self._slots)

    @property
    def threads(self) -> int:
        """Of each worker."""
        return self._workers.threads

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
        self._workers.take_arrived()
        slot = min(self._slots, key=self._load)
        plane = np.asanyarray(plan.plane, order="C")  # in one piece a plane is shared with the worker, not copied
        job = PendingJob(index=index, plan=replace(plan, plane=plane), weights=self._weights, slot=slot)
        if not slot.on_probation:
            job.send()
        return job

    def _load(self, slot: WorkerSlot) -> float:
        """Its planes in flight."""
        return sum(job.plan.share for job in self._in_flight if job.slot is slot)

    def _ready(self, job: PendingJob) -> bool:
        return job.result is not None and bool(ray.wait([job.result], timeout=0)[0])

    def _abandon(self) -> None:
        for slot in self._slots:
            slot.on_probation = False

    def _collect(self, job: PendingJob) -> Plane:
        self.last_span = None
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
                if made := self._answer(job):
                    job.slot.proven = True
                    self.engine_s += made.ended_s - made.began_s
                    self.last_span = engine_span(made.began_s, made.ended_s, self._slots.index(job.slot))
                    self._report(made.precision_choice, made.warnings)
                    return made.upscaled
                reason = "hangs"
            except LOST:
                reason = "died"
            except ray.exceptions.RayTaskError as error:
                raise WorkerError(f"frame {job.index}: {error.cause}", job.index) from error
            self._replace(job, reason)
        self.quarantined.append(job.index)
        log.warning("frame %d ended %d workers; it is upscaled without the network", job.index, job.deaths)
        return None

    def _answer(self, job: PendingJob) -> WorkerResult | None:
        """The answer; None where the worker is silent, or has worked on one plane for too long.

        Time in which a plane waits, on its way or for CPU time, does not count. Raises the errors of a lost worker.
        """
        limit_s = self._settings.timeout_s * max(1.0, job.plan.plane.size / 1e6)
        limit_s *= 1 if job.slot.proven else FIRST_PLANES
        until, left_s = time.monotonic() + MOST_LIMITS * limit_s, limit_s
        while not ray.wait([job.result], timeout=left_s)[0]:
            busy: ray.ObjectRef[float] = job.slot.actor.busy_s.remote()
            if time.monotonic() > until or not ray.wait([busy], timeout=min(limit_s, PING_S))[0]:
                return None
            left_s = limit_s - ray.get(busy)
            if left_s <= 0:
                return None
            left_s = max(left_s, POLL_S)
        return ray.get(job.result)  # type: ignore[arg-type]

    def _replace(self, culprit: PendingJob, reason: str) -> None:
        """Give the planes of a lost worker, and of those lost with it, to a new one, or to another where none comes.

        The culprit comes first, if it may try again, and alone.
        """
        self._deaths.append(time.monotonic())
        if len(self._deaths) > DEATHS_PER_MINUTE and self._deaths[-1] - self._deaths[0] < 60:
            message = f"workers died {len(self._deaths)} times in a minute, last at frame {culprit.index}"
            raise WorkerError(message, culprit.index)
        self._require_ray(culprit)
        answering = self._answering(culprit.slot)
        lost = [slot for slot in self._slots if slot is culprit.slot or self._lost_too(slot, answering, culprit.slot)]
        if len(lost) == 1:  # of several the node is to blame, and not the plane
            culprit.deaths += 1
        log.warning("%s %s at frame %d", ", ".join(str(slot.location) for slot in lost), reason, culprit.index)
        self.restarts += len(lost)
        self._workers.weights = self._weights
        for slot in lost:
            self._workers.replace(slot)
        successor = self._successor(culprit, answering, wait_s=PLACE_S if len(lost) == 1 else 0.0)
        for job in self._in_flight:
            if job.slot in lost:
                job.slot, job.result = successor, None
        successor.on_probation = True
        if culprit.deaths < DEATHS_PER_FRAME:
            culprit.send()

    def _answering(self, lost: WorkerSlot) -> dict[WorkerSlot, bool]:
        """Whether each other worker answers, or is lost; those that do neither within `PING_S` are left out."""
        calls: dict[ray.ObjectRef[float], WorkerSlot] = {
            slot.actor.busy_s.remote(): slot for slot in self._slots if slot is not lost
        }
        found = {}
        for call in ray.wait(list(calls), num_returns=len(calls), timeout=PING_S)[0] if calls else ():
            try:
                found[calls[call]] = ray.get(call) >= 0
            except LOST:
                found[calls[call]] = False
        return found

    def _lost_too(self, slot: WorkerSlot, answering: dict[WorkerSlot, bool], lost: WorkerSlot) -> bool:
        """Whether another worker is lost, or silent on another machine that has just lost one: that is cut off."""
        elsewhere = slot.location.node != ray.get_runtime_context().get_node_id()
        return not answering.get(slot, not (elsewhere and slot.location.node == lost.location.node))

    def _successor(self, culprit: PendingJob, answering: dict[WorkerSlot, bool], wait_s: float) -> WorkerSlot:
        """A new worker, or, where none comes soon, the one with the least to do, once that has done it."""
        until = time.monotonic() + (wait_s if self._slots else START_S)
        while not (new := self._workers.take_arrived()) and time.monotonic() < until:
            self._require_ray(culprit)
            if not self._workers.placement.wait(POLL_S):
                break
        if not self._slots:
            why = self._workers.placement.failure or "no CPU is free"
            raise WorkerError(f"no new worker starts at frame {culprit.index}: {why}", culprit.index)
        if new:
            return new[0]
        successor = min(self._slots, key=lambda slot: (slot not in answering, self._load(slot)))
        for job in self._in_flight:
            if job.slot is successor and job.result is not None:
                ray.wait([job.result], timeout=self._settings.timeout_s)
        return successor

    def _require_ray(self, culprit: PendingJob) -> None:
        """Raises WorkerError where Ray itself has ended: whatever is asked of it would wait for a minute."""
        if not self._workers.ray_lives():
            raise WorkerError(f"Ray itself ended at frame {culprit.index}", culprit.index)

    def _end_probation(self, slot: WorkerSlot) -> None:
        """End the probation, and send the planes that waited for it, in their order."""
        if slot.on_probation:
            slot.on_probation = False
            for job in self._in_flight:
                if job.slot is slot and job.result is None:
                    job.send()
