"""Segments upscaled by Ray actors: an idle one takes the next, so a slow one gets fewer; a lost one is replaced."""

import itertools
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from vidsr.engine import expected_precision
from vidsr.errors import VidsrError, WorkerError
from vidsr.media.luma_merger import upscale_bicubic
from vidsr.model.weights import Weights
from vidsr.pool.placement import LOST, Placement, WorkerSlot
from vidsr.pool.ray_pool import RayPool
from vidsr.pool.ray_runtime import START_S, ray, ray_session
from vidsr.pool.segment_pace import SegmentPace
from vidsr.segments.plan import PlannedSegment
from vidsr.segments.run import OnDone
from vidsr.segments.work import SegmentJob, UpscaledSegment, upscale_segment
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
    call: int
    """Its number among all calls."""
    began_s: float = field(default_factory=time.monotonic)
    asked_s: float = field(default_factory=time.monotonic)
    """When its worker was last asked for how long it has worked on a frame, or began."""
    busy: "ray.ObjectRef[float] | None" = None
    """Its answer."""
    dropped: bool = False
    """Whether another worker has done it meanwhile."""


class RaySegments:
    """A `SegmentPool` of processes, each on its own cores; closed by `with`. `restarts` counts the replaced ones.

    A segment that is late is given to a second worker, and the first result counts. One that ends two workers is
    upscaled frame by frame, as by `RayPool`.
    """

    def __init__(self, weights: Weights, settings: PoolSettings) -> None:
        self.frames = self.restarts = 0
        self.precision_choice = expected_precision(weights, settings.precision)
        self._weights, self._settings = weights, settings
        self._placement = Placement(settings, lambda: weights)
        self._slots: list[WorkerSlot] = []
        self._waiting: deque[PlannedSegment] = deque()
        self._suspects: deque[PlannedSegment] = deque()
        self._running: dict[ray.ObjectRef[UpscaledSegment], _Running] = {}
        self._done: dict[int, UpscaledSegment] = {}
        self._deaths: Counter[int] = Counter()
        self._calls = itertools.count()
        self._pace, self._slow = SegmentPace(), set[WorkerSlot]()
        self._alone_s = 0.0
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
        self._job, self._job_there, self._on_done = job, ray.put(job), on_done
        self._limit_s = self._settings.timeout_s * max(1.0, job.size[0] * job.size[1] / 1e6)

    def submit(self, segment: PlannedSegment) -> None:
        """As `SegmentPool.submit`."""
        self._waiting.append(segment)
        self._send()

    def result(self, index: int, tick: Callable[[], None]) -> UpscaledSegment:
        """As `SegmentPool.result`."""
        while index not in self._done:
            self._slots += self._placement.arrived()
            if self._suspects and (idle := self._idle()):
                self._upscale_by_frames(self._suspects.popleft(), idle[0], tick)
            self._send()
            self._collect()
            tick()
        return self._done.pop(index)

    def _idle(self) -> list[WorkerSlot]:
        at_work = {running.slot for running in self._running.values()}
        return [slot for slot in self._slots if slot not in at_work]

    def _send(self) -> None:
        """Give idle workers the segments that are late elsewhere, for which all wait, then the next ones."""
        idle = self._idle()
        for late in [running for running in self._running.values() if self._is_late(running)]:
            if idle:
                other = min(idle, key=lambda slot: slot.location.node == late.slot.location.node)
                idle.remove(other)
                self._start(other, late.segment)
                if late.slot not in self._slow:
                    self._slow.add(late.slot)
                    log.warning("%s is late with segment %d; others do it too", late.slot.location, late.segment.index)
        for slot in idle:
            if self._waiting:
                self._start(slot, self._waiting.popleft())

    def _start(self, slot: WorkerSlot, segment: PlannedSegment) -> None:
        number = next(self._calls)
        call: ray.ObjectRef[UpscaledSegment] = slot.actor.upscale_segment.remote(self._job_there, segment, number)
        self._running[call] = _Running(slot=slot, segment=segment, call=number)

    def _is_late(self, running: _Running) -> bool:
        """Whether a segment should be sent once more."""
        if running.dropped or len(self._copies(running.segment)) > 1:
            return False
        return self._pace.is_late(len(running.segment.times), time.monotonic() - running.began_s)

    def _copies(self, segment: PlannedSegment) -> list[_Running]:
        """Where it is worked on, and the result will count."""
        return [each for each in self._running.values() if each.segment is segment and not each.dropped]

    def _collect(self) -> None:
        """Take the results that are there, after a moment at most, and replace the workers that are lost."""
        if not self._slots:
            self._await_worker()
            return
        self._alone_s = 0.0
        calls = list(self._running)
        for call in ray.wait(calls, num_returns=len(calls), timeout=POLL_S)[0] if calls else ():
            running = self._running.pop(call)
            try:
                self._take(running, ray.get(call))
            except LOST:
                self._replace(running, "died")
            except ray.exceptions.RayTaskError as error:
                if running.dropped:
                    continue
                if isinstance(error.cause, VidsrError):
                    raise error.cause from error
                raise WorkerError(f"segment {running.segment.index}: {error.cause}") from error
        for call, running in list(self._running.items()):
            if self._hangs(running):
                del self._running[call]
                self._replace(running, "hangs")

    def _take(self, running: _Running, done: UpscaledSegment) -> None:
        """Keep a result, unless it came from another worker before, and have the other one drop its work on it."""
        running.slot.proven = True
        if running.dropped:
            return
        self._pace.add(len(done.times), time.monotonic() - running.began_s)
        for other in self._copies(running.segment):
            other.dropped = True
            other.slot.actor.drop.remote(other.call)
        self._keep(done)

    def _keep(self, done: UpscaledSegment) -> None:
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
        self._slots.remove(slot)
        slot.end()
        self._placement.replace(slot)
        if running.dropped:
            return
        self._deaths[index] += 1
        if self._copies(running.segment):
            return
        if self._deaths[index] < DEATHS_PER_SEGMENT:
            self._waiting.appendleft(running.segment)
        else:
            self._suspects.append(running.segment)

    def _upscale_by_frames(self, segment: PlannedSegment, idle: WorkerSlot, tick: Callable[[], None]) -> None:
        """Decode and encode a segment here, so that of its frames only those that end workers are lost.

        The CPUs of an idle worker serve the one to which the frames go.
        """
        log.warning("segment %d ended %d workers; it is upscaled by frames", segment.index, DEATHS_PER_SEGMENT)
        self._slots.remove(idle)
        idle.end()
        settings = replace(self._settings, workers=1, threads=idle.share.threads)
        fallback = partial(upscale_bicubic, scale=self._weights.architecture.scale)
        with RayPool(self._weights, settings, fallback=fallback) as pool:
            done = upscale_segment(self._job, segment, pool, on_frame=tick)
        self.restarts += pool.restarts
        self._placement.replace(idle)
        self._keep(done)

    def _await_worker(self) -> None:
        """Wait a moment for a worker, where there is none. Raises WorkerError when none comes."""
        self._alone_s = self._alone_s or time.monotonic()
        if not self._placement.wait(POLL_S) or time.monotonic() > self._alone_s + START_S:
            raise WorkerError(f"no new worker starts: {self._placement.failure or 'no CPU is free'}")

    def _stop(self) -> None:
        if not self._ray_lives():
            return
        for end in (self._placement.end, *(slot.end for slot in self._slots)):
            with suppress(Exception):  # the cluster may be gone, and our processes with it
                end()
