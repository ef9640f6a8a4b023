"""The training loop; from its checkpoint it resumes with the same result as without the interruption."""

import copy
import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidsr.callbacks import ShouldStop
from vidsr.errors import TrainingError
from vidsr.flow import prefetch
from vidsr.media.atomic_file import atomic_write
from vidsr.training.data.patches import BatchSource
from vidsr.training.network import Network
from vidsr.training.schedule import Schedule

PREFETCH_BATCHES = 4
"""Batches drawn while the network trains; each is a few megabytes."""
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": functional.l1_loss, "mse": functional.mse_loss}


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
    """Load the checkpoint, if the file exists. Raises TrainingError for another network or a damaged file."""
    if not path.exists():
        return
    try:
        content = torch.load(path, weights_only=True, map_location=state.network.bicubic.device)
        if content["architecture"] != repr(state.network.architecture):
            raise TrainingError(
                f"{path}: is of another network than {state.network.architecture}; choose another directory"
            )
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
        raise TrainingError(
            f"{path}: not a checkpoint, or damaged ({error}); remove it to repeat its stage"
        ) from error


def train(
    network: Network,
    patches: BatchSource,
    schedule: Schedule,
    *,
    checkpoint: Path,
    validate: Callable[[Network], float] | None = None,
    on_step: Callable[[TrainState, float], None] = lambda state, loss: None,
    should_stop: ShouldStop = lambda: False,
) -> TrainState:
    """Returns the state at the end of the schedule, or earlier when `should_stop`; resumes from `checkpoint`.

    Every `schedule.every` steps `validate` scores the averaged network and the state is saved. A schedule with
    patience ends when the score stops improving. `on_step` receives the state and the loss of each step.
    Raises TrainingError for a loss that is not finite or a checkpoint that cannot be loaded, TargetError for one that
    cannot be written.
    """
    state = _initial_state(network, schedule)
    load_checkpoint(checkpoint, state)
    model = _compile(network) if schedule.compiled else network
    device = network.bicubic.device
    losses: list[float] = []
    began = time.monotonic() - state.seconds
    with closing(prefetch(_batches(patches, schedule, state.step), PREFETCH_BATCHES)) as batches:
        for lr, hr in batches:
            if schedule.is_over(state.step, state.scores):
                break
            if should_stop():
                save_checkpoint(checkpoint, state)
                break
            loss = LOSSES[schedule.loss](model(lr.to(device)), hr.to(device))
            losses.append(_finite_loss(loss, state))
            _optimizer_step(state, loss, schedule)
            if state.step % schedule.every == 0 or state.step == schedule.steps:
                state.seconds = time.monotonic() - began
                _evaluate(state, schedule, losses, validate)
                save_checkpoint(checkpoint, state)
            on_step(state, loss.item())
    return state


def _finite_loss(loss: Tensor, state: TrainState) -> float:
    value = loss.item()
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss is {value} at step {state.step} of {state.network.architecture}; try a lower rate"
        )
    return value


def _compile(network: Network) -> Callable[[Tensor], Tensor]:
    torch.compiler.reset()  # or PyTorch stops compiling a module whose shape changes too often
    return torch.compile(network, dynamic=False)


def _initial_state(network: Network, schedule: Schedule) -> TrainState:
    """The state before the first step; the average always computes in float32."""
    ema = copy.deepcopy(network)
    ema.mixed, network.mixed = False, schedule.mixed
    optimizer = torch.optim.Adam(network.select_trainable(schedule.part), betas=(0.9, 0.99))
    return TrainState(network=network, ema=ema, optimizer=optimizer)


def _batches(patches: BatchSource, schedule: Schedule, first: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The batch of each step from `first` on; it depends on the seed and the step alone."""
    return (patches.draw(np.random.default_rng((schedule.seed, step))) for step in range(first, schedule.steps))


def _optimizer_step(state: TrainState, loss: Tensor, schedule: Schedule) -> None:
    group = state.optimizer.param_groups[0]
    group["lr"] = schedule.rate_at(state.step)
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(group["params"], 1.0)
    state.optimizer.step()
    state.step += 1
    share = min(
        schedule.ema_decay, state.step / (state.step + 9)
    )  # a short average first: early weights are far from the final ones
    with torch.no_grad():
        for mean, value in zip(state.ema.parameters(), state.network.parameters(), strict=True):
            mean.lerp_(value, 1 - share)


def _evaluate(
    state: TrainState, schedule: Schedule, losses: list[float], validate: Callable[[Network], float] | None
) -> None:
    score = validate(state.ema) if validate else None
    if schedule.patience is not None and all(before is None or (score or 0) > before for before in state.scores):
        state.best = copy.deepcopy(state.ema)
    state.history.append(
        LogEntry(
            step=state.step,
            loss=float(np.mean(losses)),
            rate=schedule.rate_at(state.step - 1),
            psnr=score,
            seconds=state.seconds,
        )
    )
    losses.clear()
