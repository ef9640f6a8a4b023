"""Training: one visible loop, and a checkpoint from which it goes on as if it had never stopped."""

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidsr.errors import TrainingError
from vidsr.metrics import psnr
from vidsr.training.checkpoint import Moment, State, load_state, save_state
from vidsr.training.data import Pair, Patches
from vidsr.training.network import Network
from vidsr.training.schedule import Schedule

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": functional.l1_loss, "mse": functional.mse_loss}


def train(
    network: Network,
    patches: Patches,
    schedule: Schedule,
    *,
    checkpoint: Path,
    seed: int = 0,
    every: int = 1000,
    validate: Callable[[Network], float] | None = None,
    compiled: bool = False,
    tell: Callable[[Moment], None] = lambda moment: None,
    stop: Callable[[], bool] = lambda: False,
) -> State:
    """The state after the schedule, or before its end when `stop` said so; what `checkpoint` holds is not done again.

    Every so many steps the state is saved, `validate` measures the averaged network, and `tell` hears of it.
    `compiled` fuses the layers, which takes a C++ compiler and a minute.
    Raises TrainingError when the loss is not finite, or the checkpoint cannot be used or written.
    """
    learnt = network.learn(schedule.part)
    optimizer = torch.optim.Adam(learnt, betas=(0.9, 0.99))
    state = State(network=network, average=_averaging(network), optimizer=optimizer)
    load_state(checkpoint, state)
    run = torch.compile(network) if compiled else network
    losses: list[float] = []
    began = time.monotonic() - state.seconds
    while state.step < schedule.steps:
        if stop():
            save_state(checkpoint, state)
            break
        small, large = patches.draw(np.random.default_rng((seed, state.step)))
        loss = LOSSES[schedule.loss](run(small), large)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise TrainingError(f"the loss is {losses[-1]} at step {state.step} of {network.architecture}")
        _learn(state, loss, schedule)
        if state.step % every == 0 or state.step == schedule.steps:
            state.seconds = time.monotonic() - began
            _note(state, schedule, losses, validate)
            save_state(checkpoint, state)
            tell(state.history[-1])
    return state


@torch.no_grad()
def validation_psnr(network: Network, pairs: list[Pair]) -> float:
    """Mean PSNR in dB over whole pictures, `scale` pixels off every border."""
    halo, scale = network.architecture.halo, network.architecture.scale
    scores = []
    for pair in pairs:
        small = functional.pad(torch.from_numpy(pair.small)[None, None], (halo,) * 4, mode="replicate")
        large = (network(small)[0, 0].clamp(0, 1) * 255).round().numpy()
        inner = slice(scale, -scale)
        scores.append(psnr(pair.large[inner, inner], large[inner, inner]))
    return float(np.mean(scores))


def _averaging(network: Network) -> Network:
    average = copy.deepcopy(network)
    average.mixed = False
    return average


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
    state.history.append(
        Moment(
            step=state.step,
            loss=float(np.mean(losses)),
            rate=schedule.rate_at(state.step - 1),
            psnr=validate(state.average) if validate else None,
            seconds=state.seconds,
        )
    )
    losses.clear()
