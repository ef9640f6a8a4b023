"""The head of a cluster, lost while a run on another node goes on: one sentence, soon, and what is done is kept."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clusters import Cluster, cluster_of, require_cluster
from made import make_clip, make_long

from vidsr.errors import POOL

pytestmark = [pytest.mark.slow, pytest.mark.fault, pytest.mark.xdist_group("cluster")]
MOST_S = 40.0
"""From the loss to the end of the process."""
PROGRAM = """
import sys
from vidsr.pool.ray_runtime import ray_session
with ray_session("auto"):
    print("joined", flush=True)
    sys.stdin.readline()
print("left")
sys.exit(5)
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    require_cluster()
    with cluster_of(2, name="headless") as cluster:
        yield cluster


def command(cluster: Cluster, film: Path, target: Path) -> "subprocess.Popen[str]":
    words = ["upscale", "--segments", "--ray-address", "auto", "--threads", "1", "--progress", "json"]
    words += ["--model", "fsrcnn-fast-x2", str(film), str(target)]
    command, pipe = cluster.command([sys.executable, "-m", "vidsr", *words], on="node1"), subprocess.PIPE
    return subprocess.Popen(command, env=cluster.environment(), text=True, stderr=pipe)


def progress(line: str) -> int:
    """The frames in a line of progress, -1 in another one."""
    return int(json.loads(line)["frames"]) if line.startswith("{") else -1


@pytest.mark.parametrize("cut", [False, True], ids=["killed", "cut off"])
def test_a_lost_head_ends_the_run_on_another_node_with_a_sentence(
    cluster: Cluster, tmp_path: Path, cut: bool, record_property: Callable[[str, object], None]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=[512 * number for number in range(180)], options={"g": "180"})
    film = make_long(tmp_path / "film.mp4", clip, 400)  # for minutes
    with command(cluster, film, tmp_path / "out.mp4") as run:
        assert run.stderr
        assert any(progress(line) >= 360 for line in run.stderr)
        lost_s = time.monotonic()
        if cut:
            cluster.networks.cut("head")
        else:
            cluster.kill("head")
        said = [line for line in run.stderr if progress(line) < 0]
        code, ended_s = run.wait(), time.monotonic() - lost_s
    why = "timed out" if cut else "Connection refused"
    kept = r"\d+ finished segments are kept in \S+/out.mp4.segments, and the same command goes on"
    assert re.fullmatch(rf"vidsr: the head of the cluster, [\d.:]+, does not answer \({why}\); {kept}\n", said[-1]), (
        said
    )
    left = sorted(path.name for path in tmp_path.iterdir())
    assert (code, left) == (POOL, ["clip.mp4", "film.mp4", "out.mp4.segments"])
    record_property("ended_after_s", round(ended_s, 1))
    assert ended_s < MOST_S


@pytest.mark.parametrize("cut", [False, True], ids=["killed", "cut off"])
def test_a_program_that_has_lost_the_head_ends_with_its_own_exit_code(cluster: Cluster, cut: bool) -> None:
    words, pipe = cluster.command([sys.executable, "-c", PROGRAM], on="node1"), subprocess.PIPE
    with subprocess.Popen(words, env=cluster.environment(), text=True, stdin=pipe, stdout=pipe) as program:
        assert program.stdout
        assert program.stdout.readline() == "joined\n"
        if cut:
            cluster.networks.cut("head")
        else:
            cluster.kill("head")
        assert program.communicate("\n", timeout=60)[0] == "left\n"
    assert program.returncode == 5
