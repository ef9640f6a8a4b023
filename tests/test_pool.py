"""A pool is a map: in order, lazy, bounded, whoever computes it."""

import pickle
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import tiny_weights

from vidsr.arrays import Plane
from vidsr.cpu import Machine
from vidsr.engine import Engine
from vidsr.engine.graph import band_model
from vidsr.engine.tiles import SIDES
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model
from vidsr.pool import NETWORKS_KEPT, SMALL_PLANE_MACS, Pool, open_pool, runs_in_process
from vidsr.pool.engine_cache import EngineCache
from vidsr.pool.in_process_pool import MAX_ENGINES, split_evenly
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


@pytest.fixture(
    scope="module",
    params=[(0, 1), (0, 2), (1, None), (3, None)],
    ids=["1 thread", "2 threads", "1 worker", "3 workers"],
)
def pool(request: pytest.FixtureRequest, weights: Weights) -> Iterator[Pool]:
    workers, threads = request.param
    if workers:
        request.getfixturevalue("ray")
    with open_pool(weights, PoolSettings(workers=workers, threads=threads)) as pool:
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
        assert taken - handed_out <= 2 * pool.engines


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
        pool.set_weights(network)
        yield next(results)
    yield from results


def test_each_plane_is_enlarged_by_the_network_under_which_it_was_taken(pool: Pool, weights: Weights) -> None:
    networks = [weights, tiny_weights(seed=1), tiny_weights(dimensions=(4, 4, 2)), weights, tiny_weights(seed=1)]
    source = planes(8) + planes(2, shape=(400, 300)) + planes(6)  # Ray sends large planes in another way
    taken: list[Weights] = []
    results = list(swapped(pool, source, networks, taken))
    assert {id(networks[0]), id(networks[4])} <= set(map(id, taken))
    assert same(results, [Engine(network, threads=1)(plane) for network, plane in zip(taken, source, strict=True)])
    pool.set_weights(weights)
    assert same(pool.map(source, 8), enlarged(weights, source))


def test_planes_that_are_sent_one_by_one_come_back_under_the_network_they_were_sent_under(
    pool: Pool, weights: Weights
) -> None:
    source, other = planes(7), tiny_weights(seed=1)
    before = [pool.send(plane, 8) for plane in source[:4]]
    pool.set_weights(other)
    after = [pool.send(plane, 8) for plane in source[4:]]
    results = [ticket.result() for ticket in before]
    while not after[0].ready():
        time.sleep(0.001)
    results += [ticket.result() for ticket in after]
    pool.set_weights(weights)
    assert same(results, enlarged(weights, source[:4]) + enlarged(other, source[4:]))


def test_networks_are_prepared_beside_what_is_in_work_and_change_nothing(pool: Pool, weights: Weights) -> None:
    source, other = planes(6), tiny_weights(seed=1)
    before = [pool.send(plane, 8) for plane in source[:3]]
    prepared, again = (pool.prepare([weights, other], source[0], 8) for _ in range(2))
    after = [pool.send(plane, 8) for plane in source[3:]]
    results = [ticket.result() for ticket in before + after]
    until = time.monotonic() + 60
    while not (prepared() and again()) and time.monotonic() < until:
        time.sleep(0.01)
    assert prepared()
    assert again()
    pool.set_weights(other)
    swapped = pool.send(source[0], 8).result()
    pool.set_weights(weights)
    assert same([*results, swapped], enlarged(weights, source) + enlarged(other, source[:1]))


def test_what_is_prepared_is_not_compiled_again(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[tuple[int, int]] = []

    def noted(*args: Any, **options: Any) -> Any:
        compiled.append(args[1])
        return band_model(*args, **options)

    monkeypatch.setattr("vidsr.engine.compiled_network.band_model", noted)
    other, plane = tiny_weights(seed=1), planes(1)[0]
    with open_pool(weights, PoolSettings(workers=0)) as pool:
        prepared = pool.prepare([weights, other], plane, 8)
        while not prepared():
            time.sleep(0.01)
        assert len(compiled) == 2 * pool.engines * (1 + len(SIDES))
        compiled.clear()
        for network in (other, weights, other):
            pool.set_weights(network)
            pool.send(plane, 8).result()
        assert not compiled


def test_a_network_is_known_again_by_its_numbers() -> None:
    first, second = (load_model(f"fsrcnn-fast-x2{kind}") for kind in ("", "-video"))  # both calibrated
    uncalibrated = replace(first, calibration=None)
    engines = EngineCache(threads=1, precision="auto")
    found = [engines(weights) for weights in (first, second, uncalibrated)]
    assert len(set(map(id, found))) == 3
    for weights, engine in zip((first, second, uncalibrated), found, strict=True):
        assert engines(pickle.loads(pickle.dumps(weights))) is engine
    for seed in range(NETWORKS_KEPT):
        engines(tiny_weights(seed=seed))
    assert engines(first) is not found[0]


def test_a_network_of_another_scale_is_refused_and_changes_nothing(pool: Pool, weights: Weights) -> None:
    source = planes(6)
    results = pool.map(source, 8)
    first = next(results)
    with pytest.raises(ValueError, match=r"pool of scale 2 cannot use fsrcnn\(8,4,1\) x3"):
        pool.set_weights(tiny_weights(scale=3))
    assert same([first, *results], enlarged(weights, source))


def machine_of(cores: int) -> Machine:
    return Machine(
        cpus=frozenset(range(cores)),
        core_of={cpu: (0, cpu) for cpu in range(cores)},
        node_of=dict.fromkeys(range(cores), 0),
        quota=None,
    )


@pytest.mark.parametrize(("cores", "here"), [(1, True), (4, True), (5, False), (64, False)])
def test_a_few_cores_are_used_without_workers_unless_those_are_asked_for(cores: int, here: bool) -> None:
    machine = machine_of(cores)
    assert runs_in_process(PoolSettings(), machine) is here
    assert runs_in_process(PoolSettings(workers=0), machine)
    assert not runs_in_process(PoolSettings(workers=1), machine)
    assert not runs_in_process(PoolSettings(ray_address="10.0.0.1:6379"), machine)


def test_small_planes_go_to_no_worker_unless_those_are_asked_for() -> None:
    machine = machine_of(64)
    assert runs_in_process(PoolSettings(), machine, multiplies=SMALL_PLANE_MACS)
    assert not runs_in_process(PoolSettings(), machine, multiplies=SMALL_PLANE_MACS + 1)
    assert not runs_in_process(PoolSettings(workers=2), machine, multiplies=SMALL_PLANE_MACS)


@pytest.mark.parametrize("threads", [1, 3, 4, 6, 9])
def test_without_workers_every_thread_that_is_asked_for_is_used(threads: int) -> None:
    shares = split_evenly(threads, MAX_ENGINES)
    assert (len(shares), sum(shares)) == (min(threads, 4), threads)
    assert max(shares) - min(shares) <= 1
