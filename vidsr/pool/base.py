"""The base class of both pools: planes are compared and counted on their way in, and composed on their way out."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from vidsr.arrays import Plane
from vidsr.engine import expected_precision, warn_once
from vidsr.engine.change_detection import ChangeDetector, TilingCost, UpdatePlan
from vidsr.engine.precision import PrecisionChoice
from vidsr.engine.reusing_engine import composite
from vidsr.flow import ordered_window
from vidsr.model.weights import Weights
from vidsr.pool import QUEUE_DEPTH, Pool, Ticket
from vidsr.settings import PoolSettings
from vidsr.stage_timer import TimedSpan


@dataclass(kw_only=True, eq=False)
class PendingPlane:
    """A plane in flight."""

    index: int
    plan: UpdatePlan
    weights: Weights
    """The network in use when it came in."""

    @property
    def unchanged(self) -> bool:
        """Whether no tile of it has to be upscaled."""
        return self.plan.tiles == ()


Pending = TypeVar("Pending", bound=PendingPlane)


class BasePool(Pool, ABC, Generic[Pending]):
    """A `Pool` but for its engines."""

    def __init__(self, weights: Weights, settings: PoolSettings) -> None:
        self.restarts = 0
        self.quarantined: list[int] = []
        self.engine_s = 0.0
        self.last_span: TimedSpan | None = None
        self.warnings: list[str] = []
        self._settings = settings
        self._use(weights)
        self._in_flight: deque[Pending] = deque()
        self._previous: Plane | None = None
        self._sent = 0

    @abstractmethod
    def _begin(self, index: int, plan: UpdatePlan) -> Pending:
        """Queue the plan for an engine."""

    @abstractmethod
    def _ready(self, pending: Pending) -> bool:
        """Whether a changed plane is done; those before it have their results."""

    @abstractmethod
    def _collect(self, pending: Pending) -> Plane:
        """The result of the oldest plane, with retries."""

    @abstractmethod
    def _abandon(self) -> None:
        """Give up what is in flight: nobody will ask for it."""

    @property
    def reused(self) -> float:
        """As `Pool.reused`."""
        return self._detector.reused

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """As `Pool.map`: at most `QUEUE_DEPTH` planes per worker are taken ahead of the one that is handed out."""
        self._abandon()
        self._in_flight.clear()
        self._detector.forget()
        submit = partial(self._submit, depth=depth)
        return ordered_window(submit, self._collect, enumerate(planes), lambda: self.engines * QUEUE_DEPTH)

    def send(self, plane: Plane, depth: int) -> Ticket:
        """As `Pool.send`, with no bound on how many wait."""
        self._sent += 1
        return _Ticket(self, self._submit((self._sent - 1, plane), depth))

    def set_weights(self, weights: Weights) -> None:
        """As `Pool.set_weights`."""
        if weights is self._weights:
            return
        scale = self._weights.architecture.scale
        if weights.architecture.scale != scale:
            raise ValueError(f"a pool of scale {scale} cannot use {weights.architecture}")
        self._use(weights)

    def _use(self, weights: Weights) -> None:
        self.precision_choice = expected_precision(
            weights, self._settings.precision, threads=self._settings.threads or 1
        )
        self._weights = weights
        cost = TilingCost.of(weights.architecture)
        self._detector = ChangeDetector(weights.architecture.halo, tolerance=self._settings.reuse, cost=cost)

    def _submit(self, item: tuple[int, Plane], depth: int) -> Pending:
        index, plane = item
        pending = self._begin(index, self._detector(plane, depth))
        self._in_flight.append(pending)
        return pending

    def _report(self, choice: PrecisionChoice, warnings: Sequence[str]) -> None:
        """Keep an engine's precision, and log its new warnings."""
        self.precision_choice = choice
        for sentence in warnings:
            if sentence not in self.warnings:
                self.warnings.append(sentence)
                warn_once(sentence)

    def _composite(self, pending: PendingPlane, upscaled: Plane) -> Plane:
        """The result of a plane, of an engine's result and the previous plane's."""
        self._previous = composite(self._previous, pending.plan, upscaled, pending.weights.architecture.scale)
        return self._previous


@dataclass(frozen=True)
class _Ticket(Generic[Pending]):
    """A plane that only its pool knows."""

    pool: BasePool[Pending]
    pending: Pending

    def ready(self) -> bool:
        return self.pending.unchanged or self.pool._ready(self.pending)

    def result(self) -> Plane:
        return self.pool._collect(self.pending)
