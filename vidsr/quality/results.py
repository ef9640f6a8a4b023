"""What was measured, as plain rows."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from vidsr.arrays import Luma
from vidsr.metrics import psnr, ssim

PERFECT_DB = 100.0
"""Stands for planes that do not differ, so that a mean stays a number."""
SMALLEST = 11
"""Pixels a side that SSIM needs."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How near the enlarged luma is to the original."""

    psnr: float
    """In dB, 100 at the most."""
    ssim: float
    flicker: float | None = None
    """Of a clip: by how many grey levels its still parts change from frame to frame; None where nothing is still."""
    original_flicker: float | None = None
    """The same of the original, between 0 and 1."""
    frames: int = 1


@dataclass(frozen=True, kw_only=True)
class Measured(Score):
    """The score of one method on one picture or clip, or the mean of several."""

    collection: str
    """The folder, or what was named one by one."""
    name: str
    scale: int
    input: str
    """What the method was given: "P1", "P2", "none" or "crf 23"."""
    method: str
    gain: float
    """PSNR over that of Lanczos, in dB."""
    worst: float
    """The lowest gain among those that the mean is of."""
    reused: float | None = None
    """Of a network that enlarges only what changed: the share of the clip that it did not; None of others."""


def score(original: Luma, candidate: Luma) -> Score:
    """The score of one plane of the same shape, 11 pixels a side at the least."""
    return Score(psnr=min(PERFECT_DB, psnr(original, candidate)), ssim=ssim(original, candidate))


def means(rows: Iterable[Measured]) -> list[Measured]:
    """For each collection, scale, input and method the mean, in the order in which they first come."""
    groups: dict[tuple[str, int, str, str], list[Measured]] = {}
    for row in rows:
        groups.setdefault((row.collection, row.scale, row.input, row.method), []).append(row)
    return [_mean(group) for group in groups.values()]


def _mean(rows: list[Measured]) -> Measured:
    return replace(
        rows[0],
        name=f"mean of {len(rows)}",
        psnr=float(np.mean([row.psnr for row in rows])),
        ssim=float(np.mean([row.ssim for row in rows])),
        gain=float(np.mean([row.gain for row in rows])),
        worst=min(row.worst for row in rows),
        flicker=_known([row.flicker for row in rows]),
        original_flicker=_known([row.original_flicker for row in rows]),
        reused=_known([row.reused for row in rows]),
        frames=sum(row.frames for row in rows),
    )


def _known(numbers: list[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return float(np.mean(known)) if known else None
