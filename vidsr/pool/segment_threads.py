"""Segments upscaled side by side in threads of this process, each with an engine of its own."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from threading import Event, Lock
from typing import Self

from vidsr.engine import Engine, expected_precision
from vidsr.errors import Stopped, VidsrError, WorkerError
from vidsr.model.weights import Weights
from vidsr.segments.plan import PlannedSegment
from vidsr.segments.run import OnDone
from vidsr.segments.work import SegmentEngine, SegmentJob, UpscaledSegment, upscale_segment
from vidsr.settings import PoolSettings

_POLL_S = 0.2


class SegmentThreads:
    """A `SegmentPool` of `threads` segments side by side; closed by `with`, which ends those in work."""

    workers = 0

    def __init__(self, weights: Weights, settings: PoolSettings, *, threads: int) -> None:
        self.frames = self.restarts = 0
        self.threads = threads
        self.precision_choice = expected_precision(weights, settings.precision)
        self._engines = SimpleQueue[Engine]()
        for _ in range(threads):
            self._engines.put(Engine(weights, threads=1, precision=settings.precision))
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="segment")
        self._futures: dict[int, Future[UpscaledSegment]] = {}
        self._closing, self._counting = Event(), Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.set()
        self._executor.shutdown(cancel_futures=True)

    @property
    def window(self) -> int:
        """As `SegmentPool.window`: some more than are in work, so that those behind a long one go on."""
        return 2 * self.threads

    def begin(self, job: SegmentJob, on_done: OnDone) -> None:
        """As `SegmentPool.begin`."""
        self._job, self._on_done = job, on_done

    def submit(self, segment: PlannedSegment) -> None:
        """As `SegmentPool.submit`."""
        self._futures[segment.index] = self._executor.submit(self._upscale, segment)

    def result(self, index: int, tick: Callable[[], None]) -> UpscaledSegment:
        """As `SegmentPool.result`."""
        future = self._futures.pop(index)
        while not wait([future], timeout=_POLL_S).done:
            tick()
        try:
            return future.result()
        except (VidsrError, Stopped):
            raise
        except Exception as error:  # as in a worker of another process
            raise WorkerError(f"segment {index}: {error}") from error

    def _upscale(self, segment: PlannedSegment) -> UpscaledSegment:
        engine = self._engines.get()
        try:
            done = upscale_segment(self._job, segment, SegmentEngine(engine), on_frame=self._count)
        finally:
            self._engines.put(engine)
        self._on_done(done)
        return done

    def _count(self) -> None:
        if self._closing.is_set():
            raise Stopped("the pool is closed")
        with self._counting:
            self.frames += 1
