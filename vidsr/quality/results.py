"""Scores as plain rows, and their means."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from vidsr.arrays import Luma
from vidsr.psnr_ssim import psnr, ssim

PERFECT_DB = 100.0
"""The PSNR of identical planes, so that a mean stays finite."""
MIN_SIDE = 11
"""Pixels per side that SSIM needs."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Quality of the upscaled luma against the original."""

    psnr: float
    """In dB, at most 100."""
    ssim: float
    flicker: float | None = None
    """Of a clip: mean change of its still parts between frames, in grey levels; None where nothing is still."""
    original_flicker: float | None = None
    """Flicker of the original, between 0 and 1."""
    frames: int = 1


@dataclass(frozen=True, kw_only=True)
class ResultRow(Score):
    """The score of one method on one image or clip, or the mean of several."""

    collection: str
    """The folder, or "files" for single files."""
    name: str
    scale: int
    input: str
    """How the input was reduced: "P1", "P2", "none" or "crf 23"."""
    method: str
    gain: float
    """PSNR over that of Lanczos, in dB."""
    worst: float
    """The lowest gain of the rows in the mean."""
    reused: float | None = None
    """With `--reuse`: the share of the clip whose output was copied; None for other methods."""


def score(original: Luma, candidate: Luma) -> Score:
    """The score of a plane against the original of the same shape, at least 11 pixels per side."""
    return Score(psnr=min(PERFECT_DB, psnr(original, candidate)), ssim=ssim(original, candidate))


def means(rows: Iterable[ResultRow]) -> list[ResultRow]:
    """One mean per collection, scale, input and method, in order of first appearance."""
    groups: dict[tuple[str, int, str, str], list[ResultRow]] = {}
    for row in rows:
        groups.setdefault((row.collection, row.scale, row.input, row.method), []).append(row)
    return [_mean(group) for group in groups.values()]


def _mean(rows: list[ResultRow]) -> ResultRow:
    return replace(
        rows[0],
        name=f"mean of {len(rows)}",
        psnr=float(np.mean([row.psnr for row in rows])),
        ssim=float(np.mean([row.ssim for row in rows])),
        gain=float(np.mean([row.gain for row in rows])),
        worst=min(row.worst for row in rows),
        flicker=_optional_mean([row.flicker for row in rows]),
        original_flicker=_optional_mean([row.original_flicker for row in rows]),
        reused=_optional_mean([row.reused for row in rows]),
        frames=sum(row.frames for row in rows),
    )


def _optional_mean(numbers: list[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return float(np.mean(known)) if known else None
