"""A cluster of Ray on this machine: each node has a network, a host name and a folder of its own.

  tools/cluster up                                   a head without CPUs and three nodes of one CPU, with a token
  tools/cluster run vidsr upscale --segments --ray-address auto film.mp4 film-2x.mp4          on the head
  tools/cluster link node1 --rate 100mbit            a slow cable (--delay needs a kernel with netem)
  tools/cluster cut node1; tools/cluster mend node1  a cable that is pulled, silently, and plugged in again
  tools/cluster kill node2; tools/cluster add node2  a machine that loses power, and one that joins
  tools/cluster add small --memory 500M --disk 64M   one with little memory (its cgroup), or little disk
  tools/cluster status; tools/cluster down

Needs root, and iproute2; --tls needs openssl. The nodes share the CPUs of this machine, one after another. Nothing of
its own network is touched: a bridge in a namespace of its own joins those of the nodes.
"""

import argparse
import itertools
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from node_networks import ClusterError, NodeNetworks, address, do

ROOT = Path(__file__).resolve().parent.parent
HEAD = "head"
START_S = 120.0
_TRIES = 3
_PORT = 6379
_CGROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
_LIMITS = "memory.max", "memory.limit_in_bytes"  # of version 2, and 1
_RAY = "from ray.scripts.scripts import main; main()"
_NAMED = 'hostname "$0"; exec "$@"'
_STORE_BYTES = 128 << 20


class Cluster:
    """A cluster by its name; all that is known of it is in the kernel and in its folder, so any process can go on."""

    def __init__(self, name: str = "vidsr") -> None:
        self.networks = NodeNetworks(name)
        self.folder = Path("/tmp", f"cluster-{name}")  # short: Ray's sockets are in it
        self._started: dict[str, subprocess.Popen[bytes]] = {}  # by this process, to be waited for
        self._again: dict[str, Callable[[], None]] = {}

    @property
    def address(self) -> str:
        """For --ray-address, on every node."""
        return f"{address(1)}:{_PORT}"

    @property
    def nodes(self) -> list[str]:
        """The head, and the nodes in the order in which they were added; also those that were killed."""
        folders = self.folder.glob("nodes/*")
        return [folder.name for folder in sorted(folders, key=lambda folder: int((folder / "number").read_text()))]

    def up(self, *, nodes: int = 3, cpus: int = 1, tls: bool = False) -> None:
        """Starts a head without CPUs, and nodes of `cpus`, which are called node1, node2 and so on."""
        if self.folder.exists():
            raise ClusterError(f"{self.folder}: this cluster is up; end it first: tools/cluster down")
        self.folder.mkdir(mode=0o700)
        with os.fdopen(os.open(self.folder / "token", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        if tls:
            self._make_certificate()
        self.networks.make()
        self.add(HEAD, cpus=0)
        names = [f"node{number}" for number in range(1, nodes + 1)]
        for node in names:
            self._start(node, cpus=cpus)
        for node in names:
            self._wait(node)

    def add(
        self, node: str, *, cpus: int = 1, memory: str = "", disk: str = "", more: Mapping[str, str] | None = None
    ) -> None:
        """Adds a node, or starts one that was killed, and waits until it is part of the cluster.

        `memory` and `disk`, such as 500M, limit what its processes and what Ray's files take; `more` is added to its
        environment.
        """
        self._start(node, cpus=cpus, memory=memory, disk=disk, more=more)
        self._wait(node)

    def environment(self) -> dict[str, str]:
        """The variables of all processes of the cluster, and of those that join it."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        own |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.folder / "token")}
        own |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": self.address, "PYTHONPATH": str(ROOT)}
        if (self.folder / "tls").exists():
            files = {"SERVER_CERT": "cert.pem", "SERVER_KEY": "key.pem", "CA_CERT": "cert.pem"}
            own |= {"RAY_USE_TLS": "1"}
            own |= {f"RAY_TLS_{name}": str(self.folder / "tls" / file) for name, file in files.items()}
        return own

    def command(self, words: Sequence[str], *, on: str = HEAD, disk: str = "") -> list[str]:
        """The command on a node, perhaps with a small disk for Ray's files; its mount ends with its processes."""
        ray = self._folder(on) / "ray"
        small = f"mount -t tmpfs -o size={disk} vidsr {ray} && " if disk else ""
        namespace = ["ip", "netns", "exec", self.networks.namespace(on)]
        return [*namespace, "unshare", "--uts", "sh", "-c", f"{small}{_NAMED}", on, *words]

    def run(self, words: Sequence[str], *, on: str = HEAD) -> int:
        """Runs a command on a node; its exit code."""
        return subprocess.run(self.command(words, on=on), env=self.environment(), check=False).returncode

    def kill(self, node: str, number: int = signal.SIGKILL) -> None:
        """Sends a signal to all processes of a node: SIGKILL, until none is left, is a loss of power."""
        while pids := self.networks.processes(node):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            if number != signal.SIGKILL:
                return
            time.sleep(0.05)
        if node in self._started:
            self._started.pop(node).wait()

    def status(self) -> list[str]:
        """A line per node."""
        lines = [f"{self.address}, token in {self.folder / 'token'}"]
        for node in self.nodes:
            traffic = self.networks.traffic(node)
            megabytes = f"{traffic.received / 1e6:.1f} MB received, {traffic.sent / 1e6:.1f} MB sent"
            lines.append(f"{node}: {'up' if self.networks.processes(node) else 'killed'}, {megabytes}")
        return lines

    def down(self) -> None:
        """Ends all of it."""
        for node in reversed(self.nodes):
            self.kill(node)
            with suppress(OSError):
                self._cgroup(node).rmdir()
        self.networks.remove(self.nodes)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(
        self, node: str, *, cpus: int, memory: str = "", disk: str = "", more: Mapping[str, str] | None = None
    ) -> None:
        folder = self._folder(node)
        if not re.fullmatch("[a-z][a-z0-9]{0,9}", node):
            raise ClusterError(f"{node}: a node is named by up to ten small letters and digits")
        if not folder.exists():
            number = len(self.nodes) + 1
            folder.mkdir(parents=True)
            (folder / "number").write_text(str(number))
            self.networks.plug(node, number)
        elif self.networks.processes(node):
            raise ClusterError(f"{node}: is up already")
        start = [sys.executable, "-P", "-c", _RAY, *self._options(node, cpus)]
        words = [*self._limits(node, cpus, memory), *self.command(start, on=node, disk=disk)]
        self._spawn(node, words, self.environment() | dict(more or {}))

    def _spawn(self, node: str, words: Sequence[str], environment: Mapping[str, str]) -> None:
        folder = self._folder(node)
        shutil.rmtree(folder / "ray", ignore_errors=True)
        (folder / "ray").mkdir()
        with (folder / "log").open("wb") as log:
            self._started[node] = subprocess.Popen(
                words, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._again[node] = partial(self._spawn, node, words, environment)

    def _options(self, node: str, cpus: int) -> list[str]:
        """The arguments of `ray`."""
        head = ["--head", f"--port={_PORT}", "--include-dashboard=false", "--dashboard-port=0", "--no-monitor"]
        place = head if node == HEAD else [f"--address={self.address}"]
        own = [f"--node-ip-address={address(self._number(node))}", f"--temp-dir={self._folder(node) / 'ray'}"]
        limits = [f"--num-cpus={cpus}", f"--object-store-memory={_STORE_BYTES}", "--dashboard-agent-listen-port=0"]
        return ["start", "--block", *place, *own, *limits]

    def _wait(self, node: str) -> None:
        """Wait until Ray says that a node is up. Raises ClusterError with its last words where it is not."""
        log, tries, until = self._folder(node) / "log", _TRIES, time.monotonic() + START_S
        while b"Ray runtime started" not in log.read_bytes():
            tired, text = b"timed out during startup" in log.read_bytes(), log.read_text(errors="replace")
            if tired and tries > 1:  # Ray has 30 s for it, in which a busy machine does not do it
                tries -= 1
                self.kill(node)
                self._again[node]()
            elif self._started[node].poll() is not None or time.monotonic() > until:
                said = text.strip().rpartition("\n")[2] or "it does not say why"
                raise ClusterError(f"{node}: does not start: {said}")
            time.sleep(0.05)

    def _limits(self, node: str, cpus: int, memory: str) -> list[str]:
        """A prefix that gives a node CPUs of its own, as long as there are some, and perhaps limits its memory."""
        first = self._number(node) * max(1, cpus)
        own = itertools.islice(itertools.cycle(sorted(os.sched_getaffinity(0))), first, first + max(1, cpus))
        prefix = ["taskset", "--cpu-list", ",".join(map(str, sorted(set(own))))]
        if not memory:
            return prefix
        cgroup = self._cgroup(node)
        cgroup.mkdir(exist_ok=True)
        limit = next((cgroup / name for name in _LIMITS if (cgroup / name).exists()), None)
        if limit is None:
            raise ClusterError(f"{cgroup}: this group has no limit of memory")
        limit.write_text(memory)
        return [*prefix, "sh", "-c", f'echo $$ > {cgroup}/cgroup.procs; exec "$@"', "sh"]

    def _make_certificate(self) -> None:
        """One certificate, signed by itself, for all nodes."""
        folder = self.folder / "tls"
        folder.mkdir()
        names = ",".join(["DNS:localhost", "IP:127.0.0.1", *(f"IP:{address(number)}" for number in range(1, 33))])
        files = f"-keyout {folder / 'key.pem'} -out {folder / 'cert.pem'}"
        do(f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=vidsr -addext subjectAltName={names} {files}")

    def _folder(self, node: str) -> Path:
        return self.folder / "nodes" / node

    def _number(self, node: str) -> int:
        return int((self._folder(node) / "number").read_text())

    def _cgroup(self, node: str) -> Path:
        parent = next((path for path in _CGROUPS if (path / "cgroup.procs").exists()), _CGROUPS[-1])
        return parent / self.networks.namespace(node)


@contextmanager
def cluster_of(nodes: int, *, name: str, tls: bool = False) -> Iterator[Cluster]:
    """A cluster that ends with the block."""
    cluster = Cluster(name)
    try:
        cluster.up(nodes=nodes, tls=tls)
        yield cluster
    finally:
        cluster.down()


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="vidsr", help="of the cluster, where there are several (default: vidsr)")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up")
    up.add_argument("--nodes", type=int, default=3)
    up.add_argument("--tls", action="store_true")
    run = commands.add_parser("run")
    run.add_argument("--on", default=HEAD, metavar="NODE")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    for name in ("add", "link", "cut", "mend", "kill"):
        commands.add_parser(name).add_argument("node")
    for name in ("memory", "disk"):
        commands.choices["add"].add_argument(f"--{name}", default="", metavar="SIZE")
    for name in ("up", "add"):
        commands.choices[name].add_argument("--cpus", type=int, default=1, help="of each node")
    for name in ("rate", "delay"):
        commands.choices["link"].add_argument(f"--{name}", default="")
    for name in ("status", "down"):
        commands.add_parser(name)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of this tool; the exit code."""
    options = vars(parse_args(arguments))
    cluster, command = Cluster(options.pop("name")), options.pop("command")
    try:
        if command not in ("up", "down") and not cluster.folder.exists():
            raise ClusterError("there is no cluster of this name: tools/cluster up")
        if command == "run":
            return cluster.run(**options)
        if command == "status":
            print("\n".join(cluster.status()))
        elif command in ("link", "cut", "mend"):
            getattr(cluster.networks, command)(**options)
        else:
            getattr(cluster, command)(**options)
    except ClusterError as error:
        sys.exit(f"cluster: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
