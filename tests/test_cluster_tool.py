"""tools/cluster: nodes with networks of their own, whose cables are slowed and cut."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import Cluster, ClusterError, cluster_of, main, require_cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]
NODES = """
import ray
ray.init(logging_level=40)
print(*sorted(node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]))
"""
SERVE = """
import socket, sys
server = socket.create_server(("0.0.0.0", 4000))
while True:
    caller = server.accept()[0]
    caller.sendall(bytes(int(sys.argv[1])))
    caller.close()
"""
FETCH = """
import socket, sys, time
began = time.monotonic()
with socket.create_connection((sys.argv[1], 4000), timeout=3) as connection:
    while connection.recv(1 << 16):
        pass
print(time.monotonic() - began)
"""


@pytest.fixture(scope="module")
def small() -> Iterator[Cluster]:
    require_cluster()
    with cluster_of(1, name="tool") as cluster:
        yield cluster


def printed(cluster: Cluster, code: str, *arguments: str) -> str:
    """What a Python program prints on the head."""
    command = cluster.command([sys.executable, "-c", code, *arguments])
    return subprocess.run(
        command, env=cluster.environment(), capture_output=True, text=True, check=True
    ).stdout.strip()


def fetched_s(cluster: Cluster) -> float:
    """How long the head takes to fetch the megabyte that node1 serves; infinite where it does not answer."""
    done = subprocess.run(
        cluster.command([sys.executable, "-c", FETCH, "10.77.0.2"]), capture_output=True, text=True, check=False
    )
    return float(done.stdout) if done.returncode == 0 else float("inf")


def test_nodes_are_killed_and_added(small: Cluster) -> None:
    assert printed(small, NODES) == "head node1"
    small.add("node2")
    assert printed(small, NODES) == "head node1 node2"
    with pytest.raises(ClusterError, match="node2: is up already"):
        small.add("node2")
    small.kill("node2")
    assert small.networks.processes("node2") == []
    assert small.status()[-1].startswith("node2: killed")
    small.add("node2")
    assert small.status()[-1].startswith("node2: up")


def test_a_cable_is_slowed_and_cut_and_mended(small: Cluster) -> None:
    command = small.command([sys.executable, "-c", SERVE, "1000000"], on="node1")
    with subprocess.Popen(command) as server:
        try:
            until = time.monotonic() + 20
            while fetched_s(small) > 5:
                assert time.monotonic() < until
            before = small.networks.traffic("node1").sent
            small.networks.link("node1", rate="4mbit")
            assert fetched_s(small) > 1.5  # 2 s for what the bucket does not hold
            assert 1e6 < small.networks.traffic("node1").sent - before < 1.3e6
            small.networks.link("node1")
            assert fetched_s(small) < 1.5
            small.networks.cut("node1")
            assert fetched_s(small) == float("inf")
            small.networks.mend("node1")
            assert fetched_s(small) < 1.5
        finally:
            server.kill()


def test_a_small_disk_is_small_and_ends_with_its_node(small: Cluster) -> None:
    small.add("tiny", disk="48M")
    (ray,) = [pid for pid in small.networks.processes("tiny") if b"raylet/raylet" in cmdline(pid)]
    folder = small.folder / "nodes/tiny/ray"
    assert shutil.disk_usage(f"/proc/{ray}/root{folder}").total == 48 << 20
    small.kill("tiny")
    assert list(folder.iterdir()) == []


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("name", "node", "sentence"),
    [
        ("absent", "node1", "cluster: there is no cluster of this name: tools/cluster up"),
        ("tool", "Node!", "cluster: Node!: a node is named by up to ten small letters and digits"),
        ("tool", "node1", "cluster: node1: is up already"),
    ],
)
def test_what_cannot_be_is_one_sentence(small: Cluster, name: str, node: str, sentence: str) -> None:
    with pytest.raises(SystemExit, match=f"^{sentence}$"):
        main(["--name", name, "add", node])


def test_nothing_is_left(small: Cluster) -> None:
    small.down()
    spaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert "tool-" not in spaces
    assert not small.folder.exists()
    assert socket.gethostname() not in ("head", "node1", "node2", "tiny")
