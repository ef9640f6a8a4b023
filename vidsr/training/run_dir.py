"""The folder of a training: what was asked for, how it goes, what comes of it."""

import json
from dataclasses import asdict
from pathlib import Path

from vidsr.errors import TargetError, TrainingError
from vidsr.media.atomic_file import atomic_write
from vidsr.training.checkpoint import Moment

Described = dict[str, object]
"""What was asked for, as JSON has it."""
_ASKED, _STRETCHES, _RESULT = "asked", "stretches", "result"


def open_folder(folder: Path, asked: Described) -> None:
    """Make the folder, or take one in which the same was asked for before.

    Raises TargetError when it cannot be made or its training is done, TrainingError when something else is under way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        begun = checkpoint_of(folder, 0).exists()
    except OSError as error:
        raise TargetError(f"{error.filename}: {error.strerror}") from error
    if model_of(folder).exists():
        raise TargetError(f"{model_of(folder)}: exists already; its training is done")
    if begun:
        _read_log(folder, asked)
    write_log(folder, asked, [])


def result_of(folder: Path, asked: Described) -> Described | None:
    """What came of the same training, if it is done. Raises TrainingError when it is another that is."""
    result = _read_log(folder, asked)[_RESULT] if model_of(folder).exists() else None
    assert result is None or isinstance(result, dict)
    return result


def write_log(folder: Path, asked: Described, stretches: list[list[Moment]], result: Described | None = None) -> None:
    """Put everything that is known so far into log.json. Raises TargetError."""
    moments = [[asdict(moment) for moment in stretch] for stretch in stretches]
    content = {_ASKED: asked, _STRETCHES: moments, _RESULT: result}
    with atomic_write(_log_of(folder), overwrite=True) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def checkpoint_of(folder: Path, stretch: int) -> Path:
    """Where the checkpoint of a stretch is, counted from 0."""
    return folder / f"checkpoint-{stretch}.pt"


def model_of(folder: Path) -> Path:
    """Where the weights are when training is done."""
    return folder / "model.npz"


def curve_of(folder: Path) -> Path:
    """Where the picture of how it went is."""
    return folder / "curve.png"


def _log_of(folder: Path) -> Path:
    return folder / "log.json"


def _read_log(folder: Path, asked: Described) -> Described:
    """What is in log.json. Raises TrainingError when it is none, or of something else."""
    try:
        log: Described = json.loads(_log_of(folder).read_text())
        before = log[_ASKED]
        if not isinstance(before, dict):
            raise TypeError("nothing was asked")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{_log_of(folder)}: is no log of a training ({error})") from error
    for name, value in json.loads(json.dumps(asked)).items():
        if before.get(name) != value:
            raise TrainingError(
                f"{folder}: holds a training with another {name} ({before.get(name)}, not {value}); "
                "take another folder, or remove this one"
            )
    return log
