"""Training: one visible loop, and a checkpoint from which it goes on as if it had never stopped."""

import copy
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidsr.errors import TrainingError
from vidsr.metrics import psnr
from vidsr.training.data import Pair, Patches
from vidsr.training.network import Network

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One stretch of training: a constant patch, a warm-up, and a cosine to nothing."""

    steps: int
    rate: float
    loss: str = "l1"
    patch: int = 32
    batch: int = 16
    warmup: int = 300
    average: float = 0.999
    tail_only: bool = False

    def rate_at(self, step: int) -> float:
        """The learning rate of a step: linear to `rate`, then down by a cosine to a thousandth."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * min(1, (step + 1) / self.warmup) * max(1e-3, cosine)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": functional.l1_loss, "mse": functional.mse_loss}


def train(
    network: Network,
    pairs: list[Pair],
    schedule: Schedule,
    *,
    checkpoint: Path,
    seed: int = 0,
    validate: Callable[[Network], float] | None = None,
    every: int = 1000,
) -> Network:
    """The averaged network after the schedule; what `checkpoint` holds of it is not done again.

    `validate` gets the averaged network every so many steps, for the log alone.
    Raises TrainingError when the loss is not finite, or the checkpoint is of another network or damaged.
    """
    architecture = network.architecture
    patches = Patches(pairs, architecture, patch=schedule.patch, batch=schedule.batch)
    network.body.requires_grad_(not schedule.tail_only)
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learnt, betas=(0.9, 0.99))
    average = copy.deepcopy(network)
    first = _resume(checkpoint, network, average, optimizer)
    began = time.monotonic()
    for step in range(first, schedule.steps):
        optimizer.param_groups[0]["lr"] = schedule.rate_at(step)
        small, large = patches.draw(np.random.default_rng((seed, step)))
        loss = LOSSES[schedule.loss](network(small), large)
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss is {loss.item()} at step {step} of {architecture}")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        _average(average, network, min(schedule.average, (step + 1) / (step + 10)))
        if (step + 1) % every == 0 or step + 1 == schedule.steps:
            _save(checkpoint, step + 1, network, average, optimizer)
            score = f", {validate(average):.3f} dB" if validate else ""
            seconds = (time.monotonic() - began) / (step + 1 - first)
            log.info("step %d: loss %.5f%s, %.1f steps/s", step + 1, loss.item(), score, 1 / seconds)
    return average


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


@torch.no_grad()
def _average(average: Network, network: Network, share: float) -> None:
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - share)


def _save(path: Path, step: int, network: Network, average: Network, optimizer: torch.optim.Adam) -> None:
    part = path.with_suffix(".part")
    state = {"network": network.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"step": step, **state}, part)
    os.replace(part, path)


def _resume(path: Path, network: Network, average: Network, optimizer: torch.optim.Adam) -> int:
    if not path.exists():
        return 0
    try:
        state = torch.load(path, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        return int(state["step"])
    except (RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        raise TrainingError(f"{path}: no checkpoint of {network.architecture} ({error})") from error
