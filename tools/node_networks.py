"""Networks of the nodes of a cluster on this machine: namespaces, each with a cable to a bridge in the first one."""

import shlex
import subprocess
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
    """The networks of a cluster by its name, and that of its head; all of their state is in the kernel."""

    cluster: str
    head: str

    def namespace(self, node: str) -> str:
        """The name of a node's network."""
        return f"{self.cluster}-{node}"

    def plug(self, node: str, number: int) -> None:
        """Makes the network of a node, with the address of its number; the head comes first."""
        space, head = self.namespace(node), self.namespace(self.head)
        do(f"ip netns add {space}")
        do(f"ip -n {space} link set lo up")
        if node == self.head:
            do(f"ip -n {head} link add {_BRIDGE} type bridge")
            do(f"ip -n {head} link set {_BRIDGE} up")
        do(f"ip -n {head} link add {node} type veth peer name eth0 netns {space}")
        do(f"ip -n {head} link set {node} master {_BRIDGE} up")
        do(f"ip -n {space} addr add {address(number)}/24 dev eth0")
        do(f"ip -n {space} link set eth0 up")

    def remove(self, node: str) -> None:
        """Removes it."""
        run(f"ip netns del {self.namespace(node)}")

    def link(self, node: str, *, rate: str = "", delay: str = "") -> None:
        """Limits the cable of a node in both directions, by the words of tc; without either it is as before."""
        for space, end in ((self.namespace(node), "eth0"), (self.namespace(self.head), node)):
            tc = f"ip netns exec {space} tc qdisc"
            run(f"{tc} del dev {end} root")
            if delay:
                do(f"{tc} add dev {end} root netem delay {delay} limit 100000" + (f" rate {rate}" if rate else ""))
            elif rate:
                do(f"{tc} add dev {end} root tbf rate {rate} burst 64kb latency 200ms")

    def cut(self, node: str) -> None:
        """Pulls the cable at the bridge: both ends stay up, and what they send is lost without a word."""
        do(f"ip -n {self.namespace(self.head)} link set {node} nomaster")

    def mend(self, node: str) -> None:
        """Plugs it in again."""
        do(f"ip -n {self.namespace(self.head)} link set {node} master {_BRIDGE}")

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
