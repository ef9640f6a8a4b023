"""The schedules of a training, as data: one per stage."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vidsr.cpu import this_cpu
from vidsr.settings import TrainSettings

TAIL_STEPS, TAIL_RATE = 1_000, 1e-3
"""Steps and learning rate of a fresh tail, trained alone behind a body of another scale."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One training stage: a fixed patch size, a learning rate with warm-up and cosine decay."""

    steps: int
    rate: float
    """The peak learning rate of Adam."""
    loss: str = "l1"
    patch: int = 48
    """Low-resolution pixels per side that the loss compares; the halo is added."""
    batch: int = 16
    warmup: int = 300
    ema_decay: float = 0.999
    """Decay of the moving average of the weights, per step."""
    still_camera: bool = False
    """Whether patches are used without rotation and flips."""
    part: str = "all"
    """The trainable part: "all", the "tail" or the "mapping" layers."""
    seed: int = 0
    """Decides, together with the step, which patches are drawn."""
    every: int = 1000
    """Steps between two measurements, each with a checkpoint."""
    patience: int | None = None
    """Measurements without improvement after which the stage ends with its best weights; None: never."""
    compiled: bool = False
    """Compile the network; takes a C++ compiler and a minute."""
    mixed: bool = False
    """Compute in bfloat16 where that does not hurt."""

    def is_over(self, step: int, scores: Sequence[float | None]) -> bool:
        """Whether the stage ends after `step` steps and these scores."""
        known = [score for score in scores if score is not None]
        stale = self.patience is not None and known and len(known) - 1 - known.index(max(known)) >= self.patience
        return step == self.steps or bool(stale)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step: linear warm-up to `rate`, then a cosine down to a thousandth."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * min(1, (step + 1) / self.warmup) * max(1e-3, cosine)


def stages(settings: TrainSettings, *, fresh_tail: bool) -> list[Schedule]:
    """The schedules of a training, in order; a fresh tail is first trained alone."""
    main = Schedule(
        steps=settings.steps,
        rate=settings.rate,
        loss=settings.loss,
        patch=settings.patch,
        batch=settings.batch,
        still_camera=settings.still_camera,
        part=settings.layers,
        every=settings.every,
        patience=settings.patience,
        compiled=settings.fast,
        mixed=settings.fast and (settings.device != "cpu" or this_cpu().has_bfloat16),
    )
    schedules = [main]
    if fresh_tail and settings.layers == "all":
        schedules.insert(0, replace(main, steps=TAIL_STEPS, rate=TAIL_RATE, part="tail"))
    if settings.finish_steps:  # in float32: bfloat16 rounds its gains away
        finish = replace(main, steps=settings.finish_steps, rate=settings.finish_rate, loss="mse", ema_decay=0.9995)
        schedules.append(replace(finish, mixed=False))
    return [replace(schedule, seed=settings.seed + number) for number, schedule in enumerate(schedules)]
