"""Nodes of a cluster of Ray on this machine, each with its own processes and host name."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

_RAY = "from ray.scripts.scripts import main; main()"
_NAMED = 'hostname "$0" && exec "$@"'


@dataclass
class Node:
    """A node, by the command that started it and ends with it."""

    address: str
    process: "subprocess.Popen[bytes]"

    def send(self, number: int) -> None:
        """Send a signal to all of its processes; SIGSTOP is like a cable that is cut."""
        with suppress(psutil.NoSuchProcess):
            command = psutil.Process(self.process.pid)
            for process in [*command.children(recursive=True), command]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)


def can_name_hosts() -> bool:
    """Whether nodes may have host names of their own."""
    command = ["unshare", "--uts", "sh", "-c", _NAMED, "other", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def node(
    environment: Mapping[str, str], *, cpus: int, address: str | None = None, host: str | None = None
) -> Iterator[Node]:
    """A node of the cluster at this address, or the head of a new one; with a host name, or with this machine's."""
    named = ["unshare", "--uts", "sh", "-c", _NAMED, host] if host else []
    place = (
        [f"--address={address}"] if address else ["--head", "--port=0", "--include-dashboard=false", "--no-monitor"]
    )
    place += [] if address else ["--dashboard-port=0"]
    with TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        command = [*named, sys.executable, "-P", "-c", _RAY, "start", "--block", *place, f"--num-cpus={cpus}"]
        command += ["--object-store-memory=134217728", "--dashboard-agent-listen-port=0", f"--temp-dir={folder}"]
        with (
            Path(folder, "log").open("wb") as log,
            subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
        ):
            started = Node("", process)
            try:
                found = Path(folder, "ray_current_cluster")
                while not (found.exists() and found.stat().st_size):
                    assert process.poll() is None, Path(folder, "log").read_text()
                    time.sleep(0.05)
                started.address = found.read_text().strip()
                yield started
            finally:
                started.send(signal.SIGKILL)
