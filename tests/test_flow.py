"""Stages run side by side, in order, no further ahead than they may, and leave no thread behind."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from vidsr.flow import map_in_thread, ordered_window, prefetch


class Counted(Iterator[int]):
    """The numbers below `end`, and how many of them have been asked for; then, where there is one, a fault."""

    def __init__(self, end: int, fault: BaseException | None = None) -> None:
        self.end, self.fault, self.taken = end, fault, 0

    def __next__(self) -> int:
        if self.taken == self.end:
            raise self.fault or StopIteration
        self.taken += 1
        return self.taken - 1


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("map")]


def settled(source: Counted) -> int:
    """How many items have been taken when no more are."""
    taken = -1
    while taken != source.taken:
        taken = source.taken
        time.sleep(0.05)
    return taken


# windowed


@pytest.mark.parametrize("window", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 5, 20])
def test_a_window_keeps_the_order_and_is_never_wider_than_it_may_be(count: int, window: int) -> None:
    source, handed_out = Counted(count), 0
    for result in ordered_window(str, int, source, window):
        assert result == handed_out
        assert source.taken - handed_out <= window
        handed_out += 1
    assert handed_out == count


def test_a_window_is_filled_before_the_first_result_is_waited_for() -> None:
    source = Counted(10)
    next(ordered_window(str, int, source, 4))
    assert source.taken == 4


def test_a_fault_of_the_source_comes_after_what_came_before_it() -> None:
    results = ordered_window(str, int, Counted(5, OSError("broken")), 3)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="broken"):
        next(results)


def test_a_fault_of_collecting_comes_at_once_in_its_place() -> None:
    results = ordered_window(lambda item: 10 // (3 - item), int, Counted(9), 2)
    assert [next(results) for _ in range(3)] == [3, 5, 10]
    with pytest.raises(ZeroDivisionError):
        next(results)


# ahead


@pytest.mark.parametrize("depth", [1, 3])
def test_items_made_ahead_keep_their_order(depth: int) -> None:
    assert list(prefetch(range(100), depth)) == list(range(100))
    assert not readers()


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_no_more_items_are_made_ahead_than_the_depth(depth: int) -> None:
    source = Counted(50)
    with closing(prefetch(source, depth)) as items:
        assert source.taken == 0
        for taken, _ in zip(range(1, 6), items, strict=False):
            assert settled(source) == taken + depth


def test_items_are_made_in_another_thread() -> None:
    (maker,) = set(prefetch((threading.get_ident() for _ in range(3)), 2))
    assert maker != threading.get_ident()


@pytest.mark.parametrize("fault", [OSError("broken"), KeyboardInterrupt(), SystemExit(3)])
def test_a_fault_crosses_the_thread_after_what_came_before_it(fault: BaseException) -> None:
    items = prefetch(Counted(3, fault), 10)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(type(fault)) as raised:
        next(items)
    assert raised.value is fault
    assert not readers()


def test_something_that_cannot_be_iterated_is_a_fault_too() -> None:
    with pytest.raises(TypeError):
        next(prefetch(3, 1))  # type: ignore[arg-type]


def test_closing_early_ends_the_thread() -> None:
    source = Counted(10**9)
    with closing(prefetch(source, 2)) as items:
        assert next(items) == 0
        assert len(readers()) == 1
    assert not readers()
    assert source.taken <= 4


def test_a_consumer_that_fails_leaves_no_thread() -> None:
    def consume() -> None:
        with closing(prefetch(Counted(10**9), 2)) as items:
            for item in items:
                1 // (3 - item)

    with pytest.raises(ZeroDivisionError):
        consume()
    assert not readers()


def test_a_generator_that_is_dropped_leaves_no_thread() -> None:
    items = prefetch(Counted(10**9), 2)
    next(items)
    del items
    assert not readers()


def test_two_stages_stand_one_behind_the_other() -> None:
    assert sum(prefetch(map(abs, prefetch(range(-50, 0), 3)), 2)) == sum(range(51))
    assert not readers()


# beside


def test_work_beside_keeps_the_order_and_is_done_in_another_thread() -> None:
    results = list(map_in_thread(lambda item: (item, threading.current_thread().name), range(50), 3))
    assert [item for item, _ in results] == list(range(50))
    assert {name for _, name in results} == {"map_0"}
    assert not workers()


def test_no_more_items_are_made_than_the_work_is_behind() -> None:
    source = Counted(50)
    with closing(map_in_thread(str, source, 3)) as results:
        for done, _ in enumerate(results):
            assert source.taken <= done + 3
            if done == 20:
                break
    assert not workers()


def test_nothing_is_worked_at_after_a_failure() -> None:
    worked: list[int] = []

    def work(item: int) -> int:
        worked.append(item)
        return 10 // (4 - item)

    results = map_in_thread(work, Counted(20), 3)
    assert [next(results) for _ in range(4)] == [2, 3, 5, 10]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert worked == [0, 1, 2, 3, 4]
    assert not workers()


def test_what_came_before_a_fault_of_the_source_is_worked_at() -> None:
    results = map_in_thread(str, Counted(5, OSError("broken")), 3)
    assert [next(results) for _ in range(5)] == ["0", "1", "2", "3", "4"]
    with pytest.raises(OSError, match="broken"):
        next(results)
    assert not workers()
