"""The Ray that the workers live in: a private one on this machine, or a running cluster."""

import atexit
import ctypes
import logging
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from vidsr.callbacks import ShouldStop
from vidsr.errors import Stopped, WorkerError
from vidsr.private_tempdir import private_tempdir

# Bounds, taken up only by planes in flight: of 4K at x2 each is 41 MB in and out, and 16 workers have 32 of them.
LEAST_STORE_BYTES, MOST_STORE_BYTES = 512 << 20, 2 << 30
START_S, _START_POLL_S = 120.0, 0.2
CONNECT_S = 5.0

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # else a SIGTERM while a file is finalised may end in an abort
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # Ray prints its own view of a lost worker; the pool reports it itself
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else `uv run` sends the current directory to the workers
}
_TOKEN = secrets.token_hex(32)  # one for all pools: Ray keeps the first that a process uses
_ADDRESS_FILE = "ray/ray_current_cluster"
_HTTP2_SETTINGS = b"\x04"  # the type of the frame that both sides begin with
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _HTTP2_SETTINGS + bytes(5)
_LONGEST_SOCKET = "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
_START = """
import sys
sys.modules["grpc"] = None  # Ray would start a server for clients of its own
from ray.scripts.scripts import main
main()
"""
_LAUNCHER = """
import ctypes, os, select, signal, subprocess, sys
from pathlib import Path

ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: all that is left of Ray's start becomes a child
command = [sys.executable, "-P", "-c", *sys.argv[1:]]
start = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
while start.poll() is None and not select.select([sys.stdin], [], [], 0.02)[0]:
    pass
if start.returncode is not None:
    print(start.returncode, flush=True)
    sys.stdin.read()  # ends with the process that started this one, or with its patience
while children := Path("/proc/thread-self/children").read_text().split():
    for child in map(int, children):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
"""


@contextmanager
def _environment(change: Mapping[str, str], *, only: bool = False) -> Iterator[None]:
    """os.environ with these variables, and `only` these of Ray's; all of Ray's are at the end as they were."""
    before = _ray_variables()
    if only:
        _remove_ray_variables()
    os.environ.update(change)
    try:
        yield
    finally:
        _remove_ray_variables()
        os.environ.update(before)


def _ray_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("RAY_", "PYTHONBREAKPOINT"))}


def _remove_ray_variables() -> None:
    for name in _ray_variables():
        del os.environ[name]


with _environment(_QUIET):  # some are read at the first import
    import ray as ray


@contextmanager
def ray_session(address: str | None, should_stop: ShouldStop = lambda: False) -> Iterator[Callable[[], bool]]:
    """A connection to the cluster at `address`, or, for None, to a Ray of our own that ends with it.

    What it gives says whether that Ray is still whole; of one that is not our own nobody knows. A process that is
    connected already keeps its connection. Raises WorkerError when there is none to be had, and Stopped.
    """
    if ray.is_initialized():
        yield _unknown
    elif address is None:
        with _private(should_stop) as alive:
            yield alive
    elif "RAY_AUTH_MODE" not in os.environ:
        raise WorkerError(f"{address}: set RAY_AUTH_MODE=token (or disabled, where the network is private) to join it")
    else:
        _require_server(address)
        with private_tempdir() as home, _environment(_QUIET):
            _connect(address, home / "empty")
            try:
                yield _unknown
            finally:
                _leave()


def _unknown() -> bool:
    return True


def connect(address: str) -> socket.socket:
    """A connection to a host and port. Raises OSError, and OverflowError for a port that cannot be."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S)


def _require_server(address: str) -> None:
    """Raises WorkerError where no server of gRPC's kind answers: Ray would wait for minutes."""
    if address == "auto":
        listed = Path(os.environ.get("RAY_TMPDIR", "/tmp"), _ADDRESS_FILE)
        address = os.environ.get("RAY_ADDRESS") or (listed.read_text().strip() if listed.exists() else "")
    if "://" in address or not address.rpartition(":")[2].isdecimal():
        return
    try:
        with connect(address) as connection:
            if "RAY_USE_TLS" not in os.environ:
                connection.sendall(_HTTP2_HELLO)
                if connection.recv(9)[3:4] != _HTTP2_SETTINGS:
                    raise ConnectionError("something else listens there")
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise WorkerError(f"{address}: no Ray cluster answers there ({why})") from error


@contextmanager
def _private(should_stop: ShouldStop) -> Iterator[Callable[[], bool]]:
    """A Ray whose ports, which listen on every interface, answer to nobody without our token.

    It takes none of Ray's variables from the environment: they are meant for other clusters.
    """
    with ExitStack() as stack:
        try:
            home = stack.enter_context(private_tempdir(max_bytes=107 - len(_LONGEST_SOCKET)))
        except OSError as error:
            raise WorkerError(f"Ray does not start: {error}") from error
        # Ray itself asks for the token of a cluster that it finds by this directory.
        with _environment(_QUIET | {"RAY_TMPDIR": str(home), "RAY_AUTH_TOKEN_PATH": _new_token(home)}, only=True):
            launcher = stack.enter_context(_launcher(home, should_stop))
            _connect("auto", directory=home / "empty")
            stack.callback(ray.shutdown)
        yield lambda: _is_whole(launcher)


def _new_token(home: Path) -> str:
    """The path of a token that only we can read."""
    path = home / "token"
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(_TOKEN)
    return str(path)


@contextmanager
def _launcher(home: Path, should_stop: ShouldStop) -> Iterator["subprocess.Popen[str]"]:
    """The process that starts Ray, and ends all of Ray's processes with this one."""
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "PYTHONPATH": _search_path()}
    # Ray's processes inherit the mask: a SIGTERM to the whole group, as systemd sends it, or a SIGINT from a terminal
    # must leave us the workers to finish the file with.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        with (home / "log").open("wb") as log:
            launcher = subprocess.Popen(
                [sys.executable, "-P", "-c", _LAUNCHER, _START, *_options(home)],
                env=environment,
                cwd=home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with launcher:  # at the end its input is closed, and it is waited for
        _wait_for(launcher, home, should_stop)
        yield launcher


def _wait_for(launcher: "subprocess.Popen[str]", home: Path, should_stop: ShouldStop) -> None:
    """Wait for Ray. Raises WorkerError with the last line of what it says where it does not start, and Stopped."""
    output, until = cast("IO[str]", launcher.stdout), time.monotonic() + START_S
    while not select.select([output], [], [], _START_POLL_S)[0]:
        require_start(should_stop)
        if time.monotonic() > until:
            raise WorkerError(f"Ray does not start on this machine within {START_S:.0f} s; 0 workers need no Ray")
    if output.readline() != "0\n":
        lines = (home / "log").read_text(errors="replace").split("\n")
        last = next(filter(None, map(str.strip, reversed(lines))), "it does not say why")
        raise WorkerError(f"Ray does not start on this machine: {last}; 0 workers need no Ray")


def require_start(should_stop: ShouldStop) -> None:
    """Raises Stopped where a start is not wanted any more."""
    if should_stop():
        raise Stopped("its workers were still starting")


def _is_whole(launcher: "subprocess.Popen[str]") -> bool:
    """Whether the launcher lives with all of its children: those that have ended stay with it."""
    if launcher.poll() is not None:
        return False
    with suppress(OSError):
        children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        return not any("State:\tZ" in Path(f"/proc/{child}/status").read_text() for child in children)
    return launcher.poll() is None


def _options(home: Path) -> list[str]:
    """Of a Ray without what serves nobody here."""
    store = LEAST_STORE_BYTES
    with suppress(OSError):  # there may be no /dev/shm. Where it does not fit into that, Ray puts all of it on a disk.
        store = max(store, min(MOST_STORE_BYTES, shutil.disk_usage("/dev/shm").free // 2))
    return [
        *("start", "--head", "--port=0", f"--temp-dir={home / 'ray'}"),
        *("--num-cpus=0", "--num-gpus=0", f"--object-store-memory={store}"),  # cores are planned by us
        *("--include-dashboard=false", "--dashboard-port=0", "--dashboard-agent-listen-port=0"),
        *("--include-log-monitor=false", "--no-monitor", "--disable-usage-stats"),
    ]


def _search_path() -> str:
    """PYTHONPATH of Ray's processes: ours without the empty entry, and where vidsr is, if Python does not look there.

    The current directory and the script's are not among them.
    """
    given = [os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    ours = str(Path(__file__).parents[2])
    installed = ours in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    found = not installed and ours in map(os.path.abspath, sys.path)
    return os.pathsep.join([*given, ours] if found else given)


def _connect(address: str, directory: Path) -> None:
    """Connect, with workers that start in a copy of an empty directory, not in the current one, among its modules."""
    directory.mkdir()
    # A job of `ray job submit` has a directory of its own.
    environment = None if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ else {"working_dir": str(directory)}
    try:
        with _signals_kept():
            ray.init(address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        raise WorkerError(f"no Ray cluster to join at {address}: {error}") from error


def _leave() -> None:
    """End the connection to a cluster, unless its head is silent: for minutes Ray would wait for its answer."""
    try:
        connect(ray.get_runtime_context().gcs_address).close()
    except TimeoutError:
        atexit.unregister(ray.shutdown)
        _end_without_destructors()
        return
    except OSError:
        pass
    ray.shutdown()


def _end_without_destructors() -> None:
    """Have the process end, with its exit code, once Python has ended and all files are flushed.

    Ray's threads go on, and crash in what the destructors of its library have left.
    """
    libc = ctypes.CDLL(None)
    for function in (libc._exit, libc.fcloseall):  # the last one is called first
        libc.on_exit(function, None)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """The caller's handler of SIGTERM stays, and receives what is sent meanwhile: Ray puts its own in its place."""
    before, mask = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
