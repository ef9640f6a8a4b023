"""Bad networks and small disks: a camera behind a virtual cable that can be cut, made lossy or slow. Needs root."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_numbers = itertools.count()


def need_root(*commands: str) -> None:
    """Skip the test without root or a command."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if missing := [command for command in commands if not shutil.which(command)]:
        pytest.skip(f"needs {', '.join(missing)}: the Debian packages iproute2 and iptables")


def _do(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


@dataclass(frozen=True)
class Network:
    """A network of this machine and a namespace."""

    name: str
    host: str
    """The address in the namespace."""

    @property
    def inside(self) -> tuple[str, ...]:
        """The command prefix that runs another command in the namespace."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Drop all packets silently."""
        _do(f"ip -n {self.name} link set eth0 down")

    def restore(self) -> None:
        _do(f"ip -n {self.name} link set eth0 up")

    def lose(self, percent: float, protocol: str = "udp") -> None:
        """Lose this share of the packets from the camera."""
        chance = f"-m statistic --mode random --probability {percent / 100}"
        _do(f"ip netns exec {self.name} iptables -A OUTPUT -p {protocol} {chance} -j DROP")

    def lose_none(self) -> None:
        """End `lose`."""
        _do(f"ip netns exec {self.name} iptables -F OUTPUT")

    def starve(self, kbit: int) -> None:
        """Limit the rate of packets from the camera."""
        _do(f"ip netns exec {self.name} tc qdisc add dev eth0 root tbf rate {kbit}kbit burst 4kb latency 200ms")


@contextmanager
def network() -> Iterator[Network]:
    """A new network, removed at the end with all that runs in it."""
    need_root("ip", "iptables", "tc")
    number = next(_numbers)
    name = f"vk{os.getpid()}-{number}"
    base = f"10.{200 + number % 50}.{os.getpid() % 250}"
    net = Network(name, f"{base}.2")
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine makes no network namespace: {done.stderr.strip()}")
    try:
        _do(f"ip link add {name} type veth peer name eth0 netns {name}")
        _do(f"ip addr add {base}.1/30 dev {name}")
        _do(f"ip link set {name} up")
        for command in (f"addr add {net.host}/30 dev eth0", "link set eth0 up", "link set lo up"):
            _do(f"ip -n {name} {command}")
        yield net
    finally:
        subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """`folder` as a disk of its own, of this size."""
    need_root("mount")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine mounts nothing: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
