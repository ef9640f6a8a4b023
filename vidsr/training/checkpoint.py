"""Where training stands, in a file from which it goes on."""

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
class Moment:
    """How far a stretch of training is."""

    step: int
    loss: float
    """The mean since the moment before."""
    rate: float
    psnr: float | None
    """Of the averaged network on what is held out, in dB."""
    seconds: float
    """Since the stretch began, without the time in which it was interrupted."""


@dataclass(kw_only=True)
class State:
    """Everything that training changes as it goes."""

    network: Network
    average: Network
    """The running average of the weights: what training is for."""
    optimizer: torch.optim.Optimizer
    best: Network | None = None
    """What the average was when it was measured best, where the schedule asks for that."""
    step: int = 0
    seconds: float = 0.0
    history: list[Moment] = field(default_factory=list)

    @property
    def result(self) -> Network:
        """What training has come to."""
        return self.best or self.average

    @property
    def scores(self) -> list[float | None]:
        """What was measured, in dB."""
        return [moment.psnr for moment in self.history]


def save_state(path: Path, state: State) -> None:
    """Write the file, whole or not at all. Raises TargetError when it cannot be; what was there stays."""
    content = {
        "architecture": repr(state.network.architecture),
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "best": state.best and state.best.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
        "history": [asdict(moment) for moment in state.history],
    }
    buffer = io.BytesIO()  # torch.save says nothing that a person could read when a disk is full
    torch.save(content, buffer)
    with atomic_write(path, overwrite=True) as file:
        file.write(buffer.getbuffer())


def load_state(path: Path, state: State) -> None:
    """Bring the state to where the file says, if there is one.

    Raises TrainingError when it is of another network or damaged.
    """
    if not path.exists():
        return
    try:
        content = torch.load(path, weights_only=True, map_location=state.network.bicubic.device)
        if content["architecture"] != repr(state.network.architecture):
            raise TrainingError(f"{path}: is a checkpoint of another network than {state.network.architecture}")
        state.network.load_state_dict(content["network"])
        state.average.load_state_dict(content["average"])
        state.optimizer.load_state_dict(content["optimizer"])
        if content["best"]:
            state.best = copy.deepcopy(state.average)
            state.best.load_state_dict(content["best"])
        state.step, state.seconds = int(content["step"]), float(content["seconds"])
        state.history = [Moment(**moment) for moment in content["history"]]
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror}") from error
    except (RuntimeError, ValueError, TypeError, KeyError, EOFError, UnpicklingError) as error:
        raise TrainingError(f"{path}: not a checkpoint, or a damaged one ({error})") from error
