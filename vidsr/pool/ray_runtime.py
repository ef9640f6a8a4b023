"""The Ray that the workers live in: a private one on this machine, or a running cluster."""

import logging
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ray
from ray._private.node import Node
from ray._private.parameter import RayParams
from ray._private.worker import global_worker
from ray._raylet import (  # type: ignore[attr-defined]
    AuthenticationMode,
    AuthenticationTokenLoader,
    Config,
    get_authentication_mode,
)

from vidsr.errors import WorkerError
from vidsr.private_tempdir import private_tempdir

# Bounds, taken up only by planes in flight: of 4K at x2 each is 41 MB in and out, and 16 workers have 32 of them.
LEAST_STORE_BYTES, MOST_STORE_BYTES = 512 << 20, 2 << 30

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # else a SIGTERM while a file is finalised may end in an abort
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
}


@contextmanager
def ray_session(address: str | None) -> Iterator[Callable[[], bool]]:
    """A connection to the cluster at `address`, or, for None, to a Ray of our own that ends with it.

    What it gives says whether that Ray is still whole; of one that is not our own nobody knows. A process that is
    connected already keeps its connection. Raises WorkerError when there is none to be had.
    """
    if ray.is_initialized():
        yield _unknown
    elif address is None:
        with _private() as ours, _connected(ours.address):
            yield ours.remaining_processes_alive
    elif "RAY_AUTH_MODE" not in os.environ:
        raise WorkerError(f"{address}: set RAY_AUTH_MODE=token (or disabled, where the network is private) to join it")
    else:
        with _environment(_QUIET), _connected(address):
            yield _unknown


def _unknown() -> bool:
    return True


@contextmanager
def _private() -> Iterator[Node]:
    """A Ray whose ports, which listen on every interface, answer to nobody without our token."""
    with private_tempdir() as home, _environment(_told(home)):
        # Ray reads its variables once, at import; a process may open one pool after another.
        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()
        if get_authentication_mode() != AuthenticationMode.TOKEN:
            raise WorkerError("Ray does not ask for a token, and would answer to anyone on the network")
        node = _start(home / "ray")  # Ray opens this folder to all; the one above it stays ours
        try:
            yield node
        finally:
            _end(node)


def _told(home: Path) -> dict[str, str]:
    """What Ray's processes find in their environment."""
    return {**_QUIET, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": _new_token(home)}


def _new_token(home: Path) -> str:
    """The path of a new token that only we can read."""
    path = home / "token"
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return str(path)


class _Node(Node):
    """A Ray without its web server, which `ray.init` waits for even with the dashboard off."""

    def __init__(self, params: RayParams) -> None:
        """Whole, or it raises what Ray raises, and nothing of it is left."""
        try:
            super().__init__(params, head=True, shutdown_at_exit=False)
        except BaseException:
            _end(self)
            raise

    def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
        self._webui_url = ""


def _start(folder: Path) -> Node:
    """A Ray without what serves nobody here: by `ray.init` it takes 2 s longer to come and go, and 130 MB more."""
    params = RayParams(
        num_cpus=0,  # cores are planned by us; Ray starts no worker ahead
        # Where it does not fit into /dev/shm, Ray puts all of it on a disk.
        object_store_memory=max(LEAST_STORE_BYTES, min(MOST_STORE_BYTES, shutil.disk_usage("/dev/shm").free // 2)),
        temp_dir=str(folder),
        include_dashboard=False,
        include_log_monitor=False,  # type: ignore[arg-type]
        no_monitor=True,  # of the autoscaler
    )
    # Ray's processes inherit the mask: a SIGTERM to the whole group, as systemd sends it, must leave us the workers to
    # finish the file with. Ray itself does the same about SIGINT.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        return _Node(params)
    except Exception as error:
        raise WorkerError(f"Ray does not start on this machine: {error}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(node: Node) -> None:
    """Nothing of it is left, neither its processes nor the children of those."""
    parents = [info.process.pid for infos in node.all_processes.values() for info in infos]
    children = [child for parent in parents for child in _children(parent)]
    node.kill_all_processes(check_alive=False)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # that thread has ended
            found += map(int, task.read_text().split())
    return found


@contextmanager
def _connected(address: str) -> Iterator[None]:
    try:
        with _signals_kept():
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        _hush()
    except Exception as error:
        raise WorkerError(f"no Ray cluster to join at {address}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """The variables set inside, for Ray reads them when it starts, and as they were outside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _hush() -> None:
    """Stop the thread that prints what Ray thinks of a lost worker, to stdout at that: the pool says it itself."""
    global_worker.threads_stopped.set()
    global_worker.gcs_error_subscriber.close()  # type: ignore[attr-defined]
    global_worker.listener_thread.join()  # type: ignore[attr-defined]


@contextmanager
def _signals_kept() -> Iterator[None]:
    """The caller's handler of SIGTERM stays: Ray would put its own in its place."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
