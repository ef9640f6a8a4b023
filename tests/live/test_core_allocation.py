"""The allocation of cores to cameras: whole, even, and disjoint where there are enough."""

import pytest

from vidsr.cpu import Machine
from vidsr.live.core_allocation import share_cores


def machine(*, nodes: int = 1, cores: int, siblings: int = 1, quota: float | None = None) -> Machine:
    """CPUs numbered as Linux does it: the first of each core, then the second."""
    core_of = {cpu: (0, cpu % (nodes * cores)) for cpu in range(nodes * cores * siblings)}
    return Machine(
        cpus=frozenset(core_of),
        core_of=core_of,
        node_of={cpu: core // cores for cpu, (_, core) in core_of.items()},
        quota=quota,
    )


@pytest.mark.parametrize("cameras", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("siblings", [1, 2])
def test_each_camera_has_cores_of_its_own_and_none_is_left_over(cameras: int, siblings: int) -> None:
    whole = machine(nodes=2, cores=4, siblings=siblings)
    shares = share_cores(whole, cameras)
    assert frozenset().union(*shares) == whole.cpus
    assert sum(map(len, shares)) == len(whole.cpus)
    cores = [{whole.core_of[cpu] for cpu in share} for share in shares]
    assert max(map(len, cores)) - min(map(len, cores)) <= 1
    assert all(len(share) == siblings * len(own) for share, own in zip(shares, cores, strict=True))


def test_cameras_lie_on_one_node_where_they_fit() -> None:
    whole = machine(nodes=2, cores=4)
    assert all(len({whole.node_of[cpu] for cpu in share}) == 1 for share in share_cores(whole, 4))


@pytest.mark.parametrize(("cores", "quota", "cameras"), [(2, None, 3), (32, 2.0, 2), (1, None, 2)])
def test_where_there_are_too_few_cores_each_camera_may_use_all(cores: int, quota: float | None, cameras: int) -> None:
    whole = machine(cores=cores, quota=quota)
    assert share_cores(whole, cameras) == (whole.cpus,) * cameras
