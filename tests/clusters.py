"""tools/cluster for tests."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

from cluster import ROOT, Cluster, ClusterError, cluster_of, main

__all__ = ["ROOT", "Cluster", "ClusterError", "cluster_of", "main", "require_cluster", "slowed"]


def require_cluster() -> None:
    """Skip where a cluster cannot be made."""
    if not all(map(shutil.which, ("ip", "tc", "unshare", "taskset"))):
        pytest.skip("iproute2 is missing: tools/install-test-packages")
    name = f"vidsr-probe-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine makes no network namespace: {done.stderr.strip()}")
    subprocess.run(["ip", "netns", "del", name], check=False)


@contextmanager
def slowed(cluster: Cluster, node: str) -> Iterator[Callable[[], None]]:
    """What brings a node to a twentieth of its speed, until the block ends."""
    ended = threading.Event()

    def crawl() -> None:
        while not ended.wait(0.05):
            cluster.kill(node, signal.SIGSTOP)
            ended.wait(1)
            cluster.kill(node, signal.SIGCONT)

    thread = threading.Thread(target=crawl)
    try:
        yield thread.start
    finally:
        ended.set()
        if thread.ident:
            thread.join()
