"""Which CPUs a worker gets, on machines that are described and on this one."""

import os
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

import pytest

from vidsr.cpu import CpuShare, Machine, plan_cores, unpinned_threads, usable_cpus


def machine(cpus: Iterable[int], *, cores: int, nodes: int = 1, quota: float | None = None) -> Machine:
    """Numbered as Linux does: CPU n and n + cores are siblings, the cores are split evenly over the nodes."""
    allowed = frozenset(cpus)
    node_of = {cpu: cpu % cores * nodes // cores for cpu in allowed}
    core_of = {cpu: (node_of[cpu], cpu % cores) for cpu in allowed}
    return Machine(cpus=allowed, core_of=core_of, node_of=node_of, quota=quota)


def random_machine(chance: random.Random) -> Machine:
    """Any mix of sockets, siblings, holes in the mask and quota."""
    cores = chance.randint(1, 70)
    logical = cores * chance.choice([1, 2])
    cpus = chance.sample(range(logical), chance.randint(1, logical))
    quota = chance.choice([None, None, chance.uniform(0.1, cores)])
    return machine(cpus, cores=cores, nodes=chance.randint(1, 4), quota=quota)


def in_order(plan: Iterable[CpuShare]) -> list[list[int]]:
    """The CPUs of each worker in a form that can be read and compared."""
    return [sorted(share.cpus) for share in plan]


def disjoint(plan: Iterable[CpuShare]) -> bool:
    return not any(a.cpus & b.cpus for a, b in combinations(plan, 2))


# Plans


def test_two_cores_are_two_workers_of_one_thread() -> None:
    assert in_order(plan_cores(machine(range(2), cores=2))) == [[0], [1]]


def test_sixty_four_cores_on_two_sockets_are_sixteen_workers_of_four_threads() -> None:
    plan = plan_cores(machine(range(128), cores=64, nodes=2))
    assert [len(share.cpus) for share in plan] == [4] * 16
    assert frozenset().union(*(share.cpus for share in plan)) == set(range(64))
    assert disjoint(plan)


def test_a_quota_of_seven_and_a_half_leaves_seven_threads_on_any_of_the_96_cores() -> None:
    plan = plan_cores(machine(range(96), cores=96, nodes=2, quota=7.5))
    assert plan == (CpuShare(threads=1, cpus=frozenset(range(96))),) * 7


def test_a_quota_is_shared_among_the_workers() -> None:
    plan = plan_cores(machine(range(96), cores=96, nodes=2, quota=7.5), workers=2)
    assert [share.threads for share in plan] == [3, 3]


def test_a_quota_below_one_leaves_one_thread() -> None:
    assert plan_cores(machine(range(8), cores=8, quota=0.5)) == (CpuShare(threads=1, cpus=frozenset(range(8))),)


def test_a_quota_of_no_less_than_the_cores_changes_nothing() -> None:
    assert in_order(plan_cores(machine(range(2), cores=2, quota=2.0))) == [[0], [1]]


def test_the_largest_node_comes_first() -> None:
    assert usable_cpus(machine([0, 1, 4, 5, 6, 7], cores=8, nodes=2)) == [[4, 5, 6, 7], [0, 1]]


def test_a_cpuset_with_holes_gives_the_lowest_allowed_sibling_of_each_core() -> None:
    assert usable_cpus(machine([1, 3, 9, 10, 15], cores=8, nodes=2)) == [[1, 3, 10], [15]]


def test_workers_share_the_cores_among_them() -> None:
    assert in_order(plan_cores(machine(range(8), cores=8), workers=2)) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_one_worker_stays_on_one_node() -> None:
    assert in_order(plan_cores(machine(range(8), cores=8, nodes=2), workers=1)) == [[0, 1, 2, 3]]


def test_three_workers_on_two_nodes_get_fewer_threads_rather_than_the_same_cores() -> None:
    plan = plan_cores(machine(range(64), cores=64, nodes=2), workers=3)
    assert [len(share.cpus) for share in plan] == [16, 16, 16]
    assert disjoint(plan)


def test_few_workers_are_spread_over_the_nodes() -> None:
    assert in_order(plan_cores(machine(range(8), cores=8, nodes=2), workers=2, threads=2)) == [[0, 1], [4, 5]]


def test_threads_alone_give_as_many_workers_as_fit() -> None:
    assert in_order(plan_cores(machine(range(8), cores=8), threads=3)) == [[0, 1, 2], [3, 4, 5]]


def test_threads_are_cut_to_the_largest_node() -> None:
    assert in_order(plan_cores(machine([0, 4, 5, 6], cores=8, nodes=2), threads=99)) == [[4, 5, 6]]


def test_more_workers_than_cores_share_them_in_turn() -> None:
    assert in_order(plan_cores(machine(range(2), cores=2), workers=5)) == [[0], [1], [0], [1], [0]]
    assert in_order(plan_cores(machine(range(3), cores=3), workers=3, threads=2)) == [[0, 1], [0, 2], [1, 2]]


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"threads": 0}, {"workers": -1, "threads": 2}])
def test_fewer_than_one_worker_or_thread_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be >= 1"):
        plan_cores(machine(range(2), cores=2), **wrong)


def test_any_plan_on_any_machine_keeps_the_rules() -> None:
    chance = random.Random(5)
    for _ in range(2000):
        found = random_machine(chance)
        wanted = chance.choice([None, chance.randint(1, 80)])
        threads = chance.choice([None, chance.randint(1, 40)])
        check_plan(found, wanted, threads)


def check_plan(found: Machine, wanted: int | None, threads: int | None) -> None:
    plan = plan_cores(found, workers=wanted, threads=threads)
    sizes = [len(node) for node in usable_cpus(found)]
    allowed = max(1, int(found.quota or 1))
    if found.quota is not None and allowed < sum(sizes):
        sizes = [allowed]
        assert all(share.cpus == found.cpus for share in plan)
    else:
        check_cpus(found, plan, sizes)
    each = plan[0].threads
    assert all(share.threads == each for share in plan)
    assert len(plan) == wanted if wanted else len(plan) == sum(size // each for size in sizes)
    assert threads is None or each == min(threads, max(sizes))
    if threads is None:
        assert wanted or len(plan) <= 16
        assert each * len(plan) <= sum(sizes) or each == 1


def check_cpus(found: Machine, plan: Sequence[CpuShare], sizes: Sequence[int]) -> None:
    assert all(len(share.cpus) == share.threads and share.cpus <= found.cpus for share in plan)
    assert all(len({found.node_of[cpu] for cpu in share.cpus}) == 1 for share in plan)
    used = frozenset().union(*(share.cpus for share in plan))
    assert len({found.core_of[cpu] for cpu in used}) == len(used), "one thread a physical core"
    assert disjoint(plan) == (len(plan) <= sum(size // plan[0].threads for size in sizes))


# Masks

CONFINED = """
import os, sys, threading
from vidsr.cpu import pin_process, unpinned_threads

end = threading.Event()
early = threading.Thread(target=end.wait, daemon=True)
early.start()
one = frozenset({min(os.sched_getaffinity(0))})
assert {os.getpid(), early.native_id} <= set(unpinned_threads(one))
pin_process(one)
late = threading.Thread(target=end.wait, daemon=True)
late.start()
assert unpinned_threads(one) == []
assert all(os.sched_getaffinity(thread.native_id) == one for thread in (early, late))
os.sched_setaffinity(early.native_id, {max(os.sched_getaffinity(os.getppid()))})
print(min(one), early.native_id, flush=True)
sys.stdin.read()
end.set()
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_confine_holds_every_thread_and_a_stray_one_is_seen_from_outside() -> None:
    command = [sys.executable, "-c", CONFINED]
    project = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        cpu, stray = map(int, process.stdout.readline().split())
        assert unpinned_threads(frozenset({cpu}), process.pid) == [stray]
        assert unpinned_threads(frozenset(os.sched_getaffinity(0)), process.pid) == []
        process.communicate()
    assert process.returncode == 0


def test_the_threads_of_a_process_that_is_not_there_cannot_be_listed() -> None:
    with pytest.raises(FileNotFoundError):
        unpinned_threads(frozenset({0}), 2**30)
