"""What the pools of several files share: Ray with its workers, and engines that are compiled already."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from threading import Condition
from typing import TYPE_CHECKING, Self

from vidsr.arrays import Plane
from vidsr.callbacks import ShouldStop
from vidsr.cpu import describe_machine, plan_cores, usable_cores
from vidsr.errors import WorkerError
from vidsr.memory import usable_bytes
from vidsr.model.weights import Weights
from vidsr.pool import MAX_SEGMENTS, Pool, runs_in_process, segments_in_memory
from vidsr.pool.engine_cache import EngineCache
from vidsr.pool.in_process_pool import MAX_ENGINES, InProcessPool, engine_caches
from vidsr.pool.segment_tasks import FileSegments, SharedSegments
from vidsr.pool.segment_threads import SegmentThreads
from vidsr.settings import PoolSettings

if TYPE_CHECKING:
    from vidsr.pool.ray_workers import RayWorkers


class SharedPools:
    """Gives each file a pool of these settings; closed by `with`.

    Pools of planes serve one file after another. Those of segments serve several side by side, each asked for by a
    thread of its own; no pool of planes is open meanwhile. Ray is started for the first pool that needs it, and again
    if it ended; where `should_stop` says so meanwhile, that pool raises Stopped.
    """

    def __init__(self, settings: PoolSettings, should_stop: ShouldStop = lambda: False) -> None:
        self.settings = settings
        self._should_stop = should_stop
        self._machine = describe_machine()
        self._caches: dict[int, list[EngineCache]] = {}
        self._stack, self._users = ExitStack(), 0
        self._changing = Condition()
        self._failure: WorkerError | None = None
        self._ray: RayWorkers | None = None
        self._segments: SharedSegments | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    @property
    def files_side_by_side(self) -> int:
        """How many files by segments keep it busy, if each is one segment: one more than segments are in work."""
        if runs_in_process(self.settings, self._machine):
            return 1 + (self.settings.threads or usable_cores(self._machine))
        if self.settings.ray_address is not None and self.settings.workers is None:
            return MAX_SEGMENTS
        return 1 + (self.settings.workers or len(plan_cores(self._machine, threads=self.settings.threads or 1)))

    def planes(
        self, weights: Weights, *, fallback: Callable[[Plane], Plane], pixels: int
    ) -> AbstractContextManager[Pool]:
        """The pool of a video with frames of `pixels` pixels; `fallback` as for `open_pool`.

        Raises ModelError when the network cannot be computed in the precision of the settings, WorkerError, and
        Stopped.
        """
        if runs_in_process(self.settings, self._machine, multiplies=pixels * weights.architecture.multiplies):
            return self.in_process(weights)
        from vidsr.pool.ray_pool import RayPool

        return RayPool(weights, self.settings, fallback=fallback, workers=self._workers(weights, self.settings))

    def in_process(self, weights: Weights, *, engines: int = MAX_ENGINES) -> InProcessPool:
        """A pool of this process, of at most `engines` engines. Raises ModelError."""
        if engines not in self._caches:
            self._caches[engines] = engine_caches(self.settings, engines)
        return InProcessPool(weights, self.settings, caches=self._caches[engines])

    @contextmanager
    def segments(self, weights: Weights, size: tuple[int, int]) -> Iterator[FileSegments]:
        """The pool of a video by segments; its frames are of `size`, (width, height), when they are upscaled.

        On this machine as many segments are worked on side by side as there are cores, one thread each, and room in
        memory. Raises as `planes`.
        """
        with self._changing:
            self._changing.wait_for(lambda: not self._users or self._is_usable())
            if self._segments is None or not self._is_usable():
                self._segments = self._open_segments(weights, size)
            shared, self._users = self._segments, self._users + 1
        try:
            with shared.file(weights, size) as file:
                yield file
        finally:
            with self._changing:
                self._users -= 1
                self._changing.notify_all()

    def _open_segments(self, weights: Weights, size: tuple[int, int]) -> SharedSegments:
        settings, room = self.settings, usable_bytes()
        if runs_in_process(settings, self._machine):
            self._close()
            threads = settings.threads or usable_cores(self._machine)
            return self._stack.enter_context(SegmentThreads(settings, threads=threads, room=room))
        from vidsr.pool.ray_segments import RaySegments

        if settings.ray_address is not None:
            return RaySegments(self._workers(weights, settings))
        if settings.workers is None:
            threads = settings.threads or 1
            workers = min(len(plan_cores(self._machine, threads=threads)), segments_in_memory(size))
            settings = replace(settings, workers=workers, threads=threads)
        return RaySegments(self._workers(weights, settings), room)

    def _workers(self, weights: Weights, settings: PoolSettings) -> "RayWorkers":
        """Workers of these settings: those that are there, if they live."""
        from vidsr.pool.ray_workers import RayWorkers

        if self._failure:
            raise self._failure
        if self._ray is None or self._ray.settings != settings or not self._ray.is_alive:
            self._close()
            try:
                self._ray = self._stack.enter_context(RayWorkers(weights, settings, self._should_stop))
            except WorkerError as error:
                self._failure = error
                raise
        return self._ray

    def _is_usable(self) -> bool:
        return self._segments is not None and (self._ray is None or self._ray.is_alive)

    def _close(self) -> None:
        self._ray = self._segments = None
        self._stack.close()
