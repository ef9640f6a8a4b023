"""How a stretch of training goes, as data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOSSES = ("l1", "mse")
PARTS = ("all", "tail", "mapping")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One stretch of training: a constant patch, a warm-up, and a cosine to nothing."""

    steps: int
    rate: float
    """The highest learning rate of Adam."""
    loss: str = "l1"
    patch: int = 48
    """Low-resolution pixels a side of what is compared; the halo comes on top."""
    batch: int = 16
    warmup: int = 300
    average: float = 0.999
    """How much of the running average of the weights stays at each step."""
    still_camera: bool = False
    """Whether patches stay as they lie, and reach the edges of the picture."""
    part: str = "all"
    """What learns: "all", the "tail" or the "mapping" layers."""
    seed: int = 0
    """Decides, with the step, which patches are drawn."""
    every: int = 1000
    """Steps from one measurement and checkpoint to the next."""
    patience: int | None = None
    """After how many measurements no better than the best it ends, with the weights of that one; None: never."""
    compiled: bool = False
    """Fuse the layers, which takes a C++ compiler and a minute."""
    mixed: bool = False
    """Compute in bfloat16 what it does no harm to."""

    def over(self, step: int, scores: Sequence[float | None]) -> bool:
        """Whether nothing is left to do after so many steps and those measurements."""
        known = [score for score in scores if score is not None]
        stale = self.patience is not None and known and len(known) - 1 - known.index(max(known)) >= self.patience
        return step == self.steps or bool(stale)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step: linear to `rate`, then down by a cosine to a thousandth."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * min(1, (step + 1) / self.warmup) * max(1e-3, cosine)
