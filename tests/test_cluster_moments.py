"""Faults of a cluster at twenty random moments each: the same bytes, and work that goes on soon."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from cluster_driver import FRAMES, SEGMENTS, Whole, struck_run, whole_run
from clusters import Cluster, cluster_of, require_cluster, slowed

pytestmark = [pytest.mark.slow, pytest.mark.fault, pytest.mark.xdist_group("cluster")]
MOMENTS = 20
Fault = Callable[[Cluster, str], AbstractContextManager[Callable[[], None]]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    require_cluster()
    with cluster_of(3, name="moments") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def whole(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return whole_run(cluster, tmp_path_factory.mktemp("film"))


@contextmanager
def killed(cluster: Cluster, node: str) -> Iterator[Callable[[], None]]:
    try:
        yield lambda: cluster.kill(node)
    finally:
        cluster.kill(node)
        cluster.add(node)


@contextmanager
def cut_off(cluster: Cluster, node: str) -> Iterator[Callable[[], None]]:
    try:
        yield lambda: cluster.networks.cut(node)
    finally:
        cluster.kill(node)
        cluster.networks.mend(node)
        cluster.add(node)


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("fault", [killed, cut_off, slowed])
def test_a_fault_at_a_random_moment(
    cluster: Cluster,
    whole: Whole,
    tmp_path: Path,
    fault: Fault,
    moment: int,
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(f"{fault.__name__} {moment}")
    node, at_frame = f"node{chance.randint(1, 3)}", chance.randint(0, SEGMENTS - 2) * FRAMES
    wait_s = chance.uniform(0, whole.seconds / SEGMENTS)
    with fault(cluster, node) as strike:
        run = struck_run(cluster, whole, tmp_path / "out.mp4", strike, at_frame=at_frame, wait_s=wait_s)
    for name, value in vars(run).items():
        record_property(name, value)
