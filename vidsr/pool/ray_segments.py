"""Segments upscaled by Ray actors: an idle one takes the next, so a slow one gets fewer; a lost one is replaced."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Self

from vidsr.engine import expected_precision
from vidsr.errors import VidsrError, WorkerError
from vidsr.model.weights import Weights
from vidsr.pool.placement import LOST, Placement, WorkerSlot
from vidsr.pool.ray_runtime import START_S, ray, ray_session
from vidsr.segments.plan import PlannedSegment
from vidsr.segments.run import OnDone
from vidsr.segments.work import SegmentJob, UpscaledSegment
from vidsr.settings import PoolSettings

log = logging.getLogger(__name__)

POLL_S = 0.2
DEATHS_PER_SEGMENT = 2
FIRST_FRAMES = 3  # limits for the first frame, for which the network is compiled


@dataclass(kw_only=True, eq=False)
class _Running:
    """A segment in work."""

    slot: WorkerSlot
    segment: PlannedSegment
    asked_s: float = field(default_factory=time.monotonic)
    """When its worker was last asked for how long it has worked on a frame, or began."""
    busy: "ray.ObjectRef[float] | None" = None
    """Its answer."""


class RaySegments:
    """A `SegmentPool` of processes, each on its own cores; closed by `with`. `restarts` counts the replaced ones."""

    def __init__(self, weights: Weights, settings: PoolSettings) -> None:
        self.frames = self.restarts = 0
        self.precision_choice = expected_precision(weights, settings.precision)
        self._settings = settings
        self._placement = Placement(settings, lambda: weights)
        self._slots: list[WorkerSlot] = []
        self._waiting: deque[PlannedSegment] = deque()
        self._running: dict[ray.ObjectRef[UpscaledSegment], _Running] = {}
        self._done: dict[int, UpscaledSegment] = {}
        self._deaths: Counter[int] = Counter()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._ray_lives = stack.enter_context(ray_session(self._settings.ray_address))
            stack.callback(self._stop)
            self._slots = self._placement.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def workers(self) -> int:
        """The number of processes."""
        return len(self._slots)

    @property
    def threads(self) -> int:
        """Of each process."""
        return self._slots[0].share.threads if self._slots else 1

    @property
    def window(self) -> int:
        """As `SegmentPool.window`: some more than are in work, so that those behind a long one go on."""
        return 2 * len(self._slots) + 1

    def begin(self, job: SegmentJob, on_done: OnDone) -> None:
        """As `SegmentPool.begin`."""
        self._job, self._on_done = ray.put(job), on_done
        self._limit_s = self._settings.timeout_s * max(1.0, job.size[0] * job.size[1] / 1e6)

    def submit(self, segment: PlannedSegment) -> None:
        """As `SegmentPool.submit`."""
        self._waiting.append(segment)
        self._send()

    def result(self, index: int, tick: Callable[[], None]) -> UpscaledSegment:
        """As `SegmentPool.result`."""
        while index not in self._done:
            self._slots += self._placement.arrived()
            self._send()
            self._collect()
            tick()
        return self._done.pop(index)

    def _send(self) -> None:
        """Give idle workers their next segments."""
        at_work = {running.slot for running in self._running.values()}
        for slot in self._slots:
            if slot not in at_work and self._waiting:
                segment = self._waiting.popleft()
                call: ray.ObjectRef[UpscaledSegment] = slot.actor.upscale_segment.remote(self._job, segment)
                self._running[call] = _Running(slot=slot, segment=segment)

    def _collect(self) -> None:
        """Take the results that are there, after a moment at most, and replace the workers that are lost."""
        if not self._running:
            self._await_worker()
            return
        for call in ray.wait(list(self._running), num_returns=len(self._running), timeout=POLL_S)[0]:
            running = self._running.pop(call)
            try:
                self._take(running, ray.get(call))
            except LOST:
                self._replace(running, "died")
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, VidsrError):
                    raise error.cause from error
                raise WorkerError(f"segment {running.segment.index}: {error.cause}") from error
        for call, running in list(self._running.items()):
            if self._hangs(running):
                del self._running[call]
                self._replace(running, "hangs")

    def _take(self, running: _Running, done: UpscaledSegment) -> None:
        running.slot.proven = True
        self.frames += len(done.times)
        self._done[done.index] = done
        self._on_done(done)

    def _hangs(self, running: _Running) -> bool:
        """Whether a worker is silent, or has worked on one frame for too long."""
        limit_s = self._limit_s * (1 if running.slot.proven else FIRST_FRAMES)
        if time.monotonic() < running.asked_s + limit_s:
            return False
        if running.busy is None:
            running.busy, running.asked_s = running.slot.actor.busy_s.remote(), time.monotonic()
            return False
        if not ray.wait([running.busy], timeout=0)[0]:
            return True
        busy, running.busy = running.busy, None
        with suppress(*LOST):
            return ray.get(busy) > limit_s
        return True

    def _replace(self, running: _Running, reason: str) -> None:
        """Give the segment of a lost worker to the next one, and start another worker."""
        slot, index = running.slot, running.segment.index
        log.warning("%s %s at segment %d", slot.location, reason, index)
        if not self._ray_lives():
            raise WorkerError(f"Ray itself ended at segment {index}")
        self.restarts += 1
        self._deaths[index] += 1
        self._slots.remove(slot)
        slot.end()
        if self._deaths[index] >= DEATHS_PER_SEGMENT:
            raise WorkerError(f"segment {index} ended {DEATHS_PER_SEGMENT} workers; omit --segments")
        self._placement.replace(slot)
        self._waiting.appendleft(running.segment)

    def _await_worker(self) -> None:
        """Wait for a worker, where there is none. Raises WorkerError when none comes."""
        until = time.monotonic() + START_S
        while not self._slots:
            if not self._placement.wait(POLL_S) or time.monotonic() > until:
                raise WorkerError(f"no new worker starts: {self._placement.failure or 'no CPU is free'}")
            self._slots += self._placement.arrived()

    def _stop(self) -> None:
        if not self._ray_lives():
            return
        for end in (self._placement.end, *(slot.end for slot in self._slots)):
            with suppress(Exception):  # the cluster may be gone, and our processes with it
                end()
