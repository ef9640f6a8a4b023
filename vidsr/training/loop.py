"""Training: one visible loop, and a checkpoint from which it goes on as if it had never stopped."""

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

from vidsr.errors import TrainingError
from vidsr.flow import ahead
from vidsr.metrics import psnr
from vidsr.training.checkpoint import Moment, State, load_state, save_state
from vidsr.training.data.patches import Batches, Pair
from vidsr.training.network import Network
from vidsr.training.schedule import Schedule

BATCHES_AHEAD = 4
"""Drawn while the network learns; each is a few megabytes."""
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": functional.l1_loss, "mse": functional.mse_loss}


def train(
    network: Network,
    patches: Batches,
    schedule: Schedule,
    *,
    checkpoint: Path,
    validate: Callable[[Network], float] | None = None,
    tell: Callable[[State, float], None] = lambda state, loss: None,
    stop: Callable[[], bool] = lambda: False,
) -> State:
    """The state after the schedule, or before its end when `stop` said so; what `checkpoint` holds is not done again.

    Now and then the state is saved and `validate` measures the averaged network; a schedule with patience ends once
    that gets no better. `tell` hears of each step and its loss.
    Raises TrainingError when the loss is not finite or the checkpoint cannot be used, TargetError when it cannot be
    written.
    """
    state = _begun(network, schedule)
    load_state(checkpoint, state)
    run = _compiled(network) if schedule.compiled else network
    device = network.bicubic.device
    losses: list[float] = []
    began = time.monotonic() - state.seconds
    with closing(ahead(_batches(patches, schedule, state.step), BATCHES_AHEAD)) as batches:
        for small, large in batches:
            if schedule.over(state.step, state.scores):
                break
            if stop():
                save_state(checkpoint, state)
                break
            loss = LOSSES[schedule.loss](run(small.to(device)), large.to(device))
            losses.append(_finite(loss, state))
            _learn(state, loss, schedule)
            if state.step % schedule.every == 0 or state.step == schedule.steps:
                state.seconds = time.monotonic() - began
                _note(state, schedule, losses, validate)
                save_state(checkpoint, state)
            tell(state, loss.item())
    return state


@torch.no_grad()
def validation_psnr(network: Network, pairs: list[Pair]) -> float:
    """Mean PSNR in dB over whole pictures, `scale` pixels off every border."""
    halo, scale, device = network.architecture.halo, network.architecture.scale, network.bicubic.device
    inner = slice(scale, -scale)
    scores = []
    for pair in pairs:
        small = functional.pad(torch.from_numpy(pair.small_floats)[None, None], (halo,) * 4, mode="replicate")
        large = (network(small.to(device))[0, 0].clamp(0, 1) * 255).round().numpy(force=True)
        scores.append(psnr(pair.large[inner, inner], large[inner, inner]))
    return float(np.mean(scores))


def _finite(loss: Tensor, state: State) -> float:
    """Its value. Raises TrainingError when it is not finite."""
    value = loss.item()
    if not math.isfinite(value):
        raise TrainingError(f"the loss is {value} at step {state.step} of {state.network.architecture}")
    return value


def _compiled(network: Network) -> Callable[[Tensor], Tensor]:
    """The network with its layers fused, for batches of one shape.

    What was compiled before is forgotten: PyTorch gives up compiling a module whose shape changes too often.
    """
    torch.compiler.reset()
    return torch.compile(network, dynamic=False)


def _begun(network: Network, schedule: Schedule) -> State:
    """The state before the first step; the average always computes in whole precision."""
    average = copy.deepcopy(network)
    average.mixed, network.mixed = False, schedule.mixed
    optimizer = torch.optim.Adam(network.learn(schedule.part), betas=(0.9, 0.99))
    return State(network=network, average=average, optimizer=optimizer)


def _batches(patches: Batches, schedule: Schedule, first: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The batch of each step from `first` on, which depends on nothing but the seed and the step."""
    return (patches.draw(np.random.default_rng((schedule.seed, step))) for step in range(first, schedule.steps))


def _learn(state: State, loss: Tensor, schedule: Schedule) -> None:
    group = state.optimizer.param_groups[0]
    group["lr"] = schedule.rate_at(state.step)
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(group["params"], 1.0)
    state.optimizer.step()
    state.step += 1
    share = min(schedule.average, state.step / (state.step + 9))  # the first steps are far from where it ends
    with torch.no_grad():
        for mean, value in zip(state.average.parameters(), state.network.parameters(), strict=True):
            mean.lerp_(value, 1 - share)


def _note(state: State, schedule: Schedule, losses: list[float], validate: Callable[[Network], float] | None) -> None:
    score = validate(state.average) if validate else None
    if schedule.patience is not None and all(before is None or (score or 0) > before for before in state.scores):
        state.best = copy.deepcopy(state.average)
    state.history.append(
        Moment(
            step=state.step,
            loss=float(np.mean(losses)),
            rate=schedule.rate_at(state.step - 1),
            psnr=score,
            seconds=state.seconds,
        )
    )
    losses.clear()
