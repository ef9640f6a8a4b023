"""The Ray of a pool's own: who may talk to it, what it leaves behind; and one of somebody else's that is joined."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from ray_nodes import node

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
import ctypes, sys, threading, time
sys.path.insert(0, {tests!r})
import psutil
from made import tiny_weights
from vidsr.errors import WorkerError
from vidsr.pool import open_pool, ray_runtime
from vidsr.settings import PoolSettings

def stop_its_server() -> None:
    children = lambda: psutil.Process().children(recursive=True)
    while not (servers := [child for child in children() if child.name() == "gcs_server"]):
        time.sleep(0.001)
    servers[0].suspend()

ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: what loses its parents is a child of this process
threading.Thread(target=stop_its_server, daemon=True).start()  # so that it does not end by itself
ray_runtime.START_S = 4
try:
    with open_pool(tiny_weights(), PoolSettings(workers=1)):
        pass
except WorkerError as error:
    print(error)
time.sleep(0.1)
left = psutil.Process().children(recursive=True)
print(*(process.name() for process in left if process.status() != psutil.STATUS_ZOMBIE))
"""


def run(
    code: str, *arguments: str | Path, before: Sequence[str] = (), **changes: str
) -> "subprocess.CompletedProcess[str]":
    """What a Python prints that has our environment, but nothing of Ray's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [*before, sys.executable, "-c", code.format(tests=str(TESTS)), *arguments]
    return subprocess.run(command, env=environment | changes, capture_output=True, text=True, timeout=200, check=False)


def test_nothing_is_left_of_a_ray_that_starts_by_half(open_folder: Path) -> None:
    message, left = run(HALF, TMPDIR=str(open_folder)).stdout.split("\n")[:2]
    assert message == "Ray does not start on this machine within 4 s; 0 workers need no Ray"
    assert left == ""
    assert not [*open_folder.iterdir()]


START = """
import sys
sys.path.insert(0, {tests!r})
from made import tiny_weights
from test_pool import planes
from vidsr.errors import WorkerError
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings
try:
    with open_pool(tiny_weights(), PoolSettings(workers=1)) as pool:
        print(len(list(pool.map(planes(3), 8))))
except WorkerError as error:
    print(error)
"""


def test_without_any_directory_for_temporary_files_one_sentence_says_so() -> None:
    private = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && "$@"',
        "sh",
    ]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to mount")
    done = run(START, before=private, TMPDIR="/proc/nonexistent")
    assert done.stdout == (
        "Ray does not start: no directory for temporary files (/proc/nonexistent: No such file or directory;"
        " /tmp: Read-only file system); set TMPDIR to a short, writable one\n"
    )
    assert done.stderr == ""


# What its workers import

IMPORTS = """
import os, sys
here = sys.path.pop(0)
sys.path.append({tests!r})
from made import tiny_weights
from test_pool import planes
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings
sys.path.insert(0, here)
os.environ["PYTHONPATH"] += os.pathsep  # the empty entry is the current directory, for Python
with open_pool(tiny_weights(), PoolSettings(workers=1)) as pool:
    print(len(list(pool.map(planes(3), 8))))
"""


def test_workers_import_nothing_from_the_current_directory_nor_from_the_scripts(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'films'\nversion = '1'\n")
    folder = tmp_path / "films"
    folder.mkdir()
    for module in ("openvino", "sitecustomize", "psutil", "colorama"):
        (folder / f"{module}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write(__file__)")
    (folder / "script.py").write_text(IMPORTS.format(tests=str(TESTS)))
    # A file `run` for a shell `uv`: for Ray it looks like `uv run`, at which it sends the current directory away.
    (folder / "run").write_text(f"{sys.executable} script.py; exit $?")
    (folder / "uv").symlink_to("/bin/sh")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment["PYTHONPATH"] = str(TESTS.parent)
    done = subprocess.run(
        ["./uv", "run"], cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout == "3\n", done.stderr
    assert not (tmp_path / "executed").exists()


# A whole run in a process of its own, Ray included

DRIVER = """
import json, os, signal, stat, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import psutil
from made import tiny_weights
from test_pool import planes
from test_private_tempdir import home_of
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings

facts = {{}}
handler = lambda signum, frame: None
signal.signal(signal.SIGTERM, handler)

with open_pool(tiny_weights(), PoolSettings(workers=0)) as pool:
    list(pool.map(planes(1), 8))
facts["ray without workers"] = "ray" in sys.modules

before = dict(os.environ)
for run in range(2):
    with open_pool(tiny_weights(), PoolSettings(workers=1)) as pool:
        token = home_of(psutil.Process()) / "token"
        facts["environment changed inside"] = sorted(dict(os.environ).items() ^ before.items())
        facts.setdefault("homes", []).append(str(token.parent.parent))
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
    """What a process saw that opened two pools of its own, and lost a worker of the second; and what it printed.

    Its TMPDIR is too long for the path of a socket.
    """
    target = tmp_path_factory.mktemp("driver") / "facts.json"
    long = tmp_path_factory.mktemp("long" * 20)
    # A private pool is private, whatever the environment says.
    others = {"RAY_ADDRESS": "127.0.0.1:1", "RAY_AUTH_MODE": "disabled", "RAY_START_HOOK": "antigravity.hook"}
    others |= {"RAY_AUTH_TOKEN": "1" * 64, "RAY_RUNTIME_ENV_HOOK": "antigravity.hook"}
    done = run(DRIVER, target, **others, TMPDIR=str(long), HOME="/proc/nonexistent")
    assert done.returncode == 0, done.stderr
    return {**json.loads(target.read_text()), "stdout": done.stdout, "stderr": done.stderr, "TMPDIR": str(long)}


def test_two_private_pools_one_after_the_other_lose_no_plane(driver: dict[str, object]) -> None:
    assert driver["results of run 0"] == driver["results of run 1"] == 6
    assert driver["restarts"] == 1


def test_nothing_is_left_behind_by_a_private_pool(driver: dict[str, object]) -> None:
    assert driver["left behind"] == []


def test_ray_says_nothing_when_a_worker_dies(driver: dict[str, object]) -> None:
    assert driver["stdout"] == ""
    lines = [line for line in str(driver["stderr"]).splitlines() if not line.startswith("TMPDIR ")]
    assert len(lines) == 1, lines  # our own warning


def test_a_directory_that_is_too_long_for_a_socket_is_said_and_not_taken(driver: dict[str, object]) -> None:
    sentence = (
        rf"TMPDIR cannot be used, /tmp is: {driver['TMPDIR']}: longer by \d+ bytes than the path of a socket may be"
    )
    lines = [line for line in str(driver["stderr"]).splitlines() if line.startswith("TMPDIR ")]
    assert len(lines) == 2  # of either pool
    assert all(re.fullmatch(sentence, line) for line in lines), lines
    assert driver["homes"] == ["/tmp", "/tmp"]


def test_the_token_is_for_our_eyes_alone(driver: dict[str, object]) -> None:
    assert driver["modes"] == ["0o600", "0o700"]


def test_the_handler_of_sigterm_stays_the_callers(driver: dict[str, object]) -> None:
    assert driver["handler kept"]
    assert driver["handler kept after"]


def test_the_environment_is_as_it_was(driver: dict[str, object]) -> None:
    assert driver["environment changed"] == driver["environment changed inside"] == []


def test_without_workers_ray_is_not_even_loaded(driver: dict[str, object]) -> None:
    assert not driver["ray without workers"]


# A cluster that others run

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

    with node(inside, cpus=2) as host:
        address = host.address
        joined, unsaid = join(inside), join(outside)
        wrong = join(inside | {"RAY_AUTH_TOKEN": "8" * 64, "RAY_NUM_REDIS_GET_RETRIES": "1"})
        assert host.process.poll() is None
    assert joined.stdout.strip() == "2 8 1", joined.stderr
    assert "WorkerError: " + address + ": set RAY_AUTH_MODE=token" in unsaid.stderr
    assert "WorkerError: no Ray cluster to join" in wrong.stderr
