"""What the stages of a run were busy with, and when."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Span:
    """A piece of work, by the clock of `time.perf_counter`."""

    stage: str
    began_s: float
    ended_s: float
    lane: int = 0
    """Which of several that do the same work side by side."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_s - self.began_s


Watch = Callable[[Span], None]


class Clock:
    """How long each stage was busy; `watch` is told every piece of work, by the thread that did it."""

    def __init__(self, stages: Iterable[str], watch: Watch) -> None:
        self.busy_s = dict.fromkeys(stages, 0.0)
        self._watch = watch
        self._lock = threading.Lock()

    @contextmanager
    def busy(self, stage: str) -> Generator[None]:
        """Count what is done inside."""
        began = time.perf_counter()
        yield
        self.count(Span(stage=stage, began_s=began, ended_s=time.perf_counter()))

    def count(self, span: Span) -> None:
        """Count what somebody else timed."""
        with self._lock:
            self.busy_s[span.stage] += span.seconds
        self._watch(span)

    def timed(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items, each of them made while the stage is busy."""
        source = iter(items)
        while True:
            with self.busy(stage):
                made = list(islice(source, 1))
            if not made:
                return
            yield made[0]
