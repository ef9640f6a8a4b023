"""Clusters of Ray on this machine, of one or more nodes, each with its own processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_RAY = "from ray.scripts.scripts import main; main()"


@dataclass
class Node:
    """A node, by the command that started it and ends with it."""

    address: str
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """End all of its processes at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def node(environment: Mapping[str, str], *, cpus: int, address: str | None = None) -> Iterator[Node]:
    """A node of the cluster at this address, or the head of a new one."""
    with TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        place = ["--head", "--port=0", "--include-dashboard=false", "--dashboard-port=0", f"--temp-dir={folder}"]
        place = [f"--address={address}", f"--temp-dir={folder}"] if address else place
        command = [sys.executable, "-P", "-c", _RAY, "start", "--block", *place, f"--num-cpus={cpus}"]
        command += ["--object-store-memory=134217728", "--dashboard-agent-listen-port=0"]
        with (
            Path(folder, "log").open("wb") as log,
            subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True) as process,
        ):
            try:
                found = Path(folder, "ray_current_cluster")
                while not (found.exists() and found.stat().st_size):
                    assert process.poll() is None, Path(folder, "log").read_text()
                    time.sleep(0.05)
                yield Node(found.read_text(), process)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def cluster(environment: Mapping[str, str], *cpus: int) -> Iterator[list[Node]]:
    """Nodes with so many CPUs; the first is the head."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(node(environment, cpus=cpus[0]))]
        for more in cpus[1:]:
            nodes.append(stack.enter_context(node(environment, cpus=more, address=nodes[0].address)))
        yield nodes
