"""The Ray that the workers live in: a private one on this machine, or a running cluster."""

import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray._private.worker import global_worker
from ray._raylet import AuthenticationMode, AuthenticationTokenLoader, Config, get_authentication_mode

from vidsr.errors import WorkerError

OBJECT_STORE_BYTES = 512 << 20  # planes in flight: 32 MB a 4K frame in and out, a dozen of them, and room

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # else a SIGTERM while a file is finalised may end in an abort
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
}


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """A connection to the cluster at `address`, or, for None, to a Ray of our own that ends with it.

    A process that is connected already keeps its connection. Raises WorkerError when there is none to be had.
    """
    if ray.is_initialized():
        yield
        return
    with _joined(address) if address else _private():
        yield


@contextmanager
def _private() -> Iterator[None]:
    """A local Ray whose ports, which listen on every interface, answer to nobody without our token."""
    home = Path(tempfile.mkdtemp(prefix="vidsr-", dir="/tmp"))  # short: socket paths below it end at 107 bytes
    token = home / "token"
    with os.fdopen(os.open(token, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    try:
        with _environment({**_QUIET, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}):
            # Ray reads both once, at import; a process may open one pool after another.
            Config.initialize("")
            AuthenticationTokenLoader.instance().reset_cache()
            if get_authentication_mode() != AuthenticationMode.TOKEN:
                raise WorkerError("Ray does not ask for a token, and would answer to anyone on the network")
            try:
                with _signals_kept():
                    ray.init(
                        num_cpus=0,  # cores are planned by us; Ray starts no worker ahead
                        include_dashboard=False,
                        object_store_memory=OBJECT_STORE_BYTES,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                        _temp_dir=str(home / "ray"),  # Ray opens this folder to all; the one above it stays ours
                    )
            except Exception as error:
                raise WorkerError(f"Ray does not start on this machine: {error}") from error
            _hush()
            try:
                yield
            finally:
                ray.shutdown()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _joined(address: str) -> Iterator[None]:
    if os.environ.get("RAY_AUTH_MODE") is None:
        raise WorkerError(f"{address}: set RAY_AUTH_MODE=token (or disabled, where the network is private) to join it")
    with _environment(_QUIET):
        try:
            with _signals_kept():
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
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
    global_worker.gcs_error_subscriber.close()
    global_worker.listener_thread.join()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """The caller's handler of SIGTERM stays: Ray would put its own in its place."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
