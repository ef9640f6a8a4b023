"""What a cluster can suffer in the middle of a film: each fault with the seconds it costs, and the same bytes."""

import hashlib
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from cluster_driver import driver
from clusters import Cluster, cluster_of, require_cluster
from made import make_clip

pytestmark = [pytest.mark.slow, pytest.mark.fault, pytest.mark.xdist_group("cluster")]
SEGMENTS, FRAMES = 36, 30
LENGTH = SEGMENTS * FRAMES
MOST_S = 15.0
"""From a fault to the moment at which others do the work."""
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


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Whole:
    """The film, and its run that no fault hits."""

    film: Path
    digest: str
    seconds: float


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    require_cluster()
    with cluster_of(3, name="faults") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def whole(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder, pts = tmp_path_factory.mktemp("film"), [512 * number for number in range(LENGTH)]
    film = make_clip(folder / "film.mp4", pts=pts, size=(192, 128), options={"g": str(FRAMES)}, audio=1)
    with driver(cluster, film, folder / "whole.mp4") as run:
        run.hear()
        assert run.facts[-1] == {"frames": LENGTH, "damage": [], "workers": 3}, run.log()
    return Whole(film, digest(folder / "whole.mp4"), run.seconds)


@dataclass
class Struck:
    """A run that a fault has hit."""

    workers: object
    log: str


Strike = Callable[..., Struck]


@pytest.fixture
def struck(cluster: Cluster, whole: Whole, tmp_path: Path, record_property: Figure) -> Strike:
    """Runs the film, strikes at a random moment, and requires that it is soon noticed, and the film the same."""

    def struck(strike: Callable[[], None], *, latest: int = SEGMENTS // 2) -> Struck:
        at = random.randint(1, latest) * FRAMES
        with driver(cluster, whole.film, tmp_path / "out.mp4") as run:
            run.hear(until_done=at)
            struck_s = time.time()
            strike()
            run.hear()
            log = run.log()
        stamps = [float(stamp) for stamp in re.findall(r"^(\d+\.\d+) ", log, re.MULTILINE)]
        noticed_s = max(0.0, stamps[0] - struck_s) if stamps else 0.0
        record_property("at_frame", at)
        record_property("noticed_after_s", round(noticed_s, 1))
        record_property("longer_s", round(run.seconds - whole.seconds, 1))
        assert run.facts[-1].get("frames") == LENGTH, (run.facts[-1], log)
        assert digest(tmp_path / "out.mp4") == whole.digest
        assert noticed_s < MOST_S, log
        return Struck(run.facts[-1]["workers"], re.sub(r"^\d+\.\d+ ", "", log, flags=re.MULTILINE))

    return struck


def test_a_node_that_is_killed(cluster: Cluster, struck: Strike) -> None:
    run = struck(partial(cluster.kill, "node2"))
    assert run.workers == 2
    assert re.fullmatch(r"worker \d+ on node2 died at segment \d+\n", run.log)


def test_a_node_that_joins_is_used(cluster: Cluster, struck: Strike) -> None:
    run = struck(partial(cluster.add, "node2"), latest=1)  # it was killed
    assert run.workers == 3
    assert run.log == ""


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
    ended = threading.Event()

    def crawl() -> None:
        """A twentieth of its speed."""
        while not ended.wait(0.05):
            cluster.kill("node3", signal.SIGSTOP)
            ended.wait(1)
            cluster.kill("node3", signal.SIGCONT)

    thread = threading.Thread(target=crawl)
    try:
        struck(thread.start)
    finally:
        ended.set()
        thread.join()


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
