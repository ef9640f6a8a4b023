"""Collecting as the supervisor has it done: a process that reads a config from stdin."""

import pickle
import subprocess
import sys
from pathlib import Path

from fork_server import ForkedPython

from vidsr.learn_dir import LearnDir
from vidsr.live.config import CameraConfig
from vidsr.settings import LearnSettings, RecordSettings, StreamSettings
from vidsr.stream_url import StreamUrl

MOMENT_S = 3.2
"""Three changes from second to second. The settings allow 5 s at the least, for which the tests would wait."""
COMMAND = [sys.executable, "-m", "vidsr.learning.collect_process"]


def learning_camera(
    folder: Path,
    source: str,
    main: str | None = None,
    *,
    name: str = "a",
    record: RecordSettings | None = None,
    **learn: object,
) -> CameraConfig:
    """A camera that collects short moments into a folder."""
    settings = LearnSettings(**learn)
    if "moment_s" not in learn:
        object.__setattr__(settings, "moment_s", MOMENT_S)
    return CameraConfig(
        name=name,
        source=StreamUrl(source),
        targets=(),
        stream=StreamSettings(timeout_s=20.0),
        record=record or RecordSettings(min_free_gb=0.0),
        learn=settings,
        main=StreamUrl(main) if main else None,
        learn_dir=folder / f"learn-{name}",
    )


def start(config: CameraConfig, *, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """A process that collects one moment."""
    process = ForkedPython(COMMAND, stdin=subprocess.PIPE, stderr=stderr)
    assert process.stdin
    process.stdin.write(pickle.dumps(config))
    process.stdin.close()
    return process


def collect(config: CameraConfig, *, code: int = 0) -> str:
    """What a process that collects one moment says on stderr."""
    return _end(start(config, stderr=subprocess.PIPE), code)


def collect_at_once(*configs: CameraConfig) -> list[str]:
    """The same of processes that collect beside each other."""
    processes = [start(config, stderr=subprocess.PIPE) for config in configs]
    return [_end(process, 0) for process in processes]


def _end(process: subprocess.Popen[bytes], code: int) -> str:
    assert process.stderr
    with process.stderr as stderr:
        said = stderr.read().decode()
    assert (process.wait(60), "Traceback" in said) == (code, False), said
    return said


def folder_of(config: CameraConfig) -> LearnDir:
    """What the camera learns."""
    assert config.learn_dir
    return LearnDir(config.learn_dir)


def events(config: CameraConfig) -> list[str]:
    """The events in the folder of the camera."""
    return [event["event"] for event in folder_of(config).events()]
