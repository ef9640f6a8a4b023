"""The Ray of a pool's own: who may talk to it, what it leaves behind; and one of somebody else's that is joined."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
Ray = Iterator[None]

# Who may talk to it

STRANGER = """
import logging, os, sys, ray
from ray.exceptions import AuthenticationError
try:
    ray.init(sys.argv[1], logging_level=logging.ERROR, log_to_driver=False)
except Exception as error:
    causes = [error, error.__cause__, error.__context__]
    print("refused" if "InvalidAuthToken" in str(causes) else causes)
else:
    print("let in")
"""


@pytest.mark.parametrize("token", [None, "0" * 64])
def test_a_client_without_the_token_is_refused(ray: Ray, tmp_path: Path, token: str | None) -> None:
    import ray as library

    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
    environment |= {"HOME": str(tmp_path), "RAY_NUM_REDIS_GET_RETRIES": "1"}
    command = [sys.executable, "-c", STRANGER, library.get_runtime_context().gcs_address]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "refused", done.stderr


# One that does not start

HALF = """
import sys, threading, time
sys.path.insert(0, {tests!r})
import psutil
from made import tiny_weights
from vidsr.errors import WorkerError
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings

def stop_its_server() -> None:
    while not (servers := [child for child in psutil.Process().children() if child.name() == "gcs_server"]):
        time.sleep(0.001)
    servers[0].suspend()

threading.Thread(target=stop_its_server, daemon=True).start()  # so that it does not end by itself
try:
    with open_pool(tiny_weights(), PoolSettings(workers=1)):
        pass
except WorkerError as error:
    print(error)
time.sleep(0.1)
left = psutil.Process().children(recursive=True)
print(*(process.name() for process in left if process.status() != psutil.STATUS_ZOMBIE))
"""


def test_nothing_is_left_of_a_ray_that_starts_by_half() -> None:
    environment = {**os.environ, "RAY_gcs_server_port_wait_time_s": "0"}  # for its first process
    command = [sys.executable, "-c", HALF.format(tests=str(TESTS))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    message, left = done.stdout.split("\n")[:2]
    assert message.startswith("Ray does not start on this machine: ")
    folder = re.search(r"/tmp/vidsr-\w+", message)  # not in every message of Ray's
    assert folder is None or not Path(folder[0]).exists()
    assert left == ""


# A whole run in a process of its own, Ray included

DRIVER = """
import json, os, signal, stat, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import psutil
from made import tiny_weights
from test_pool import planes
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings

facts = {{}}
handler = lambda signum, frame: None
signal.signal(signal.SIGTERM, handler)

with open_pool(tiny_weights(), PoolSettings(workers=0)) as pool:
    list(pool.map(planes(1), 8))
facts["ray without workers"] = "ray" in sys.modules

import ray  # which sets a variable of its own
before = dict(os.environ)
for run in range(2):
    with open_pool(tiny_weights(), PoolSettings(workers=1)) as pool:
        token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
        facts["modes"] = [oct(stat.S_IMODE(path.stat().st_mode)) for path in (token, token.parent)]
        facts["handler kept"] = signal.getsignal(signal.SIGTERM) is handler
        results = pool.map(planes(6), 8)
        next(results)
        if run == 1:
            os.kill(pool.locations[0].pid, signal.SIGKILL)
        facts[f"results of run {{run}}"] = 1 + len(list(results))
        facts["restarts"] = pool.restarts
        others = psutil.Process().children(recursive=True)
    alive = psutil.wait_procs(others, timeout=10)[1]
    facts["left behind"] = [process.name() for process in alive] + [str(token.parent)] * token.parent.exists()

facts["handler kept after"] = signal.getsignal(signal.SIGTERM) is handler
facts["environment changed"] = sorted(dict(os.environ).items() ^ before.items())
Path(sys.argv[1]).write_text(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a process saw that opened two pools of its own, and lost a worker of the second; and what it printed."""
    target = tmp_path_factory.mktemp("driver") / "facts.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment["RAY_ADDRESS"] = "127.0.0.1:1"  # a private pool is private, whatever the environment says
    command = [sys.executable, "-c", DRIVER.format(tests=str(TESTS)), str(target)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return {**json.loads(target.read_text()), "stdout": done.stdout, "stderr": done.stderr}


def test_two_private_pools_one_after_the_other_lose_no_plane(driver: dict[str, object]) -> None:
    assert driver["results of run 0"] == driver["results of run 1"] == 6
    assert driver["restarts"] == 1


def test_nothing_is_left_behind_by_a_private_pool(driver: dict[str, object]) -> None:
    assert driver["left behind"] == []


def test_ray_says_nothing_when_a_worker_dies(driver: dict[str, object]) -> None:
    assert driver["stdout"] == ""
    assert driver["stderr"].count("\n") == 1, driver["stderr"]  # our own warning


def test_the_token_is_for_our_eyes_alone(driver: dict[str, object]) -> None:
    assert driver["modes"] == ["0o600", "0o700"]


def test_the_handler_of_sigterm_stays_the_callers(driver: dict[str, object]) -> None:
    assert driver["handler kept"]
    assert driver["handler kept after"]


def test_the_environment_is_as_it_was(driver: dict[str, object]) -> None:
    assert driver["environment changed"] == []


def test_without_workers_ray_is_not_even_loaded(driver: dict[str, object]) -> None:
    assert not driver["ray without workers"]


# A cluster that others run

HOST = """
import sys, tempfile
from ray._private.node import Node
from ray._private.parameter import RayParams
with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
    params = RayParams(num_cpus=2, object_store_memory=128 << 20, include_dashboard=False, temp_dir=folder)
    node = Node(params, head=True, shutdown_at_exit=False)
    print(node.address, flush=True)
    sys.stdin.readline()
    print("alive" if node.remaining_processes_alive() else "broken", flush=True)
    node.kill_all_processes(check_alive=False, allow_graceful=True, wait=True)
"""

JOINER = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from made import tiny_weights
from test_pool import planes
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings
with open_pool(tiny_weights(), PoolSettings(ray_address=sys.argv[1], threads=1)) as pool:
    workers = pool.workers
    results = pool.map(planes(8), 8)
    next(results)
    os.kill(pool.locations[0].pid, signal.SIGKILL)
    print(workers, 1 + len(list(results)), pool.restarts)
"""


@pytest.mark.slow
def test_a_running_cluster_is_joined_with_its_token_and_left_as_it_was() -> None:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    inside = outside | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "7" * 64}
    script = JOINER.format(tests=str(TESTS))

    def join(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, address]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    command, pipes = [sys.executable, "-c", HOST], {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=inside, text=True, **pipes) as host:
        assert host.stdin
        assert host.stdout
        address = host.stdout.readline().strip()
        joined, unsaid = join(inside), join(outside)
        wrong = join(inside | {"RAY_AUTH_TOKEN": "8" * 64, "RAY_NUM_REDIS_GET_RETRIES": "1"})
        host.stdin.write("end\n")
        host.stdin.flush()
        assert host.stdout.readline().strip() == "alive"
    assert joined.stdout.strip() == "2 8 1", joined.stderr
    assert "WorkerError: " + address + ": set RAY_AUTH_MODE=token" in unsaid.stderr
    assert "WorkerError: no Ray cluster to join" in wrong.stderr
