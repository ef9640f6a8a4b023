"""What a cluster can suffer in the middle of a film: each fault with the seconds it costs, and the same bytes."""

import random
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from cluster_driver import FRAMES, LENGTH, SEGMENTS, Struck, Whole, digest, driver, struck_run, whole_run
from clusters import ROOT, Cluster, cluster_of, require_cluster, slowed
from made import make_clip, make_long

pytestmark = [pytest.mark.slow, pytest.mark.fault, pytest.mark.xdist_group("cluster")]
Figure = Callable[[str, object], None]

HOG = """
import time
open("/proc/self/oom_score_adj", "w").write("-1000")
taken = []
try:
    while True:
        taken.append(bytearray(8 << 20))
        time.sleep(0.02)
except MemoryError:
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    require_cluster()
    with cluster_of(3, name="faults") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def whole(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return whole_run(cluster, tmp_path_factory.mktemp("film"))


Strike = Callable[..., Struck]


@pytest.fixture
def struck(cluster: Cluster, whole: Whole, tmp_path: Path, record_property: Figure) -> Strike:
    """Runs the film, strikes at a random moment, and requires that it is soon noticed, and the film the same."""

    def struck(strike: Callable[[], None], *, latest: int = SEGMENTS // 2) -> Struck:
        at_frame = random.randint(1, latest) * FRAMES
        run = struck_run(cluster, whole, tmp_path / "out.mp4", strike, at_frame=at_frame)
        for name in ("at_frame", "noticed_after_s", "longer_s"):
            record_property(name, getattr(run, name))
        return run

    return struck


def test_a_node_that_is_killed(cluster: Cluster, struck: Strike) -> None:
    run = struck(partial(cluster.kill, "node2"))
    assert run.workers == 2
    assert re.fullmatch(r"worker \d+ on node2 died at segment \d+\n", run.log)


def test_a_node_that_joins_is_used(cluster: Cluster, struck: Strike) -> None:
    run = struck(partial(cluster.add, "node2"), latest=1)  # it was killed
    assert run.workers == 3
    assert run.log == ""


def test_a_node_of_another_version_that_joins_is_named_and_not_used(cluster: Cluster, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "vidsr", tmp_path / "vidsr")
    (tmp_path / "vidsr" / "another.py").write_text("ANOTHER = True\n")
    clip = make_clip(tmp_path / "clip.mp4", pts=[512 * number for number in range(FRAMES)])
    film = make_long(tmp_path / "film.mp4", clip, 2000)  # for longer than a node takes to join
    with driver(cluster, film, tmp_path / "out.mp4") as run:
        run.hear(until_done=FRAMES)
        cluster.add("other", more={"PYTHONPATH": str(tmp_path)})
        try:
            assert run.process.stderr
            assert select.select([run.process.stderr], [], [], 60)[0]
            said = run.process.stderr.readline()
            run.hear(until_done=run.done + 10 * FRAMES)
            at_work = workers(cluster, "other")
        finally:
            cluster.kill("other")
    versions = "has vidsr [0-9a-f]{12}, this machine [0-9a-f]{12}; install the same on all nodes"
    assert re.fullmatch(rf"[\d.]+ other: {versions}; it is not used\n", said)
    assert at_work == []


def workers(cluster: Cluster, node: str) -> list[int]:
    """The processes of workers on a node."""
    pids = cluster.networks.processes(node)
    return [pid for pid in pids if b"ray::Worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_node_that_is_cut_off(cluster: Cluster, struck: Strike) -> None:
    run = struck(partial(cluster.networks.cut, "node2"))
    assert re.match(r"worker \d+ on node2 is late with segment \d+; others do it too\n", run.log)
    cluster.kill("node2")
    cluster.networks.mend("node2")
    cluster.add("node2")


def test_a_node_that_is_cut_off_for_seconds_goes_on(cluster: Cluster, struck: Strike) -> None:
    def strike() -> None:
        cluster.networks.cut("node3")
        time.sleep(3)
        cluster.networks.mend("node3")

    assert struck(strike).workers == 3


def test_a_node_behind_a_link_that_has_become_slow(cluster: Cluster, struck: Strike) -> None:
    run = struck(partial(cluster.networks.link, "node2", rate="20kbit"))
    assert " on node2 " in run.log
    cluster.networks.link("node2")


def test_a_node_that_has_become_slow(cluster: Cluster, struck: Strike) -> None:
    with slowed(cluster, "node3") as strike:
        struck(strike)


def test_a_node_whose_memory_another_process_takes(cluster: Cluster, struck: Strike) -> None:
    cluster.add("little", memory="1000M")
    command = cluster.command([sys.executable, "-c", HOG], on="little")
    group = cluster._cgroup("little") / "cgroup.procs"
    hogs: list[subprocess.Popen[bytes]] = []
    try:
        run = struck(
            lambda: hogs.append(subprocess.Popen(["sh", "-c", f'echo $$ > {group}; exec "$@"', "sh", *command]))
        )
        assert re.search(r"worker \d+ on little died at segment \d+", run.log)
    finally:
        cluster.kill("little")
        for hog in hogs:
            hog.wait()


def test_a_node_whose_disk_is_full(cluster: Cluster, struck: Strike) -> None:
    cluster.add("tiny", disk="64M")

    def fill() -> None:
        root = Path(f"/proc/{cluster.networks.processes('tiny')[0]}/root")
        with suppress(OSError), (root / f"{cluster.folder}/nodes/tiny/ray/full".lstrip("/")).open("wb", 0) as file:
            while True:
                file.write(bytes(1 << 20))

    struck(fill)
    cluster.kill("tiny")


def test_a_driver_that_is_killed_goes_on_by_the_same_command(
    cluster: Cluster, whole: Whole, tmp_path: Path, record_property: Figure
) -> None:
    target = tmp_path / "out.mp4"
    with driver(cluster, whole.film, target) as run:
        run.hear(until_done=LENGTH // 2)
        run.process.kill()
    with driver(cluster, whole.film, target) as again:
        again.hear()
        assert again.facts[-1].get("frames") == LENGTH, (again.facts[-1], again.log())
    assert again.seconds_until(LENGTH // 2) < 3  # what was kept is only copied
    assert digest(target) == whole.digest
    record_property("longer_s", round(run.seconds + again.seconds - whole.seconds, 1))
