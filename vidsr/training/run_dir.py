"""The run directory of a training: its config, log, checkpoints, learning curve and model."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.errors import TargetError, TrainingError
from vidsr.media.atomic_file import atomic_write
from vidsr.training.data.dataset_builder import Config, check_config

if TYPE_CHECKING:
    from vidsr.training.loop import LogEntry

MODEL, CURVE, LOG = "model.npz", "curve.png", "log.json"
"""The final weights, the plot of the learning curve and the log, in the run directory."""
_CONFIG, _STAGES, _RESULT = "config", "stages", "result"


@contextmanager
def open_run_dir(run_dir: Path, config: Config) -> Iterator[None]:
    """Create the run directory, or accept an unfinished run with the same config; the log is begun after `with`.

    A directory that was made is removed where nothing comes of it. Raises TargetError when it cannot be created or
    holds a finished run, TrainingError for a run of another config.
    """
    made = [folder for folder in (run_dir, *run_dir.parents) if not os.path.exists(folder)]
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        started = checkpoint_path(run_dir, 0).exists()
    except OSError as error:
        raise TargetError(f"{error.filename}: {error.strerror}") from error
    if (run_dir / MODEL).exists():
        raise TargetError(f"{run_dir / MODEL}: exists already, as its training is complete; choose another directory")
    if started:
        _read_log(run_dir, config)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it is not empty
            for folder in made:
                folder.rmdir()
        raise
    write_log(run_dir, config, [])


def read_result(run_dir: Path, config: Config) -> Config | None:
    """The result of a finished run, None if it is unfinished. Raises TrainingError for a run of another config."""
    result = _read_log(run_dir, config)[_RESULT] if (run_dir / MODEL).exists() else None
    assert result is None or isinstance(result, dict)
    return result


def write_log(run_dir: Path, config: Config, stages: list[list["LogEntry"]], result: Config | None = None) -> None:
    """Write the config, the log entries and the result to log.json. Raises TargetError."""
    entries = [[asdict(entry) for entry in stage] for stage in stages]
    content = {_CONFIG: config, _STAGES: entries, _RESULT: result}
    with atomic_write(run_dir / LOG, overwrite=True) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def checkpoint_path(run_dir: Path, stage: int) -> Path:
    """The path of the checkpoint of a stage, counted from 0."""
    return run_dir / f"checkpoint-{stage}.pt"


def _read_log(run_dir: Path, config: Config) -> Config:
    """The content of log.json. Raises TrainingError when it is no log, or of another config."""
    try:
        log: Config = json.loads((run_dir / LOG).read_text())
        before = log[_CONFIG]
        if not isinstance(before, dict):
            raise TypeError("config is no object")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{run_dir / LOG}: not a training log ({error}); choose another directory") from error
    check_config(run_dir, before, json.loads(json.dumps(config)), "a training")
    return log
