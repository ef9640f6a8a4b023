"""A pool is a map: in order, lazy, bounded, whoever computes it; and with Ray it outlives its workers."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import numpy as np
import psutil
import pytest
from made import Poison, tiny_weights
from oracles import double

from vidsr.engine import Engine, Plane
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.pool import Pool, open_pool
from vidsr.settings import PoolSettings

TESTS = Path(__file__).parent
Ray = Iterator[None]


def planes(count: int, *, shape: tuple[int, int] = (24, 20), dtype: type = np.uint8) -> list[Plane]:
    random = np.random.default_rng(count)
    return [random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True) for _ in range(count)]


def enlarged(weights: Weights, source: Iterable[Plane], depth: int = 8) -> list[Plane]:
    engine = Engine(weights, threads=1)
    return [engine(plane, depth) for plane in source]


def same(results: Iterable[Plane], expected: Iterable[Plane]) -> bool:
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(results, expected, strict=True))


# What every pool does


@pytest.fixture(scope="module", params=[0, 1, 3], ids=["this process", "1 worker", "3 workers"])
def pool(request: pytest.FixtureRequest, weights: Weights) -> Iterator[Pool]:
    if request.param:
        request.getfixturevalue("ray")
    with open_pool(weights, PoolSettings(workers=request.param)) as pool:
        yield pool


def test_every_plane_comes_out_in_its_place_as_the_engine_makes_it(pool: Pool, weights: Weights) -> None:
    source = planes(20)
    assert same(pool.map(iter(source), 8), enlarged(weights, source))
    assert pool.restarts == 0
    assert pool.quarantined == []
    assert pool.engine_s > 0


def test_sizes_and_depths_may_change(pool: Pool, weights: Weights) -> None:
    source = planes(4, shape=(9, 31)) + planes(3, shape=(40, 3)) + planes(2, shape=(1, 1))
    assert same(pool.map(source, 8), enlarged(weights, source))
    deep = [plane >> 6 for plane in planes(5, dtype=np.uint16)]
    assert same(pool.map(deep, 10), enlarged(weights, deep, 10))


def test_a_view_of_a_larger_picture_is_a_plane_too(pool: Pool, weights: Weights) -> None:
    source = [plane[3:15, 1:18] for plane in planes(3)]
    assert same(pool.map(source, 8), enlarged(weights, source))


def test_nothing_in_gives_nothing_out(pool: Pool) -> None:
    assert list(pool.map([], 8)) == []


def test_no_more_planes_are_taken_than_the_workers_hold(pool: Pool) -> None:
    taken = 0

    def counted() -> Iterator[Plane]:
        nonlocal taken
        for plane in planes(12):
            taken += 1
            yield plane

    results = pool.map(counted(), 8)
    assert taken == 0
    for handed_out, _ in enumerate(results):
        assert taken - handed_out <= max(1, 2 * pool.workers)


def test_a_plane_that_fails_is_named_after_the_results_before_it(pool: Pool, weights: Weights) -> None:
    source = planes(9)
    bad = [*source[:5], source[5].astype(np.float32), *source[6:]]
    results = pool.map(bad, 8)
    assert same([next(results) for _ in range(5)], enlarged(weights, source[:5]))
    with pytest.raises(WorkerError, match=r"frame 5: .*float32") as failed:
        next(results)
    assert failed.value.index == 5


def test_a_source_that_fails_does_so_after_the_results_before_it(pool: Pool, weights: Weights) -> None:
    def broken() -> Iterator[Plane]:
        yield from planes(4)
        raise OSError("the cable is out")

    results = pool.map(broken(), 8)
    assert same([next(results) for _ in range(4)], enlarged(weights, planes(4)))
    with pytest.raises(OSError, match="cable"):
        next(results)


def test_a_map_that_was_left_early_does_not_disturb_the_next(pool: Pool, weights: Weights) -> None:
    next(pool.map(planes(12), 8))
    assert same(pool.map(planes(7), 8), enlarged(weights, planes(7)))


def swapped(pool: Pool, source: list[Plane], networks: list[Weights], taken: list[Weights]) -> Iterator[Plane]:
    """What a pool makes of planes when it is given the next network before each result.

    `taken` gets the network under which each plane was taken.
    """
    network = networks[0]

    def told() -> Iterator[Plane]:
        for plane in source:
            taken.append(network)
            yield plane

    results = pool.map(told(), 8)
    for network in networks:
        pool.swap(network)
        yield next(results)
    yield from results


def test_each_plane_is_enlarged_by_the_network_under_which_it_was_taken(pool: Pool, weights: Weights) -> None:
    networks = [weights, tiny_weights(seed=1), tiny_weights(dimensions=(4, 4, 2)), weights, tiny_weights(seed=1)]
    source = planes(8) + planes(2, shape=(400, 300)) + planes(6)  # Ray sends large planes in another way
    taken: list[Weights] = []
    results = list(swapped(pool, source, networks, taken))
    assert {id(networks[0]), id(networks[4])} <= set(map(id, taken))
    assert same(results, [Engine(network, threads=1)(plane) for network, plane in zip(taken, source, strict=True)])
    pool.swap(weights)
    assert same(pool.map(source, 8), enlarged(weights, source))


def test_planes_that_are_sent_one_by_one_come_back_under_the_network_they_were_sent_under(
    pool: Pool, weights: Weights
) -> None:
    source, other = planes(7), tiny_weights(seed=1)
    before = [pool.send(plane, 8) for plane in source[:4]]
    pool.swap(other)
    after = [pool.send(plane, 8) for plane in source[4:]]
    results = [ticket.result() for ticket in before]
    while not after[0].ready():
        time.sleep(0.001)
    results += [ticket.result() for ticket in after]
    pool.swap(weights)
    assert same(results, enlarged(weights, source[:4]) + enlarged(other, source[4:]))


def test_a_network_of_another_scale_is_refused_and_changes_nothing(pool: Pool, weights: Weights) -> None:
    source = planes(6)
    results = pool.map(source, 8)
    first = next(results)
    with pytest.raises(ValueError, match=r"enlarges 2 times cannot take fsrcnn\(8,4,1\) x3"):
        pool.swap(tiny_weights(scale=3))
    assert same([first, *results], enlarged(weights, source))


# What a Ray pool does beyond that


@pytest.fixture
def crew(ray: Ray, weights: Weights) -> Iterator[Pool]:
    """Two workers that are given up when they are silent for two seconds."""
    with open_pool(weights, PoolSettings(workers=2, timeout_s=2)) as pool:
        yield pool


def pids(crew: Pool) -> list[int]:
    return [place.pid for place in crew.places]


def gone(pid: int) -> bool:
    """Whether a process ends within the time that Ray takes to reap it."""
    with suppress(psutil.NoSuchProcess):
        return not psutil.wait_procs([psutil.Process(pid)], timeout=10)[1]
    return True


def test_workers_have_cores_of_their_own_and_no_thread_outside_them(crew: Pool) -> None:
    list(crew.map(planes(4), 8))
    assert crew.strays() == []
    allowed = os.sched_getaffinity(0)
    masks = [set(psutil.Process(pid).cpu_affinity()) for pid in pids(crew)]
    assert all(mask <= allowed for mask in masks)
    if len(allowed) >= 2:
        assert not any(a & b for a, b in combinations(masks, 2))


def test_a_worker_that_is_killed_costs_no_plane_and_no_order(crew: Pool, weights: Weights) -> None:
    source, before = planes(12), pids(crew)
    results = crew.map(source, 8)
    first = [next(results) for _ in range(3)]
    os.kill(before[0], signal.SIGKILL)
    assert same([*first, *results], enlarged(weights, source))
    assert crew.restarts == 1
    assert crew.quarantined == []
    assert before[0] not in pids(crew)
    assert before[1] in pids(crew)
    assert crew.strays() == []


def test_a_worker_that_is_killed_costs_no_plane_that_was_sent(crew: Pool, weights: Weights) -> None:
    source = planes(8)
    tickets = [crew.send(plane, 8) for plane in source]
    os.kill(crew.places[0].pid, signal.SIGKILL)  # type: ignore[attr-defined]
    while not tickets[0].ready():
        time.sleep(0.001)
    assert same((ticket.result() for ticket in tickets), enlarged(weights, source))


@pytest.mark.parametrize("late", [0, *(pytest.param(planes, marks=pytest.mark.slow) for planes in (1, 3))])
def test_a_worker_that_is_killed_at_a_swap_costs_no_plane_and_mixes_up_no_networks(
    crew: Pool, weights: Weights, late: int
) -> None:
    source, other, before = planes(14), tiny_weights(seed=1), pids(crew)
    results, taken = crew.map(source, 8), 6  # with the third result: three handed out, three in flight
    found = [next(results) for _ in range(3)]
    crew.swap(other)
    found += [next(results) for _ in range(late)]
    os.kill(before[0], signal.SIGKILL)
    assert same([*found, *results], enlarged(weights, source[:taken]) + enlarged(other, source[taken:]))
    assert crew.restarts == 1
    assert crew.quarantined == []
    assert before[0] not in pids(crew)
    assert crew.strays() == []


def test_a_worker_that_hangs_is_replaced_and_ended(crew: Pool, weights: Weights) -> None:
    source, before = planes(12), pids(crew)
    results = crew.map(source, 8)
    first = next(results)
    os.kill(before[1], signal.SIGSTOP)
    assert same([first, *results], enlarged(weights, source))
    assert crew.restarts == 1
    assert gone(before[1])


def test_a_plane_that_ends_two_workers_is_enlarged_without_them(crew: Pool, weights: Weights) -> None:
    source = planes(8)
    expected = enlarged(weights, source)
    expected[3] = double(source[3])
    source[3] = source[3].view(Poison)
    assert same(crew.map(source, 8), expected)
    assert crew.quarantined == [3]
    assert crew.restarts in (2, 3)  # the first death may be laid on the frame before, whose answer it swallowed


def test_what_hardly_changes_after_a_plane_without_network_is_still_enlarged_by_it(
    crew: Pool, weights: Weights
) -> None:
    source = [np.full((80, 120), 60, np.uint8) for _ in range(8)]
    for number, plane in enumerate(source):
        plane[7, number] = 200
    expected = enlarged(weights, source)
    expected[3] = double(source[3])
    source[3] = source[3].view(Poison)
    assert same(crew.map(source, 8), expected)
    assert crew.reused > 0.5


def test_workers_that_keep_dying_end_the_run(ray: Ray, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.pool.ray_pool.DEATHS_PER_MINUTE", 2)  # ten would take ten seconds
    with open_pool(weights, PoolSettings(workers=1)) as pool:
        results = pool.map([plane.view(Poison) for plane in planes(3)], 8)
        next(results)  # by the fallback, after two deaths
        with pytest.raises(WorkerError, match="died 3 times in a minute, the last one at frame 1") as failed:
            next(results)
        assert failed.value.index == 1


def test_no_process_is_left_when_the_pool_is_closed_not_even_a_stopped_one(ray: Ray, weights: Weights) -> None:
    with open_pool(weights, PoolSettings(workers=2)) as pool:
        before = pids(pool)
        next(pool.map(planes(3), 8))
        os.kill(before[0], signal.SIGSTOP)
    assert all(map(gone, before))


def test_a_worker_that_cannot_start_says_why(ray: Ray, tmp_path: Path) -> None:
    from vidsr.pool.ray_pool import RayPool

    missing = str(tmp_path / "missing.npz")  # an engine takes a path too, and here it is the worker that reads it
    pool = RayPool(missing, PoolSettings(workers=1), fallback=double)  # type: ignore[arg-type]
    with pytest.raises(WorkerError, match=f"does not start: {missing}: No such file"), pool:
        pass
