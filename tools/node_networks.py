"""Networks of the nodes of a cluster on this machine: namespaces, each with a cable to a bridge in one of its own."""

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

_BRIDGE = "bridge"
_NETWORK = "10.77.0"


class ClusterError(Exception):
    """What went wrong, in one sentence."""


@dataclass(frozen=True)
class Traffic:
    """Bytes over the cable of a node since it was added."""

    received: int
    sent: int


@dataclass(frozen=True)
class NodeNetworks:
    """The networks of a cluster by its name; all of their state is in the kernel."""

    cluster: str

    def namespace(self, node: str) -> str:
        """The name of a node's network."""
        return f"{self.cluster}-{node}"

    @property
    def _switch(self) -> str:
        """The name of the bridge's: in that of a node, the node would answer to the bridge's address as well."""
        return f"{self.cluster}-SWITCH"

    def make(self) -> None:
        """Makes the bridge."""
        do(f"ip netns add {self._switch}")
        do(f"ip -n {self._switch} link add {_BRIDGE} type bridge")
        do(f"ip -n {self._switch} link set {_BRIDGE} up")

    def plug(self, node: str, number: int) -> None:
        """Makes the network of a node, with the address of its number."""
        space, switch = self.namespace(node), self._switch
        do(f"ip netns add {space}")
        do(f"ip -n {space} link set lo up")
        do(f"ip -n {switch} link add {node} type veth peer name eth0 netns {space}")
        do(f"ip -n {switch} link set {node} master {_BRIDGE} up")
        do(f"ip -n {space} addr add {address(number)}/24 dev eth0")
        do(f"ip -n {space} link set eth0 up")

    def remove(self, nodes: Sequence[str]) -> None:
        """Removes those of these nodes, and the bridge."""
        for space in (*map(self.namespace, nodes), self._switch):
            run(f"ip netns del {space}")

    def link(self, node: str, *, rate: str = "", delay: str = "") -> None:
        """Limits the cable of a node in both directions, by the words of tc; without either it is as before."""
        for space, end in ((self.namespace(node), "eth0"), (self._switch, node)):
            tc = f"ip netns exec {space} tc qdisc"
            run(f"{tc} del dev {end} root")
            if delay:
                do(f"{tc} add dev {end} root netem delay {delay} limit 100000" + (f" rate {rate}" if rate else ""))
            elif rate:
                do(f"{tc} add dev {end} root tbf rate {rate} burst 64kb latency 200ms")

    def cut(self, node: str) -> None:
        """Pulls the cable at the bridge: both ends stay up, and what they send is lost without a word."""
        do(f"ip -n {self._switch} link set {node} nomaster")

    def mend(self, node: str) -> None:
        """Plugs it in again."""
        do(f"ip -n {self._switch} link set {node} master {_BRIDGE}")

    def traffic(self, node: str) -> Traffic:
        """What went over the cable of a node."""
        path = "/sys/class/net/eth0/statistics"
        words = do(f"ip netns exec {self.namespace(node)} cat {path}/rx_bytes {path}/tx_bytes").split()
        return Traffic(*map(int, words))

    def processes(self, node: str) -> list[int]:
        """The processes in the network of a node."""
        return list(map(int, run(f"ip netns pids {self.namespace(node)}").stdout.split()))


def address(number: int) -> str:
    """The address of the node with this number, 1 to 254."""
    return f"{_NETWORK}.{number}"


def run(command: str) -> "subprocess.CompletedProcess[str]":
    """The command, ended, perhaps in vain."""
    return subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)


def do(command: str) -> str:
    """What the command prints. Raises ClusterError where it fails."""
    done = run(command)
    if done.returncode:
        raise ClusterError(f"{command}: {done.stderr.strip()}")
    return done.stdout
