"""Checkpoints: the state of a training in a file, from which it resumes."""

import copy
import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch

from vidsr.errors import TrainingError
from vidsr.media.atomic_file import atomic_write
from vidsr.training.network import Network


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """One measurement of a training stage, as log.json holds it."""

    step: int
    loss: float
    """Mean over the steps since the entry before."""
    rate: float
    psnr: float | None
    """Of the averaged network on the validation set, in dB."""
    seconds: float
    """Of training in this stage, interruptions excluded."""


@dataclass(kw_only=True)
class TrainState:
    """Everything that a training step changes."""

    network: Network
    ema: Network
    """The exponential moving average of the weights: the product of training."""
    optimizer: torch.optim.Optimizer
    best: Network | None = None
    """The average with the best score so far; None for a schedule without patience."""
    step: int = 0
    seconds: float = 0.0
    history: list[LogEntry] = field(default_factory=list)

    @property
    def result(self) -> Network:
        """The network to keep: the best average, or the current one."""
        return self.best or self.ema

    @property
    def scores(self) -> list[float | None]:
        """The PSNR of every log entry, in dB."""
        return [entry.psnr for entry in self.history]


def save_checkpoint(path: Path, state: TrainState) -> None:
    """Write the checkpoint atomically. Raises TargetError; the previous file then stays."""
    content = {
        "architecture": repr(state.network.architecture),
        "network": state.network.state_dict(),
        "ema": state.ema.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "best": state.best and state.best.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
        "history": [asdict(entry) for entry in state.history],
    }
    buffer = io.BytesIO()  # torch.save hides the reason when a disk is full
    torch.save(content, buffer)
    with atomic_write(path, overwrite=True) as file:
        file.write(buffer.getbuffer())


def load_checkpoint(path: Path, state: TrainState) -> None:
    """Load the checkpoint into the state, if the file exists.

    Raises TrainingError for a checkpoint of another network or a damaged file.
    """
    if not path.exists():
        return
    try:
        content = torch.load(path, weights_only=True, map_location=state.network.bicubic.device)
        if content["architecture"] != repr(state.network.architecture):
            raise TrainingError(f"{path}: checkpoint of another network than {state.network.architecture}")
        state.network.load_state_dict(content["network"])
        state.ema.load_state_dict(content["ema"])
        state.optimizer.load_state_dict(content["optimizer"])
        if content["best"]:
            state.best = copy.deepcopy(state.ema)
            state.best.load_state_dict(content["best"])
        state.step, state.seconds = int(content["step"]), float(content["seconds"])
        state.history = [LogEntry(**entry) for entry in content["history"]]
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror}") from error
    except (RuntimeError, ValueError, TypeError, KeyError, EOFError, UnpicklingError) as error:
        raise TrainingError(f"{path}: not a checkpoint, or damaged ({error})") from error
