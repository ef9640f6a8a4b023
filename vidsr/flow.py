"""Generators that run stages side by side without changing what flows through them."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

Item = TypeVar("Item")
Job = TypeVar("Job")
Result = TypeVar("Result")

_POLL_S = 0.1


def windowed(
    submit: Callable[[Item], Job], collect: Callable[[Job], Result], items: Iterable[Item], window: int
) -> Iterator[Result]:
    """`collect(submit(item))` of every item, in order, with at most `window` submitted and not yet handed out.

    When `items` fails, what was submitted before is handed out first: a fault costs no item that came before it.
    """
    flight: deque[Job] = deque()
    fault: Exception | None = None
    source = iter(items)
    while True:
        try:
            flight.append(submit(next(source)))
        except StopIteration:
            break
        except Exception as error:
            fault = error
            break
        if len(flight) == window:
            yield collect(flight.popleft())
    while flight:
        yield collect(flight.popleft())
    if fault:
        raise fault


def ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The same items, made in a thread of their own up to `depth` ahead of whoever takes them.

    An exception of `items` is raised here, after the items before it. Close the generator to stop the thread.
    """
    queue: Queue[tuple[Item] | BaseException | None] = Queue(depth)
    stop = threading.Event()

    def put(entry: tuple[Item] | BaseException | None) -> None:
        while not stop.is_set():
            try:
                return queue.put(entry, timeout=_POLL_S)
            except Full:
                continue

    def fill() -> None:
        try:
            for item in items:
                put((item,))
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=fill, name="ahead", daemon=True)
    thread.start()
    try:
        yield from _taken(queue, thread)
    finally:
        stop.set()
        thread.join()


def _taken(queue: Queue[tuple[Item] | BaseException | None], thread: threading.Thread) -> Iterator[Item]:
    while True:
        try:
            entry = queue.get(timeout=_POLL_S)
        except Empty:
            if not thread.is_alive() and queue.empty():
                raise RuntimeError("the thread that reads ahead is gone") from None
            continue
        if entry is None:
            return
        if isinstance(entry, BaseException):
            raise entry
        yield entry[0]
