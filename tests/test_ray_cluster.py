"""A cluster of several nodes: lost, joined, unlike ours or broken; and addresses at which there is none."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from ray_nodes import Node, can_name_hosts, node

from vidsr.errors import WorkerError
from vidsr.pool.ray_runtime import ray, ray_session

TESTS = Path(__file__).parent
OURS = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "7" * 64,
    "PYTHONPATH": str(TESTS.parent),
}
named_hosts = pytest.mark.skipif(not can_name_hosts(), reason="no right to name a host")

DRIVER = """
import json, logging, sys, threading, time
sys.path.insert(0, {tests!r})
from made import tiny_weights
from test_pool import enlarged, planes, same
from vidsr.errors import WorkerError
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings

def say(**facts):
    print(json.dumps(facts), flush=True)

def source():
    while not ended.is_set():
        taken.append(pattern[len(taken) % len(pattern)])
        yield taken[-1]
        time.sleep(0.02)

logging.basicConfig(format="%(message)s")
weights, pattern, taken, ended = tiny_weights(), planes(20), [], threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
began = time.monotonic()
try:
    with open_pool(weights, PoolSettings(ray_address=sys.argv[1], **json.loads(sys.argv[2]))) as pool:
        hosts, results, gap_s, last = None, [], 0, time.monotonic()
        for result in pool.map(source(), 8):
            results.append(result)
            gap_s, last = max(gap_s, time.monotonic() - last), time.monotonic()
            if hosts != (hosts := sorted(location.host for location in pool.locations)):
                say(hosts=hosts)
        expected = enlarged(weights, pattern)
        whole = same(results, (expected[number % len(pattern)] for number in range(len(taken))))
        say(whole=whole, gap_s=gap_s, restarts=pool.restarts, quarantined=pool.quarantined)
except WorkerError as error:
    say(error=str(error), after_s=time.monotonic() - began)
"""


@dataclass
class Driver:
    """A process that upscales planes on a cluster until it is told to end, and what it said so far."""

    process: "subprocess.Popen[str]"
    facts: list[dict[str, object]] = field(default_factory=list)

    def heard(self, **facts: object) -> bool:
        """Wait until it says so."""
        assert self.process.stdout
        while facts not in self.facts:
            assert select.select([self.process.stdout], [], [], 60)[0], (facts, self.facts)
            line = self.process.stdout.readline()
            assert line, (self.facts, self.process.stderr and self.process.stderr.read())
            self.facts.append(json.loads(line))
        return True

    def end(self) -> tuple[dict[str, object], str]:
        """Its last words, and what it logged."""
        out, err = self.process.communicate(timeout=100)
        assert out, err
        return json.loads(out.splitlines()[-1]), err


@contextmanager
def driver(address: str, **settings: object) -> Iterator[Driver]:
    command = [sys.executable, "-c", DRIVER.format(tests=str(TESTS)), address, json.dumps(settings)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=OURS, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield Driver(process)
        finally:
            process.kill()


# Where there is no cluster


@contextmanager
def listener(answer: bytes | None) -> Iterator[int]:
    """A port on which something else listens: it says so, or nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = "import os, socket, sys, time\nserver = socket.socket(fileno=int(sys.argv[1]))\nkept = []\n"
        code += "while True:\n    kept.append(server.accept()[0])\n    kept[-1].sendall(os.fsencode(sys.argv[2]))"
        command = [sys.executable, "-c", code, str(server.fileno()), (answer or b"").decode()]
        with subprocess.Popen(command, pass_fds=[server.fileno()]) as process:
            yield server.getsockname()[1]
            process.kill()


@contextmanager
def nobody() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield port


ELSE = "something else listens there"
SSH = b"SSH-2.0-OpenSSH_9.2\r\n"


@pytest.mark.parametrize(
    ("place", "why"),
    [(nobody, "Connection refused"), (partial(listener, None), "timed out"), (partial(listener, SSH), ELSE)],
    ids=["nobody", "silent", "another service"],
)
@pytest.mark.parametrize("auto", [False, True], ids=["address", "auto"])
def test_an_address_without_a_cluster_is_refused_soon(
    place: Callable[[], AbstractContextManager[int]], why: str, auto: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place() as port:
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setattr(ray, "is_initialized", lambda: False)  # another test's may be
        if auto:
            monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.raises(WorkerError) as refused, ray_session("auto" if auto else f"127.0.0.1:{port}"):
            pass
    assert str(refused.value) == f"127.0.0.1:{port}: no Ray cluster answers there ({why})"
    assert time.monotonic() < began + 10


# Nodes that come and go

pytestmark = [pytest.mark.xdist_group("cluster")]


@pytest.fixture(scope="module")
def head() -> Iterator[Node]:
    """A cluster of one node without CPUs."""
    with node(OURS, cpus=0) as head:
        yield head


@pytest.mark.slow
@named_hosts
def test_a_node_that_is_killed_is_gone_on_without_and_one_that_joins_is_used(head: Node) -> None:
    more = partial(node, OURS, address=head.address)
    with ExitStack() as stack:
        north = stack.enter_context(more(cpus=2, host="north"))
        stack.enter_context(more(cpus=1, host="south"))
        run = stack.enter_context(driver(head.address, threads=1))
        assert run.heard(hosts=["north", "north", "south"])
        north.kill()
        assert run.heard(hosts=["south"])
        stack.enter_context(more(cpus=1, host="east"))
        assert run.heard(hosts=["east", "south"])
        time.sleep(1)
        said, log = run.end()
    assert said["whole"]
    assert said["quarantined"] == []
    assert said["gap_s"] < 15
    assert "on north died at frame" in log
