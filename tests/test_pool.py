"""A pool is a map: in order, lazy, bounded, whoever computes it; and with Ray it outlives its workers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import numpy as np
import psutil
import pytest
from oracles import double

from vidsr.engine import Engine, Plane
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.pool import Pool, open_pool
from vidsr.settings import PoolSettings

TESTS = Path(__file__).parent
Ray = Iterator[None]


def planes(count: int, *, shape: tuple[int, int] = (24, 20), dtype: type = np.uint8) -> list[Plane]:
    random = np.random.default_rng(count)
    return [random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True) for _ in range(count)]


def enlarged(weights: Weights, source: Iterable[Plane], depth: int = 8) -> list[Plane]:
    engine = Engine(weights, threads=1)
    return [engine(plane, depth) for plane in source]


def same(results: Iterable[Plane], expected: Iterable[Plane]) -> bool:
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(results, expected, strict=True))


# What every pool does


@pytest.fixture(scope="module", params=[0, 1, 3], ids=["this process", "1 worker", "3 workers"])
def pool(request: pytest.FixtureRequest, weights: Weights) -> Iterator[Pool]:
    if request.param:
        request.getfixturevalue("ray")
    with open_pool(weights, PoolSettings(workers=request.param)) as pool:
        yield pool


def test_every_plane_comes_out_in_its_place_as_the_engine_makes_it(pool: Pool, weights: Weights) -> None:
    source = planes(20)
    assert same(pool.map(iter(source), 8), enlarged(weights, source))
    assert pool.restarts == 0
    assert pool.quarantined == []
    assert pool.engine_s > 0


def test_sizes_and_depths_may_change(pool: Pool, weights: Weights) -> None:
    source = planes(4, shape=(9, 31)) + planes(3, shape=(40, 3)) + planes(2, shape=(1, 1))
    assert same(pool.map(source, 8), enlarged(weights, source))
    deep = [plane >> 6 for plane in planes(5, dtype=np.uint16)]
    assert same(pool.map(deep, 10), enlarged(weights, deep, 10))


def test_a_view_of_a_larger_picture_is_a_plane_too(pool: Pool, weights: Weights) -> None:
    source = [plane[3:15, 1:18] for plane in planes(3)]
    assert same(pool.map(source, 8), enlarged(weights, source))


def test_nothing_in_gives_nothing_out(pool: Pool) -> None:
    assert list(pool.map([], 8)) == []


def test_no_more_planes_are_taken_than_the_workers_hold(pool: Pool) -> None:
    taken = 0

    def counted() -> Iterator[Plane]:
        nonlocal taken
        for plane in planes(12):
            taken += 1
            yield plane

    results = pool.map(counted(), 8)
    assert taken == 0
    for handed_out, _ in enumerate(results):
        assert taken - handed_out <= max(1, 2 * pool.workers)


def test_a_plane_that_fails_is_named_after_the_results_before_it(pool: Pool, weights: Weights) -> None:
    source = planes(9)
    bad = [*source[:5], source[5].astype(np.float32), *source[6:]]
    results = pool.map(bad, 8)
    assert same([next(results) for _ in range(5)], enlarged(weights, source[:5]))
    with pytest.raises(WorkerError, match=r"frame 5: .*float32") as failed:
        next(results)
    assert failed.value.index == 5


def test_a_source_that_fails_does_so_after_the_results_before_it(pool: Pool, weights: Weights) -> None:
    def broken() -> Iterator[Plane]:
        yield from planes(4)
        raise OSError("the cable is out")

    results = pool.map(broken(), 8)
    assert same([next(results) for _ in range(4)], enlarged(weights, planes(4)))
    with pytest.raises(OSError, match="cable"):
        next(results)


def test_a_map_that_was_left_early_does_not_disturb_the_next(pool: Pool, weights: Weights) -> None:
    next(pool.map(planes(12), 8))
    assert same(pool.map(planes(7), 8), enlarged(weights, planes(7)))


# What a Ray pool does beyond that


class Poison(np.ndarray):
    """A plane that ends every process that it is sent to."""

    def __reduce_ex__(self, protocol: object) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (1,)


@pytest.fixture
def crew(ray: Ray, weights: Weights) -> Iterator[Pool]:
    """Two workers that are given up when they are silent for two seconds."""
    with open_pool(weights, PoolSettings(workers=2, timeout_s=2)) as pool:
        yield pool


def pids(crew: Pool) -> list[int]:
    return [place.pid for place in crew.places]


def gone(pid: int) -> bool:
    """Whether a process ends within the time that Ray takes to reap it."""
    with suppress(psutil.NoSuchProcess):
        return not psutil.wait_procs([psutil.Process(pid)], timeout=10)[1]
    return True


def test_workers_have_cores_of_their_own_and_no_thread_outside_them(crew: Pool) -> None:
    list(crew.map(planes(4), 8))
    assert crew.strays() == []
    allowed = os.sched_getaffinity(0)
    masks = [set(psutil.Process(pid).cpu_affinity()) for pid in pids(crew)]
    assert all(mask <= allowed for mask in masks)
    if len(allowed) >= 2:
        assert not any(a & b for a, b in combinations(masks, 2))


def test_a_worker_that_is_killed_costs_no_plane_and_no_order(crew: Pool, weights: Weights) -> None:
    source, before = planes(12), pids(crew)
    results = crew.map(source, 8)
    first = [next(results) for _ in range(3)]
    os.kill(before[0], signal.SIGKILL)
    assert same([*first, *results], enlarged(weights, source))
    assert crew.restarts == 1
    assert crew.quarantined == []
    assert before[0] not in pids(crew)
    assert before[1] in pids(crew)
    assert crew.strays() == []


def test_a_worker_that_hangs_is_replaced_and_ended(crew: Pool, weights: Weights) -> None:
    source, before = planes(12), pids(crew)
    results = crew.map(source, 8)
    first = next(results)
    os.kill(before[1], signal.SIGSTOP)
    assert same([first, *results], enlarged(weights, source))
    assert crew.restarts == 1
    assert gone(before[1])


def test_a_plane_that_ends_two_workers_is_enlarged_without_them(crew: Pool, weights: Weights) -> None:
    source = planes(8)
    expected = enlarged(weights, source)
    expected[3] = double(source[3])
    source[3] = source[3].view(Poison)
    assert same(crew.map(source, 8), expected)
    assert crew.quarantined == [3]
    assert crew.restarts == 2


def test_workers_that_keep_dying_end_the_run(ray: Ray, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.pool.ray_pool.DEATHS_PER_MINUTE", 2)  # ten would take ten seconds
    with open_pool(weights, PoolSettings(workers=1)) as pool:
        results = pool.map([plane.view(Poison) for plane in planes(3)], 8)
        next(results)  # by the fallback, after two deaths
        with pytest.raises(WorkerError, match="died 3 times in a minute, the last one at frame 1") as failed:
            next(results)
        assert failed.value.index == 1


def test_no_process_is_left_when_the_pool_is_closed_not_even_a_stopped_one(ray: Ray, weights: Weights) -> None:
    with open_pool(weights, PoolSettings(workers=2)) as pool:
        before = pids(pool)
        next(pool.map(planes(3), 8))
        os.kill(before[0], signal.SIGSTOP)
    assert all(map(gone, before))


def test_a_worker_that_cannot_start_says_why(ray: Ray, tmp_path: Path) -> None:
    from vidsr.pool.ray_pool import RayPool

    missing = str(tmp_path / "missing.npz")  # an engine takes a path too, and here it is the worker that reads it
    pool = RayPool(missing, PoolSettings(workers=1), fallback=double)  # type: ignore[arg-type]
    with pytest.raises(WorkerError, match=f"does not start: {missing}: No such file"), pool:
        pass


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
            os.kill(pool.places[0].pid, signal.SIGKILL)
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
    os.kill(pool.places[0].pid, signal.SIGKILL)
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
