"""Generators that run stages side by side."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Job = TypeVar("Job")
Result = TypeVar("Result")


def ordered_window(
    submit: Callable[[Item], Job],
    collect: Callable[[Job], Result],
    items: Iterable[Item],
    window: int | Callable[[], int],
) -> Iterator[Result]:
    """`collect(submit(item))` of every item, in order, with at most `window` submitted and not yet handed out.

    The window may change between two items. When `items` fails, the results of the items before are handed out first.
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
        while len(flight) >= (window() if callable(window) else window):
            yield collect(flight.popleft())
    while flight:
        yield collect(flight.popleft())
    if fault:
        raise fault


def with_results(
    items: Iterable[Item], transform: Callable[[Iterator[Item]], Iterator[Result]]
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in order; `transform` makes one result per item, and may take items ahead."""
    waiting: deque[Item] = deque()  # not itertools.tee, which keeps 57 frames longer than needed

    def taken() -> Iterator[Item]:
        for item in items:
            waiting.append(item)
            yield item

    for result in transform(taken()):
        yield waiting.popleft(), result


def prefetch(items: Iterable[Item], depth: int) -> Generator[Item]:
    """The same items, made in a thread up to `depth` ahead of the consumer.

    An exception of `items` is raised here, after the items before it. Closing the generator stops the thread after its
    current item.
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

    thread = threading.Thread(target=fill, name="prefetch", daemon=True)
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


def map_in_thread(work: Callable[[Item], Result], items: Iterable[Item], depth: int) -> Generator[Result]:
    """`work(item)` of every item, in order, in a thread, while the next `depth` items are made here.

    An exception of `work` is raised here in its place, and no later item is worked on; one of `items` after the
    results before it. Closing the generator stops the thread after its current item.
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

    with ThreadPoolExecutor(1, thread_name_prefix="map") as thread:
        try:
            yield from ordered_window(lambda item: thread.submit(unless_failed, item), Future.result, items, depth)
        finally:
            thread.shutdown(cancel_futures=True)
