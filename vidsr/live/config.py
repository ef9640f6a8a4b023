"""The configuration of a supervisor and of each camera's process, and the start of the supervisor with it."""

import os
import pickle
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from vidsr.settings import EncodeSettings, PoolSettings, RecordSettings, StreamSettings
from vidsr.stream_url import StreamUrl


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """One camera: its source, its targets and its settings. Its process reads it, pickled, from stdin."""

    name: str
    source: StreamUrl
    targets: tuple[StreamUrl, ...]
    preview_dir: Path | None = None
    """A private directory of the supervisor for the newest frame before and after upscaling (before.jpg, after.jpg);
    None without a web page to show them."""
    stream: StreamSettings = field(default_factory=StreamSettings)
    record: RecordSettings = field(default_factory=RecordSettings)
    encode: EncodeSettings = field(default_factory=EncodeSettings)
    pool: PoolSettings = field(default_factory=PoolSettings)
    log_level: str = "WARNING"
    """The lowest level that is logged, by name."""
    neighbours: tuple[Path, ...] = ()
    """The directories of segments of all cameras."""


@dataclass(frozen=True, kw_only=True)
class SupervisorConfig:
    """All cameras of a supervisor, and its HTTP server. The cameras have no `preview_dir` yet."""

    cameras: tuple[CameraConfig, ...]
    http: tuple[str, int] | None = None
    """Host and port of the HTTP server; None without one."""
    http_hosts: tuple[str, ...] = ()
    """The names of hosts that it answers to besides this machine's."""
    log_level: str = "WARNING"
    """The lowest level that is logged, by name."""


def module_command(module: str) -> list[str]:
    """The command that runs a module of vidsr in another Python, which ignores the current directory."""
    return [sys.executable, "-P", "-m", module]


def exec_supervisor(config: SupervisorConfig) -> NoReturn:
    """Replace this process by the supervisor, under the same process id. The configuration is passed in memory."""
    config_file = os.memfd_create("vidsr-config", flags=0)  # no flag: inherited by exec
    with open(config_file, "wb", closefd=False) as file:
        pickle.dump(config, file)
    os.lseek(config_file, 0, os.SEEK_SET)
    sys.stdout.flush()
    sys.stderr.flush()
    command = [*module_command("vidsr.live"), str(config_file)]
    os.execve(command[0], command, _environment(config))


def _environment(config: SupervisorConfig) -> dict[str, str]:
    """The environment without variables that hold the URL of a source, and with our module search path."""
    secret = {config.source.text for config in config.cameras if config.source.scheme}
    kept = {name: value for name, value in os.environ.items() if value.strip() not in secret}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
