"""Segments upscaled side by side in threads of this process, each with engines of its own."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from threading import Condition
from typing import Self

from vidsr.errors import Stopped, VidsrError, WorkerError
from vidsr.model.weights import Weights
from vidsr.pool.engine_cache import EngineCache
from vidsr.pool.segment_tasks import FileSegments, SegmentTask, SharedSegments
from vidsr.segments.work import SegmentEngine, SegmentJob, UpscaledSegment, upscale_segment
from vidsr.settings import PoolSettings

_POLL_S = 0.2


class SegmentThreads(SharedSegments):
    """`threads` segments side by side, or fewer where memory is short; closed by `with`, which ends those in work."""

    def __init__(self, settings: PoolSettings, *, threads: int, room: int | None = None) -> None:
        super().__init__(settings, room)
        self._threads = threads
        self._engines = SimpleQueue[EngineCache]()
        for _ in range(threads):
            self._engines.put(EngineCache(threads=1, precision=settings.precision))
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="segment")
        self._futures: dict[Future[None], FileSegments] = {}
        self._dropped: set[FileSegments] = set()
        self._memory = Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for file in {*self._futures.values()}:
            self.drop(file)
        self._executor.shutdown()

    @property
    def workers(self) -> int:
        """As `SharedSegments.workers`."""
        return 0

    @property
    def threads(self) -> int:
        """As `SharedSegments.threads`."""
        return self._threads

    @property
    def window(self) -> int:
        """Some more than are in work, so that those behind a long one go on."""
        return 2 * self._threads

    def share(self, job: SegmentJob, weights: Weights) -> tuple[SegmentJob, Weights]:
        """As `SharedSegments.share`."""
        return job, weights

    def submit(self, task: SegmentTask) -> None:
        """As `SharedSegments.submit`."""
        future = self._executor.submit(self._upscale, task)
        self._futures[future] = task.file
        future.add_done_callback(lambda done: self._futures.pop(done, None))

    def work(self, task: SegmentTask, tick: Callable[[], None]) -> None:
        """As `SharedSegments.work`."""
        task.ended.wait(_POLL_S)

    def drop(self, file: FileSegments) -> None:
        """As `SharedSegments.drop`; those in work end with their frame."""
        own = [future for future, each in list(self._futures.items()) if each is file]
        self._dropped.add(file)
        with self._memory:
            self._memory.notify_all()
        wait([future for future in own if not future.cancel()])
        self._dropped.discard(file)

    def _upscale(self, task: SegmentTask) -> None:
        """Ends the task; an error that is a bug becomes one of the segment, as in a worker of another process."""
        try:
            task.finish(self._upscaled(task))
        except (VidsrError, Stopped) as error:
            task.fail(error)
        except Exception as error:
            task.fail(WorkerError(f"segment {task.segment.index}: {error}"))

    def _upscaled(self, task: SegmentTask) -> UpscaledSegment:
        job, weights = task.file.shared
        with self._memory:
            self._memory.wait_for(lambda: task.file in self._dropped or self._take_memory(task.file))
            if task.file in self._dropped:
                raise Stopped("the pool is closed")
        engines = self._engines.get()
        try:
            engine = SegmentEngine(engines(weights))
            return upscale_segment(job, task.segment, engine, on_frame=lambda: self._count(task.file))
        finally:
            self._engines.put(engines)
            with self._memory:
                self._give_memory_back(task.file)
                self._memory.notify_all()

    def _count(self, file: FileSegments) -> None:
        if file in self._dropped:
            raise Stopped("the pool is closed")
        file.count_frames(1)
