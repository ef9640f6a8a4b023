"""The protocol of the super-resolution papers for still images, run through the engine that ships.

Luma by MATLAB's `rgb2ycbcr`, cropped to a multiple of the scale, reduced by antialiased bicubic `imresize`, enlarged,
rounded, `scale` pixels cut off every border, peak 255. P1 keeps the reduced plane in full precision, as the papers do;
P2 rounds it to bytes, as a video decoder would deliver it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.engine import Engine, Plane
from vidsr.media.image import read_image
from vidsr.metrics import psnr, ssim
from vidsr.quality.imresize import imresize
from vidsr.quality.luma import studio_luma

FINE = 257  # steps of uint16 in one of uint8

Luma = NDArray[np.uint8]
Reduced = NDArray[np.float64]
Enlarge = Callable[[Reduced], Luma]
"""From the reduced plane, grey levels 0 to 255 and not rounded, to the enlarged one."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One picture: PSNR in dB and SSIM, both of the luma."""

    name: str
    psnr: float
    ssim: float


def p1(engine: Engine) -> Enlarge:
    """The engine under P1: the reduced plane goes in as uint16, to within 1/514 of a grey level of its value."""
    return lambda small: np.round(engine(_whole(small * FINE, np.uint16), 16) / FINE).astype(np.uint8)


def p2(engine: Engine) -> Enlarge:
    """The engine under P2."""
    return lambda small: engine(_whole(small, np.uint8)).astype(np.uint8, copy=False)


def bicubic(scale: int) -> Enlarge:
    """What every paper compares with, under P1."""
    return lambda small: _whole(imresize(small, scale), np.uint8).astype(np.uint8, copy=False)


def score(pictures: list[Path], scale: int, enlarge: Enlarge) -> list[Score]:
    """The score of each picture. Raises SourceError for a file that is no picture."""
    return [_score(path, scale, enlarge) for path in pictures]


def mean(scores: list[Score]) -> Score:
    """The mean over pictures."""
    return Score(
        name="mean",
        psnr=float(np.mean([score.psnr for score in scores])),
        ssim=float(np.mean([score.ssim for score in scores])),
    )


def _score(path: Path, scale: int, enlarge: Enlarge) -> Score:
    luma = studio_luma(read_image(path))
    height, width = (length - length % scale for length in luma.shape)
    luma = luma[:height, :width]
    inner = (slice(scale, -scale),) * 2
    reference, candidate = luma[inner], enlarge(imresize(luma, 1 / scale))[inner]
    return Score(name=path.stem, psnr=psnr(reference, candidate), ssim=ssim(reference, candidate))


def _whole(plane: Reduced, dtype: type[np.uint8] | type[np.uint16]) -> Plane:
    return np.ascontiguousarray(np.clip(np.round(plane), 0, np.iinfo(dtype).max).astype(dtype))
