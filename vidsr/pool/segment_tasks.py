"""The segments of several files in one pool: each file has its own view of it, a `SegmentPool`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any, Self

from vidsr.engine import expected_precision
from vidsr.model.weights import Weights
from vidsr.pool import segment_bytes_in_memory
from vidsr.pool.segment_pace import SegmentPace
from vidsr.segments.plan import PlannedSegment
from vidsr.segments.run import OnDone
from vidsr.segments.work import SegmentJob, UpscaledSegment
from vidsr.settings import PoolSettings


@dataclass(kw_only=True, eq=False)
class SegmentTask:
    """A segment of a file that waits, is in work, or has `ended` with a result or an error."""

    file: "FileSegments"
    segment: PlannedSegment
    deaths: int = 0
    """Workers that it ended."""
    result: UpscaledSegment | None = None
    error: Exception | None = None
    ended: Event = field(default_factory=Event)

    def finish(self, result: UpscaledSegment) -> None:
        """End it; an error of the file's journal is its own."""
        try:
            self.file.on_done(result)
            self.result = result
        except Exception as error:
            self.error = error
        self.ended.set()

    def fail(self, error: Exception) -> None:
        """End it with an error."""
        self.error = error
        self.ended.set()


class SharedSegments(ABC):
    """Works on the segments of any number of files, which are asked for by a thread of each; closed by `with`.

    `room` is the memory that they may take, None where it is unknown.
    """

    def __init__(self, settings: PoolSettings, room: int | None) -> None:
        self.settings, self._room = settings, room
        self._bytes = self._tasks = 0
        self._counting = Lock()

    @property
    @abstractmethod
    def workers(self) -> int:
        """The number of processes, 0 for this one."""

    @property
    @abstractmethod
    def threads(self) -> int:
        """Of each process."""

    @property
    @abstractmethod
    def window(self) -> int:
        """The number of segments that keep it busy."""

    @abstractmethod
    def share(self, job: SegmentJob, weights: Weights) -> Any:
        """What goes with every segment of a job, as `SegmentTask.file.shared`."""

    @abstractmethod
    def submit(self, task: SegmentTask) -> None:
        """Queue a segment."""

    @abstractmethod
    def work(self, task: SegmentTask, tick: Callable[[], None]) -> None:
        """Go on for a moment, or until the task has ended; `tick` as in `SegmentPool.result`."""

    @abstractmethod
    def drop(self, file: "FileSegments") -> None:
        """Forget the tasks of a file; then none of them is worked on, or its result is nobody's."""

    def file(self, weights: Weights, size: tuple[int, int]) -> "FileSegments":
        """The pool of a file with frames of `size`, (width, height), when they are upscaled."""
        return FileSegments(self, weights, size)

    @property
    def free(self) -> int:
        """How many more segments it takes."""
        return max(0, self.window - self._tasks)

    def count(self, tasks: int) -> None:
        """Add to the number of tasks that are not handed out yet; negative for fewer."""
        with self._counting:
            self._tasks += tasks

    def _take_memory(self, file: "FileSegments") -> bool:
        """Whether there is memory for one more segment; where none is in work there always is."""
        with self._counting:
            fits = self._room is None or not self._bytes or self._bytes + file.bytes_each <= self._room
            self._bytes += file.bytes_each if fits else 0
            return fits

    def _give_memory_back(self, file: "FileSegments") -> None:
        with self._counting:
            self._bytes -= file.bytes_each


class FileSegments:
    """A `SegmentPool` of one file, which may share it with others; closed by `with`."""

    def __init__(self, pool: SharedSegments, weights: Weights, size: tuple[int, int]) -> None:
        self.frames = self.restarts = 0
        self.precision_choice = expected_precision(weights, pool.settings.precision)
        self.bytes_each = segment_bytes_in_memory(size)
        self.weights, self.pace = weights, SegmentPace()
        self._pool = pool
        self._tasks: dict[int, SegmentTask] = {}
        self._counting = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.drop(self)
        self._pool.count(-len(self._tasks))
        self._tasks.clear()

    @property
    def workers(self) -> int:
        """As `SegmentPool.workers`."""
        return self._pool.workers

    @property
    def threads(self) -> int:
        """As `SegmentPool.threads`."""
        return self._pool.threads

    @property
    def window(self) -> int:
        """As `SegmentPool.window`: its own, and what others leave free."""
        return max(1, len(self._tasks) + self._pool.free)

    def begin(self, job: SegmentJob, on_done: OnDone) -> None:
        """As `SegmentPool.begin`."""
        self.job, self.on_done, self.shared = job, on_done, self._pool.share(job, self.weights)
        self.limit_s = self._pool.settings.timeout_s * max(1.0, job.size[0] * job.size[1] / 1e6)

    def submit(self, segment: PlannedSegment) -> None:
        """As `SegmentPool.submit`."""
        task = self._tasks[segment.index] = SegmentTask(file=self, segment=segment)
        self._pool.count(1)
        self._pool.submit(task)

    def result(self, index: int, tick: Callable[[], None]) -> UpscaledSegment:
        """As `SegmentPool.result`."""
        task = self._tasks[index]
        while not task.ended.is_set():
            self._pool.work(task, tick)
            tick()
        del self._tasks[index]
        self._pool.count(-1)
        if task.result is None:
            raise task.error or AssertionError("a task that ended without an end")
        return task.result

    def count_frames(self, frames: int) -> None:
        """Add to the number of frames that are done."""
        with self._counting:
            self.frames += frames
