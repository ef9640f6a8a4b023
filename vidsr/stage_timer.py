"""The working times of the stages of a run."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class TimedSpan:
    """A piece of work, by the clock of `time.perf_counter`."""

    stage: str
    began_s: float
    ended_s: float
    lane: int = 0
    """The number of the worker, of several side by side."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ended_s - self.began_s


OnSpan = Callable[[TimedSpan], None]


class StageTimer:
    """The time each stage was busy; `on_span` receives every piece of work, in the thread that did it."""

    def __init__(self, stages: Iterable[str], on_span: OnSpan) -> None:
        self.busy_s = dict.fromkeys(stages, 0.0)
        self._on_span = on_span
        self._lock = threading.Lock()

    @contextmanager
    def busy(self, stage: str) -> Generator[None]:
        """Count the time inside `with`."""
        began = time.perf_counter()
        yield
        self.count(TimedSpan(stage=stage, began_s=began, ended_s=time.perf_counter()))

    def count(self, span: TimedSpan) -> None:
        """Count a span that was timed elsewhere."""
        with self._lock:
            self.busy_s[span.stage] += span.seconds
        self._on_span(span)

    def timed(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items; the time to make each one counts."""
        source = iter(items)
        while True:
            with self.busy(stage):
                made = list(islice(source, 1))
            if not made:
                return
            yield made[0]
