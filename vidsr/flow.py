"""Generators that run stages side by side without changing what flows through them."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Job = TypeVar("Job")
Result = TypeVar("Result")


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


def ahead(items: Iterable[Item], depth: int) -> Generator[Item]:
    """The same items, made in a thread of their own up to `depth` ahead of whoever takes them.

    An exception of `items` is raised here, after the items before it. Closing the generator stops the thread, once
    the item that it makes just then is made.
    """
    queue: SimpleQueue[tuple[Item] | BaseException | None] = SimpleQueue()
    room, stop = threading.Semaphore(depth), threading.Event()

    def fill() -> None:
        try:
            source = iter(items)
            while room.acquire() and not stop.is_set():
                queue.put((next(source),))
        except StopIteration:
            queue.put(None)
        except BaseException as error:
            queue.put(error)

    thread = threading.Thread(target=fill, name="ahead", daemon=True)
    thread.start()
    try:
        while (entry := queue.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            room.release()
            yield entry[0]
    finally:
        stop.set()
        room.release()
        thread.join()


def beside(work: Callable[[Item], Result], items: Iterable[Item], depth: int) -> Generator[Result]:
    """`work(item)` of every item, in order, done in a thread of its own while the next `depth` items are made here.

    An exception of `work` is raised here in its place, and no item after it is worked at; one of `items` after what
    came before it. Closing the generator ends the thread, once the item that it works at just then is done.
    """
    failed = threading.Event()

    def unless_failed(item: Item) -> Result:
        if failed.is_set():
            raise CancelledError
        try:
            return work(item)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(1, thread_name_prefix="beside") as thread:
        try:
            yield from windowed(lambda item: thread.submit(unless_failed, item), Future.result, items, depth)
        finally:
            thread.shutdown(cancel_futures=True)
