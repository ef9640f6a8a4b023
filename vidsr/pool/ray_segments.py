"""Segments upscaled by Ray actors: an idle one takes the next, so a slow one gets fewer; a lost one is replaced."""

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock

from vidsr.errors import VidsrError, WorkerError
from vidsr.media.luma_merger import upscale_bicubic
from vidsr.model.weights import Weights
from vidsr.pool.placement import LOST, WorkerSlot
from vidsr.pool.ray_pool import RayPool
from vidsr.pool.ray_runtime import START_S, ray
from vidsr.pool.ray_workers import RayWorkers
from vidsr.pool.segment_tasks import FileSegments, SegmentTask, SharedSegments
from vidsr.segments.work import SegmentJob, UpscaledSegment, upscale_segment

log = logging.getLogger(__name__)

POLL_S = 0.2
PING_S, SILENT_S = 5.0, 10.0
"""How often workers are asked for a sign of life, and after which silence others do their work, too: Ray notices a
node that is cut off after minutes, and gRPC's keep-alive, set to seconds, ends all calls of more than 20 s."""
DEATHS_PER_SEGMENT = 2
FIRST_FRAMES = 3  # limits for the first frame, for which the network is compiled


@dataclass(kw_only=True, eq=False)
class _Running:
    """A segment in work."""

    slot: WorkerSlot
    task: SegmentTask
    call: int
    """Its number among all calls."""
    began_s: float = field(default_factory=time.monotonic)
    answered_s: float = field(default_factory=time.monotonic)
    """When its worker last gave a sign of life, or it began."""
    asked_s: float = 0.0
    """When it was asked for the next one."""
    busy: "ray.ObjectRef[float] | None" = None
    """The answer: for how long it has worked on a frame."""
    dropped: bool = False
    """Whether another worker has done it meanwhile, or nobody waits for it."""

    def drop(self) -> None:
        """Have the worker end it with its next frame."""
        self.dropped = True
        self.slot.actor.drop.remote(self.call)


class RaySegments(SharedSegments):
    """Segments in `workers`, open processes, each on its own cores; a replaced one counts for the file it worked on.

    A segment that is late is given to a second worker, and the first result counts. One that ends two workers is
    upscaled frame by frame, as by `RayPool`. Of all threads that wait for segments one does the work for all.
    """

    def __init__(self, workers: RayWorkers, room: int | None = None) -> None:
        super().__init__(workers.settings, room)
        self._workers = workers
        self._waiting: deque[SegmentTask] = deque()
        self._suspects: list[SegmentTask] = []
        self._running: dict[ray.ObjectRef[UpscaledSegment], _Running] = {}
        self._calls, self._slow = itertools.count(), set[WorkerSlot]()
        self._working = Lock()
        self._alone_s = 0.0

    @property
    def workers(self) -> int:
        """As `SharedSegments.workers`."""
        return len(self._workers.slots)

    @property
    def threads(self) -> int:
        """As `SharedSegments.threads`."""
        return self._workers.threads

    @property
    def window(self) -> int:
        """Some more than are in work, so that those behind a long one go on."""
        return 2 * len(self._workers.slots) + 1

    def share(self, job: SegmentJob, weights: Weights) -> tuple["ray.ObjectRef[SegmentJob]", "ray.ObjectRef[Weights]"]:
        """As `SharedSegments.share`."""
        return ray.put(job), ray.put(weights)

    def submit(self, task: SegmentTask) -> None:
        """As `SharedSegments.submit`."""
        with self._working:
            self._waiting.append(task)
            self._send()

    def work(self, task: SegmentTask, tick: Callable[[], None]) -> None:
        """As `SharedSegments.work`."""
        if suspect := next((each for each in self._suspects if each.file is task.file), None):
            self._upscale_by_frames(suspect, tick)
        elif self._working.acquire(blocking=False):
            try:
                self._workers.take_arrived()
                self._send()
                self._collect()
            finally:
                self._working.release()
        else:
            task.ended.wait(POLL_S)

    def drop(self, file: FileSegments) -> None:
        """As `SharedSegments.drop`."""
        with self._working:
            self._waiting = deque(task for task in self._waiting if task.file is not file)
            self._suspects = [task for task in self._suspects if task.file is not file]
            for running in self._running.values():
                if running.task.file is file and not running.dropped:
                    running.drop()

    def _idle(self) -> list[WorkerSlot]:
        at_work = {running.slot for running in self._running.values()}
        return [slot for slot in self._workers.slots if slot not in at_work]

    def _send(self) -> None:
        """Give idle workers the segments that are late elsewhere, for which all wait, then the next ones."""
        idle = self._idle()
        for late in [running for running in self._running.values() if self._is_late(running)]:
            if idle and self._take_memory(late.task.file):
                other = min(idle, key=lambda slot: slot.location.node == late.slot.location.node)
                idle.remove(other)
                self._start(other, late.task)
                if late.slot not in self._slow:
                    self._slow.add(late.slot)
                    index = late.task.segment.index
                    log.warning("%s is late with segment %d; others do it too", late.slot.location, index)
        for slot in idle:
            if self._waiting and self._take_memory(self._waiting[0].file):
                self._start(slot, self._waiting.popleft())

    def _start(self, slot: WorkerSlot, task: SegmentTask) -> None:
        number = next(self._calls)
        shared = task.file.shared
        call: ray.ObjectRef[UpscaledSegment] = slot.actor.upscale_segment.remote(*shared, task.segment, number)
        self._running[call] = _Running(slot=slot, task=task, call=number)

    def _is_late(self, running: _Running) -> bool:
        """Whether a segment should be sent once more."""
        if running.dropped or len(self._copies(running.task)) > 1:
            return False
        task, now = running.task, time.monotonic()
        if now > running.answered_s + SILENT_S:
            return True
        return task.file.pace.is_late(len(task.segment.times), now - running.began_s)

    def _copies(self, task: SegmentTask) -> list[_Running]:
        """Where it is worked on, and the result will count."""
        return [each for each in self._running.values() if each.task is task and not each.dropped]

    def _collect(self) -> None:
        """Take a result that is there, after a moment at most, and replace the workers that are lost."""
        if not self._workers.slots:
            self._await_worker()
            return
        self._alone_s = 0.0
        for call in ray.wait(list(self._running), timeout=POLL_S)[0] if self._running else ():
            running = self._end(call)
            try:
                self._take(running, ray.get(call))
            except LOST:
                self._replace(running, "died")
            except ray.exceptions.RayTaskError as error:
                cause, index = error.cause, running.task.segment.index
                if not running.dropped:
                    known = isinstance(cause, VidsrError)
                    running.task.fail(cause if known else WorkerError(f"segment {index}: {cause}"))
        for call, running in list(self._running.items()):
            if self._hangs(running):
                self._replace(self._end(call), "hangs")

    def _end(self, call: "ray.ObjectRef[UpscaledSegment]") -> _Running:
        """The call that has ended."""
        running = self._running.pop(call)
        self._give_memory_back(running.task.file)
        return running

    def _take(self, running: _Running, done: UpscaledSegment) -> None:
        """Keep a result, unless it came from another worker before, and have the other one drop its work on it."""
        task = running.task
        running.slot.proven = True
        if running.dropped:
            return
        task.file.pace.add(len(done.times), time.monotonic() - running.began_s)
        for other in self._copies(task):
            other.drop()
        task.file.count_frames(len(done.times))
        task.finish(done)

    def _hangs(self, running: _Running) -> bool:
        """Whether a worker is silent, or has worked on one frame for too long."""
        limit_s, now = running.task.file.limit_s * (1 if running.slot.proven else FIRST_FRAMES), time.monotonic()
        if running.busy is None:
            if now > running.answered_s + PING_S:
                running.busy, running.asked_s = running.slot.actor.busy_s.remote(), now
            return False
        if not ray.wait([running.busy], timeout=0)[0]:
            return now > running.asked_s + limit_s
        busy, running.busy, running.answered_s = running.busy, None, now
        with suppress(*LOST):
            return ray.get(busy) > limit_s
        return True

    def _replace(self, running: _Running, reason: str) -> None:
        """Give the segment of a lost worker to the next one, and start another worker."""
        slot, task = running.slot, running.task
        index = task.segment.index
        log.warning("%s %s at segment %d", slot.location, reason, index)
        if not self._workers.ray_lives():
            task.fail(WorkerError(f"Ray itself ended at segment {index}"))
            return
        task.file.restarts += 1
        self._workers.replace(slot)
        if running.dropped:
            return
        task.deaths += 1
        if self._copies(task):
            return
        if task.deaths < DEATHS_PER_SEGMENT:
            self._waiting.appendleft(task)
        else:
            self._suspects.append(task)

    def _upscale_by_frames(self, task: SegmentTask, tick: Callable[[], None]) -> None:
        """Decode and encode a segment here, so that of its frames only those that end workers are lost.

        The CPUs of an idle worker serve the one to which the frames go; without one it is put off.
        """
        file, index = task.file, task.segment.index
        with self._working:
            self._workers.take_arrived()
            if not (idle := self._idle()[:1]):
                self._collect()
                return
            self._suspects.remove(task)
            self._workers.retire(idle[0])
        log.warning("segment %d ended %d workers; it is upscaled by frames", index, DEATHS_PER_SEGMENT)
        settings = replace(self.settings, workers=1, threads=idle[0].share.threads)
        fallback = partial(upscale_bicubic, scale=file.weights.architecture.scale)
        try:
            with RayPool(file.weights, settings, fallback=fallback) as pool:
                done = upscale_segment(file.job, task.segment, pool, on_frame=tick)
            file.restarts += pool.restarts
        finally:
            with self._working:
                self._workers.placement.replace(idle[0])
        file.count_frames(len(done.times))
        task.finish(done)

    def _await_worker(self) -> None:
        """Wait a moment for a worker, where there is none. Raises WorkerError when none comes."""
        self._alone_s = self._alone_s or time.monotonic()
        if not self._workers.placement.wait(POLL_S) or time.monotonic() > self._alone_s + START_S:
            raise WorkerError(f"no new worker starts: {self._workers.placement.failure or 'no CPU is free'}")
