"""The training loop; from its checkpoint it resumes with the same result as without the interruption."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidsr.callbacks import ShouldStop
from vidsr.errors import TrainingError
from vidsr.flow import prefetch
from vidsr.psnr_ssim import psnr
from vidsr.training.checkpoint import LogEntry, TrainState, load_checkpoint, save_checkpoint
from vidsr.training.data.patches import BatchSource, Pair
from vidsr.training.network import Network
from vidsr.training.schedule import Schedule

PREFETCH_BATCHES = 4
"""Batches drawn while the network trains; each is a few megabytes."""
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": functional.l1_loss, "mse": functional.mse_loss}


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


@torch.no_grad()
def validation_psnr(network: Network, pairs: list[Pair]) -> float:
    """Mean PSNR in dB over full frames, `scale` pixels cropped from every border."""
    halo, scale, device = network.architecture.halo, network.architecture.scale, network.bicubic.device
    inner = slice(scale, -scale)
    scores = []
    for pair in pairs:
        lr = functional.pad(torch.from_numpy(pair.lr_floats)[None, None], (halo,) * 4, mode="replicate")
        hr = (network(lr.to(device))[0, 0].clamp(0, 1) * 255).round().numpy(force=True)
        scores.append(psnr(pair.hr[inner, inner], hr[inner, inner]))
    return float(np.mean(scores))


def _finite_loss(loss: Tensor, state: TrainState) -> float:
    """The value of the loss. Raises TrainingError when it is not finite."""
    value = loss.item()
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss is {value} at step {state.step} of {state.network.architecture}; try a lower rate"
        )
    return value


def _compile(network: Network) -> Callable[[Tensor], Tensor]:
    """The network compiled for batches of one shape.

    The compiler cache is reset first: PyTorch stops compiling a module whose shape changes too often.
    """
    torch.compiler.reset()
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
