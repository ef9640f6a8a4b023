"""A cluster of several nodes: lost, joined, unlike ours or broken; and addresses at which there is none."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from made import tiny_weights
from ray_nodes import Node, can_name_hosts, node
from test_pool import enlarged, planes, same

from vidsr.cpu import this_cpu
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.pool import NETWORKS_KEPT, cluster_head, open_pool
from vidsr.pool.ray_runtime import ray as ray_itself
from vidsr.pool.ray_runtime import ray_session
from vidsr.settings import PoolSettings

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
from vidsr.model.zoo import load_model
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
pattern, taken, ended = planes(20), [], threading.Event()
weights = load_model(sys.argv[3]) if sys.argv[3] else tiny_weights()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
began = time.monotonic()
try:
    with open_pool(weights, PoolSettings(ray_address=sys.argv[1], **json.loads(sys.argv[2]))) as pool:
        hosts, results, precisions, gap_s, last = None, [], set(), 0, time.monotonic()
        for result in pool.map(source(), 8):
            results.append(result)
            precisions.add(pool.precision_choice.precision)
            gap_s, last = max(gap_s, time.monotonic() - last), time.monotonic()
            if hosts != (hosts := sorted(location.host for location in pool.locations)):
                say(hosts=hosts)
        expected = results if sys.argv[3] else enlarged(weights, pattern)  # or all alike
        whole = same(results, (expected[number % len(pattern)] for number in range(len(taken))))
        say(whole=whole, precisions=[*precisions], gap_s=gap_s, restarts=pool.restarts, quarantined=pool.quarantined)
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
def driver(address: str, model: str = "", **settings: object) -> Iterator[Driver]:
    command = [sys.executable, "-c", DRIVER.format(tests=str(TESTS)), address, json.dumps(settings), model]
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
        monkeypatch.setattr(ray_itself, "is_initialized", lambda: False)  # another test's may be
        monkeypatch.setattr("vidsr.pool.ray_runtime.CONNECT_S", 1.0)
        if auto:
            monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.raises(WorkerError) as refused, ray_session("auto" if auto else f"127.0.0.1:{port}"):
            pass
    assert str(refused.value) == f"127.0.0.1:{port}: no Ray cluster answers there ({why})"
    assert time.monotonic() < began + 10


@contextmanager
def head_at(place: Callable[[], AbstractContextManager[int]]) -> Iterator[cluster_head.ClusterHead]:
    """A head that is asked for without a pause."""
    with place() as port, pytest.MonkeyPatch.context() as patch:
        context = SimpleNamespace(gcs_address=f"127.0.0.1:{port}")
        patch.setattr(ray_itself, "get_runtime_context", lambda: context)
        patch.setattr(cluster_head, "_POLL_S", -1.0)
        yield cluster_head.ClusterHead()


LOST = r"the head of the cluster, 127.0.0.1:\d+, does not answer \(Connection refused\)"


def test_a_head_that_is_lost_is_an_error_once_it_was_asked_twice() -> None:
    with head_at(nobody) as head:
        head.require()
        assert not head.is_lost
        with pytest.raises(WorkerError, match=LOST):
            head.require()
        assert head.is_lost


def test_a_question_ends_with_its_answer_or_with_the_loss_of_the_head() -> None:
    never = threading.Event()
    with head_at(partial(listener, None)) as head:
        assert head.ask(lambda: 5) == 5
        assert head.ask(lambda: never.wait(2)) is False
        with pytest.raises(ZeroDivisionError):
            head.ask(lambda: 1 // 0)
    with head_at(nobody) as head, pytest.raises(WorkerError, match=LOST):
        head.ask(never.wait)
    never.set()


# Nodes that come and go

pytestmark = [pytest.mark.xdist_group("cluster")]


@pytest.fixture(scope="module")
def head() -> Iterator[Node]:
    """A cluster of one node without CPUs."""
    with node(OURS, cpus=0) as head:
        yield head


@pytest.mark.slow
@named_hosts
@pytest.mark.parametrize(
    ("how", "word"), [(signal.SIGKILL, "died"), (signal.SIGSTOP, "hangs")], ids=["killed", "cut off"]
)
def test_a_lost_node_is_gone_on_without_and_one_that_joins_is_used(head: Node, how: int, word: str) -> None:
    more = partial(node, OURS, address=head.address)
    with ExitStack() as stack:
        north = stack.enter_context(more(cpus=2, host="north"))
        stack.enter_context(more(cpus=1, host="south"))
        run = stack.enter_context(driver(head.address, threads=1, timeout_s=4))
        assert run.heard(hosts=["north", "north", "south"])
        time.sleep(1)  # for its first plane a worker has three times as long
        north.send(how)
        assert run.heard(hosts=["south"])
        stack.enter_context(more(cpus=1, host="east"))
        assert run.heard(hosts=["east", "south"])
        time.sleep(1)
        said, log = run.end()
    assert (said["whole"], said["quarantined"]) == (True, []), (said, log)
    assert said["gap_s"] < 15
    assert re.fullmatch(rf"worker \d+ on north, worker \d+ on north {word} at frame \d+\n", log)


def other(folder: Path, **files: str) -> dict[str, str]:
    """The environment of a node whose Python finds these files first."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return OURS | {"PYTHONPATH": f"{folder}:{TESTS.parent}"}


@pytest.mark.slow
@named_hosts
def test_nodes_without_our_packages_are_refused_by_name_and_the_others_do_the_work(head: Node, tmp_path: Path) -> None:
    missing = other(tmp_path / "a", **{"vidsr.py": "raise ModuleNotFoundError(\"No module named 'vidsr'\")"})
    metadata = "Metadata-Version: 2.1\nName: openvino\nVersion: 2026.3.1\n"
    older = other(tmp_path / "b", **{"openvino-2026.3.1.dist-info__METADATA": metadata})
    with ExitStack() as stack:
        stack.enter_context(node(missing, cpus=1, address=head.address, host="without"))
        stack.enter_context(node(older, cpus=1, address=head.address, host="older"))
        with driver(head.address, threads=1) as run:
            said, log = run.end()
        assert re.fullmatch(r"a worker does not start: (without|older): .*", str(said["error"]))
        assert "without: ModuleNotFoundError: No module named 'vidsr'; it is not used\n" in log
        theirs = f"has OpenVINO 2026.3.1, this machine {version('openvino')}; install the same on all nodes"
        assert f"older: {theirs}; it is not used\n" in log
        stack.enter_context(node(OURS, cpus=1, address=head.address, host="same"))
        with driver(head.address, threads=1) as run:
            assert run.heard(hosts=["same"])
            said, log = run.end()
    assert said["whole"], (said, log)
    assert said["restarts"] == 0
    assert log.count("it is not used") == 2


@pytest.mark.slow
@named_hosts
def test_the_lowest_cpu_decides_for_all_and_a_lower_one_that_joins_is_refused(head: Node) -> None:
    low, lower = (OURS | {"ONEDNN_MAX_CPU_ISA": limit} for limit in ("AVX2", "SSE41"))
    if not this_cpu().has_vnni:
        pytest.skip("no CPU with more than AVX2")
    with ExitStack() as stack:
        stack.enter_context(node(low, cpus=1, address=head.address, host="low"))
        stack.enter_context(node(OURS, cpus=1, address=head.address, host="high"))
        run = stack.enter_context(driver(head.address, "fsrcnn-fast-x2", threads=1, precision="int8"))
        assert run.heard(hosts=["high", "low"])
        stack.enter_context(node(lower, cpus=1, address=head.address, host="lower"))
        time.sleep(15)
        said, log = run.end()
    assert said["whole"], (said, log)
    assert said["precisions"] == ["int7"]
    assert re.fullmatch(r"lower: .* lacks .*, with which the others began; it is not used\n", log)


def test_a_plane_that_waits_for_its_turn_does_not_hang(ray: None, weights: Weights) -> None:
    networks = [tiny_weights(seed=seed, dimensions=(32, 16, 4)) for seed in range(NETWORKS_KEPT + 1)]
    with open_pool(weights, PoolSettings(workers=1, timeout_s=2)) as pool:
        source, large = planes(4), planes(1, shape=(600, 800))[0]
        assert same(pool.map(source, 8), enlarged(weights, source))
        rounds, waited_s = 1, 0.0
        while waited_s <= 2.5:  # the limit; more is work for nothing on a slow machine
            began = time.monotonic()
            for _ in range(rounds):
                pool.prepare(networks, large, 8)
            assert same(pool.map(source, 8), enlarged(weights, source))
            rounds, waited_s = 2 * rounds, time.monotonic() - began
        assert pool.restarts == 0
