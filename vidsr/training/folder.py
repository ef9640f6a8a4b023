"""The folder of a training: what was asked for, how it goes, what comes of it."""

import json
from dataclasses import asdict
from pathlib import Path

from vidsr.errors import TargetError, TrainingError
from vidsr.media.landing import whole_file
from vidsr.training.checkpoint import Moment

Described = dict[str, object]
"""What was asked for, as JSON has it."""
_ASKED, _STRETCHES = "asked", "stretches"


def open_folder(folder: Path, asked: Described) -> None:
    """Make the folder, or take one in which the same was asked for before.

    Raises TargetError when it cannot be made or its training is done, TrainingError when something else is under way.
    """
    log = folder / "log.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = json.loads(log.read_text())[_ASKED] if checkpoint_of(folder, 0).exists() else asked
    except OSError as error:
        raise TargetError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{log}: is no log of a training ({error})") from error
    if model_of(folder).exists():
        raise TargetError(f"{model_of(folder)}: exists already; its training is done")
    for name in asked:
        if before.get(name) != asked[name]:
            raise TrainingError(
                f"{folder}: holds a training with another {name} ({before.get(name)}, not {asked[name]}); "
                "take another folder, or remove this one"
            )
    write_log(folder, asked, [], {})


def write_log(folder: Path, asked: Described, stretches: list[list[Moment]], result: Described) -> None:
    """Put everything that is known so far into log.json. Raises TargetError."""
    moments = [[asdict(moment) for moment in stretch] for stretch in stretches]
    content = {_ASKED: asked, _STRETCHES: moments, **result}
    with whole_file(folder / "log.json", overwrite=True) as file:
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
