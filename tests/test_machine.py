"""What a process may use of its machine, read from folders made like /proc and /sys, and from the real ones."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from vidsr.cpu import describe_machine, parse_cpu_list, usable_cpus

V1 = "9:memory:/other\n1:cpu:/job/step\n0::/\n"


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    """`root`, with the files in it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def quota_of(root: Path, files: Mapping[str, str]) -> float | None:
    return describe_machine(write_tree(root, files), mask=frozenset({0})).quota


def test_a_list_of_cpus_is_read_as_the_kernel_writes_it() -> None:
    assert parse_cpu_list("0-2,8\n") == {0, 1, 2, 8}
    assert parse_cpu_list("\n") == frozenset()


def test_this_machine_is_described_by_its_affinity_mask() -> None:
    assert describe_machine().cpus == os.sched_getaffinity(0)
    assert usable_cpus(describe_machine())


def test_without_files_each_cpu_is_a_core_on_node_0_without_quota(tmp_path: Path) -> None:
    found = describe_machine(tmp_path, mask=frozenset({0, 1}))
    assert found.cpus == {0, 1}
    assert len(set(found.core_of.values())) == 2
    assert found.node_of == {0: 0, 1: 0}
    assert found.quota is None


def test_siblings_and_nodes_are_read_from_sys(tmp_path: Path) -> None:
    topology = {
        f"sys/devices/system/cpu/cpu{cpu}/topology/{name}": str(value)
        for cpu in range(128)
        for name, value in (("physical_package_id", cpu % 64 // 32), ("core_id", cpu % 32))
    }
    nodes = {"node0": "0-31,64-95", "node1": "32-63,96-127", "node2": ""}  # node2 has memory only
    lists = {f"sys/devices/system/node/{node}/cpulist": cpus for node, cpus in nodes.items()}
    found = describe_machine(write_tree(tmp_path, topology | lists), mask=frozenset(range(128)))
    assert found.core_of[0] == found.core_of[64] == (0, 0)
    assert found.core_of[32] == found.core_of[96] == (1, 0)
    assert usable_cpus(found) == [list(range(32)), list(range(32, 64))]


def test_a_core_id_the_kernel_does_not_know_makes_each_cpu_a_core(tmp_path: Path) -> None:
    files = {f"sys/devices/system/cpu/cpu{cpu}/topology/core_id": "-1" for cpu in range(4)}
    assert usable_cpus(describe_machine(write_tree(tmp_path, files), mask=frozenset(range(4)))) == [[0, 1, 2, 3]]


def test_offline_cpus_are_not_used(tmp_path: Path) -> None:
    write_tree(tmp_path, {"sys/devices/system/cpu/online": "0-1,3"})
    assert describe_machine(tmp_path, mask=frozenset(range(4))).cpus == {0, 1, 3}


def test_a_list_of_online_cpus_that_misses_the_mask_is_not_believed(tmp_path: Path) -> None:
    write_tree(tmp_path, {"sys/devices/system/cpu/online": "0-1"})
    assert describe_machine(tmp_path, mask=frozenset({4, 5})).cpus == {4, 5}


# Quotas


def test_a_v2_quota_is_read_from_the_own_group(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/job", "sys/fs/cgroup/job/cpu.max": "750000 100000"}
    assert quota_of(tmp_path, files) == 7.5


def test_v2_max_is_no_quota(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/job", "sys/fs/cgroup/job/cpu.max": "max 100000"}
    assert quota_of(tmp_path, files) is None


@pytest.mark.parametrize("own", ["max 100000", "400000 100000"])
def test_a_smaller_v2_quota_of_an_ancestor_holds(tmp_path: Path, own: str) -> None:
    files = {
        "proc/self/cgroup": "0::/slice/job/step",
        "sys/fs/cgroup/slice/cpu.max": "150000 100000",
        "sys/fs/cgroup/slice/job/cpu.max": "max 100000",
        "sys/fs/cgroup/slice/job/step/cpu.max": own,
        "sys/fs/cgroup/other/cpu.max": "1000 100000",
    }
    assert quota_of(tmp_path, files) == 1.5


@pytest.mark.parametrize("path", ["/", "/docker/abc", "/../abc"])
def test_a_v2_container_has_the_quota_of_its_mount(tmp_path: Path, path: str) -> None:
    files = {"proc/self/cgroup": f"0::{path}", "sys/fs/cgroup/cpu.max": "200000 100000"}
    assert quota_of(tmp_path, files) == 2


def test_a_smaller_v1_quota_of_an_ancestor_holds(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": V1,
        "sys/fs/cgroup/cpu/other/cpu.cfs_quota_us": "1000",
        "sys/fs/cgroup/cpu/other/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "125000",
        "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "50000",
        "sys/fs/cgroup/cpu/job/step/cpu.cfs_quota_us": "800000",
        "sys/fs/cgroup/cpu/job/step/cpu.cfs_period_us": "100000",
    }
    assert quota_of(tmp_path, files) == 2.5


def test_a_v1_quota_of_minus_1_is_none(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/cpu/job/step"
    files = {f"{folder}/cpu.cfs_quota_us": "-1", f"{folder}/cpu.cfs_period_us": "100000"}
    assert quota_of(tmp_path, files | {"proc/self/cgroup": V1}) is None


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_a_v1_container_has_the_quota_of_its_mount(tmp_path: Path, mount: str) -> None:
    files = {
        "proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc",
        f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us": "300000",
        f"sys/fs/cgroup/{mount}/cpu.cfs_period_us": "100000",
    }
    assert quota_of(tmp_path, files) == 3
