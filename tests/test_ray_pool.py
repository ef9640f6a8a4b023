"""Workers that are killed, stopped or ended by a plane: none is lost, none is mixed up, no process is left."""

import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import combinations

import numpy as np
import psutil
import pytest
from made import Poison, tiny_weights
from oracles import double
from test_pool import Ray, enlarged, planes, same

from vidsr.engine.change_detection import TilingCost
from vidsr.errors import WorkerError
from vidsr.model.weights import Calibration, Weights, input_widths
from vidsr.model.zoo import load_model
from vidsr.pool import Pool, open_pool
from vidsr.pool.ray_workers import require_memory
from vidsr.settings import PoolSettings


@pytest.fixture(scope="module")
def standing_crew(ray: Ray, weights: Weights) -> Iterator[Pool]:
    """The workers of `crew`: those that a test loses are replaced for the next one."""
    with open_pool(weights, PoolSettings(workers=2, timeout_s=2)) as pool:
        yield pool


def test_workers_beyond_the_memory_are_refused_before_any_starts() -> None:
    settings = PoolSettings(workers=50)
    require_memory(settings, 8_000_000_000)
    require_memory(settings, None)
    require_memory(PoolSettings(workers=1), 1)  # a start is worth a try
    require_memory(replace(settings, ray_address="127.0.0.1:1"), 1)
    with pytest.raises(
        WorkerError, match=r"^50 workers need 4\.0 GB of memory or more, and 1\.0 GB are free; use fewer$"
    ):
        require_memory(settings, 1_000_000_000)


@pytest.fixture
def crew(standing_crew: Pool, weights: Weights) -> Pool:
    """Two workers that are given up when they are silent for two seconds."""
    standing_crew.set_weights(weights)
    standing_crew.restarts, standing_crew.quarantined = 0, []
    return standing_crew


def pids(crew: Pool) -> list[int]:
    return [place.pid for place in crew.locations]


def gone(pid: int) -> bool:
    """Whether a process ends within the time that Ray takes to reap it."""
    with suppress(psutil.NoSuchProcess):
        return not psutil.wait_procs([psutil.Process(pid)], timeout=10)[1]
    return True


def test_workers_have_cores_of_their_own_and_no_thread_outside_them(crew: Pool) -> None:
    list(crew.map(planes(4), 8))
    assert crew.unpinned_threads() == []
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
    assert crew.unpinned_threads() == []


def test_a_worker_that_is_killed_costs_no_plane_that_was_sent(crew: Pool, weights: Weights) -> None:
    source = planes(8)
    tickets = [crew.send(plane, 8) for plane in source]
    os.kill(crew.locations[0].pid, signal.SIGKILL)  # type: ignore[attr-defined]
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
    crew.set_weights(other)
    found += [next(results) for _ in range(late)]
    os.kill(before[0], signal.SIGKILL)
    assert same([*found, *results], enlarged(weights, source[:taken]) + enlarged(other, source[taken:]))
    assert crew.restarts == 1
    assert crew.quarantined == []
    assert before[0] not in pids(crew)
    assert crew.unpinned_threads() == []


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


@pytest.mark.slow
def test_what_hardly_changes_after_a_plane_without_network_is_still_enlarged_by_it(ray: Ray) -> None:
    weights = replace(load_model("fsrcnn-narrow-x2"), calibration=None)  # with a tiny one tiles would never pay
    dear = TilingCost.of(weights.architecture).min_saved_pixels
    side = math.isqrt(int(dear)) + 100  # so large that one plane enlarged in vain pays for tiles
    source = [np.full((side, side), 60, np.uint8) for _ in range(8)]
    for number, plane in enumerate(source):
        plane[7, number] = 200
    expected = enlarged(weights, source)
    expected[3] = double(source[3])
    source[3] = source[3].view(Poison)
    with open_pool(weights, PoolSettings(workers=2), fallback=double) as pool:
        assert same(pool.map(source, 8), expected)
        assert pool.reused > 0.5


@pytest.mark.slow
def test_workers_that_keep_dying_end_the_run(ray: Ray, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.pool.ray_pool.DEATHS_PER_MINUTE", 2)  # ten would take ten seconds
    with open_pool(weights, PoolSettings(workers=1)) as pool:
        results = pool.map([plane.view(Poison) for plane in planes(3)], 8)
        next(results)  # by the fallback, after two deaths
        with pytest.raises(WorkerError, match="died 3 times in a minute, last at frame 1") as failed:
            next(results)
        assert failed.value.index == 1


def test_no_process_is_left_when_the_pool_is_closed_not_even_a_stopped_one(ray: Ray, weights: Weights) -> None:
    with open_pool(weights, PoolSettings(workers=2)) as pool:
        before = pids(pool)
        next(pool.map(planes(3), 8))
        os.kill(before[0], signal.SIGSTOP)
    assert all(map(gone, before))


def test_a_worker_that_cannot_start_says_why(ray: Ray, weights: Weights) -> None:
    from vidsr.pool.ray_pool import RayPool

    widths = input_widths(weights.architecture).items()
    ranges = {name: np.stack([-np.ones(n), np.ones(n)]).astype("f4") for name, n in widths}
    losses = {"int8": 0.0, "int7": 0.0, "bf16": 0.0}
    spoilt = replace(weights, calibration=Calibration(ranges=ranges, losses=losses))
    pool = RayPool(spoilt, PoolSettings(workers=1), fallback=double)
    losses |= dict.fromkeys(losses, "nothing")  # type: ignore[arg-type]  # after it was checked: no file can be so
    with pytest.raises(WorkerError, match=r"does not start: .*not supported between"), pool:
        pass
