"""The configuration of a supervisor and of each camera's process, and the start of the supervisor with it."""

import os
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from vidsr.settings import EncodeSettings, LearnSettings, PoolSettings, RecordSettings, StreamSettings
from vidsr.stream_url import PIPE_SCHEME, STDOUT, StreamUrl


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
    learn: LearnSettings | None = None
    """How it learns its own scene; None if it does not."""
    main: StreamUrl | None = None
    """The main stream of the camera, from which it learns; None to learn from its own originals."""
    learn_dir: Path | None = None
    """The folder of what it learns."""
    learned: Path | None = None
    """The folder of the learned network; later ones come through stdin."""
    log_level: str = "WARNING"
    """The lowest level that is logged, by name."""
    neighbours: Mapping[Path, float] = field(default_factory=dict)
    """The directories of segments of all cameras, and the GB that each keeps; later ones come through stdin."""
    segment_dir: Path | None = None
    """The first target that is a directory of segments."""
    playlist: Path | None = None
    """The first target that is an HLS playlist."""
    model_digest: str = ""
    """The SHA-256 of a model file, which may change under its name."""

    def is_same_camera(self, other: "CameraConfig") -> bool:
        """Whether the process of this one can go on for the other one."""
        own, others = (replace(each, neighbours={}, learned=None) for each in (self, other))
        return own == others


@dataclass(frozen=True, kw_only=True)
class SupervisorConfig:
    """All cameras of a supervisor, and its HTTP server. The cameras have no `preview_dir` yet."""

    cameras: tuple[CameraConfig, ...]
    file: Path | None = None
    """The file of cameras, which SIGHUP reads again."""
    hidden_environment: dict[str, str] = field(default_factory=dict)
    """The variables that hold URLs of sources: only the process that reads the file again receives them."""
    http: tuple[str, int] | None = None
    """Host and port of the HTTP server; None without one."""
    http_hosts: tuple[str, ...] = ()
    """The names of hosts that it answers to besides this machine's."""
    http_base: str = ""
    """The path below which a proxy serves it, such as /cameras."""
    http_users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The passwords of its users, by name; none are needed without any."""
    log_level: str = "WARNING"
    """The lowest level that is logged, by name."""


def pipe_of(config: CameraConfig) -> int | None:
    """The number of the open file that is a target of the camera, None without one."""
    numbers = [int(url.text.partition("://")[2]) for url in config.targets if url.scheme == PIPE_SCHEME]
    return numbers[0] if numbers else None


def only_pipe(config: CameraConfig) -> int | None:
    """As `pipe_of`; None for a camera that has other targets, too."""
    return pipe_of(config) if len(config.targets) == 1 else None


def _with_open_stdout(config: SupervisorConfig) -> SupervisorConfig:
    """The config with an open file in place of a target that is the standard output, on which all else is silent."""
    if not any(url.text == STDOUT for camera in config.cameras for url in camera.targets):
        return config
    sys.stdout.flush()
    pipe = os.dup(sys.stdout.fileno())
    stdout = StreamUrl(f"{PIPE_SCHEME}://{pipe}")
    os.set_inheritable(pipe, True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    cameras = (
        replace(camera, targets=tuple(stdout if url.text == STDOUT else url for url in camera.targets))
        for camera in config.cameras
    )
    return replace(config, cameras=tuple(cameras))


def module_command(module: str) -> list[str]:
    """The command that runs a module of vidsr in another Python, which ignores the current directory."""
    return [sys.executable, "-P", "-m", module]


def exec_supervisor(config: SupervisorConfig) -> NoReturn:
    """Replace this process by the supervisor, under the same process id. The configuration is passed in memory."""
    config = _with_open_stdout(config)
    urls = [url for camera in config.cameras for url in (camera.source, camera.main) if url]
    secret = {url.text for url in urls if url.scheme}
    hidden = {name: value for name, value in os.environ.items() if value.strip() in secret}
    config = replace(config, hidden_environment=hidden if config.file else {})
    config_file = os.memfd_create("vidsr-config", flags=0)  # no flag: inherited by exec
    with open(config_file, "wb", closefd=False) as file:
        pickle.dump(config, file)
    os.lseek(config_file, 0, os.SEEK_SET)
    sys.stdout.flush()
    sys.stderr.flush()
    command = [*module_command("vidsr.live"), str(config_file)]
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    os.execve(command[0], command, {**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
