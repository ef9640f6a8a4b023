"""What is the same in all pools: planes are watched and counted on their way in, and put together on their way out."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from vidsr.arrays import Plane
from vidsr.engine import expected_precision, warn_once
from vidsr.engine.change_detection import Task, Watch, Worth, pasted
from vidsr.engine.precision import PrecisionChoice
from vidsr.flow import windowed
from vidsr.model.weights import Weights
from vidsr.pool import DEPTH, Ticket, require_scale
from vidsr.settings import PoolSettings
from vidsr.stage_timer import Span


@dataclass(kw_only=True, eq=False)
class Job:
    """A plane on its way."""

    index: int
    task: Task
    weights: Weights  # under which it was taken

    @property
    def idle(self) -> bool:
        """Whether nothing of it has to be enlarged."""
        return self.task.tiles == ()


AnyJob = TypeVar("AnyJob", bound=Job)


class PlanePool(ABC, Generic[AnyJob]):
    """A `Pool` but for its engines."""

    def __init__(self, weights: Weights, settings: PoolSettings) -> None:
        self.restarts = 0
        self.quarantined: list[int] = []
        self.engine_s = 0.0
        self.latest: Span | None = None
        self.warnings: list[str] = []
        self._settings = settings
        self._take(weights)
        self._flight: deque[AnyJob] = deque()
        self._before: Plane | None = None
        self._sent = 0

    @property
    @abstractmethod
    def workers(self) -> int:
        """As `Pool.workers`."""

    @abstractmethod
    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> Callable[[], bool]:
        """As `Pool.prepare`."""

    @abstractmethod
    def _begin(self, index: int, task: Task) -> AnyJob:
        """Have an engine do the task when its turn comes."""

    @abstractmethod
    def _ready(self, job: AnyJob) -> bool:
        """Whether a job that is not idle is done; those before it have their results."""

    @abstractmethod
    def _collect(self, job: AnyJob) -> Plane:
        """The result of the oldest job, whatever it takes to get it."""

    @abstractmethod
    def _drop(self) -> None:
        """Nobody will ask for what is in flight."""

    @property
    def reused(self) -> float:
        """As `Pool.reused`."""
        return self._watch.reused

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """As `Pool.map`: at most `DEPTH` planes a worker are taken ahead of the one that is handed out."""
        self._drop()
        self._flight.clear()
        self._watch.forget()
        return windowed(partial(self._submit, depth=depth), self._collect, enumerate(planes), self.workers * DEPTH)

    def send(self, plane: Plane, depth: int) -> Ticket:
        """As `Pool.send`, with no bound on how many wait."""
        self._sent += 1
        return _Ticket(self, self._submit((self._sent - 1, plane), depth))

    def swap(self, weights: Weights) -> None:
        """As `Pool.swap`."""
        if weights is self._weights:
            return
        require_scale(weights, self._weights.architecture.scale)
        self._take(weights)

    def _take(self, weights: Weights) -> None:
        self.choice = expected_precision(weights, self._settings.precision, threads=self._settings.threads or 1)
        self._weights = weights
        worth = Worth.of(weights.architecture)
        self._watch = Watch(weights.architecture.halo, tolerance=self._settings.reuse, worth=worth)

    def _submit(self, item: tuple[int, Plane], depth: int) -> AnyJob:
        index, plane = item
        job = self._begin(index, self._watch(plane, depth))
        self._flight.append(job)
        return job

    def _note(self, choice: PrecisionChoice, warnings: Sequence[str]) -> None:
        """Keep what an engine said of itself, and log what is new of it."""
        self.choice = choice
        for sentence in warnings:
            if sentence not in self.warnings:
                self.warnings.append(sentence)
                warn_once(sentence)

    def _put_together(self, job: AnyJob, made: Plane) -> Plane:
        """The result, of what an engine made of the job and of the result before."""
        self._before = pasted(self._before, job.task, made, job.weights.architecture.scale)
        return self._before


@dataclass(frozen=True)
class _Ticket(Generic[AnyJob]):
    """A job of a pool, which knows it alone."""

    pool: PlanePool[AnyJob]
    job: AnyJob

    def ready(self) -> bool:
        return self.job.idle or self.pool._ready(self.job)

    def result(self) -> Plane:
        return self.pool._collect(self.job)
