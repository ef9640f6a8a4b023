"""LR/HR pairs of frames, in memory."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma, Mask
from vidsr.callbacks import OnWarning
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import AnyPlane, psnr
from vidsr.quality.upscalers import crop_to_multiple, to_uint8
from vidsr.training.data.sources import Footage, read_lumas, resize

LrLuma = Luma | NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One frame at two sizes."""

    lr: LrLuma
    """(H, W) luma: uint8 if decoded, float32 in 0..1 if downscaled and never rounded."""
    hr: Luma
    """(scale*H, scale*W)."""
    moving: Mask | None = None
    """(scale*H, scale*W): the moving areas, which a validation score is of; None: the whole frame."""

    def moving_psnr(self, upscaled: AnyPlane) -> float:
        """PSNR of (scale*H, scale*W) luma in the moving areas, without `scale` pixels at each border, in dB."""
        scale = len(self.hr) // len(self.lr)
        inner = (slice(scale, -scale),) * 2
        counted = self.moving[inner] if self.moving is not None else ...
        return psnr(self.hr[inner][counted], upscaled[inner][counted])

    @property
    def lr_luma(self) -> Luma:
        """The LR luma as uint8."""
        if self.lr.dtype == np.uint8:
            return self.lr.astype(np.uint8, copy=False)
        return to_uint8(255 * self.lr.astype(np.float64))


def read_pairs(footage: Iterable[Footage], scale: int, *, frames: int, on_warning: OnWarning) -> list[Pair]:
    """A pair per size and image, or frame of up to `frames` per video; warns of a file that is unreadable."""
    return [
        make_pair(resize(luma, size), scale)
        for file, luma in read_lumas(footage, frames, on_warning)
        for size in file.sizes
    ]


def make_pair(luma: Luma, scale: int) -> Pair:
    """The plane, cropped to a multiple of the scale, and its antialiased bicubic downscaling."""
    hr = np.ascontiguousarray(crop_to_multiple(luma, scale))
    return Pair(lr=(imresize(hr, 1 / scale) / 255).astype(np.float32), hr=hr)


def floats_of(luma: LrLuma) -> NDArray[np.float32]:
    """The LR luma in 0..1."""
    if luma.dtype == np.float32:
        return luma.astype(np.float32, copy=False)
    return luma.astype(np.float32) / np.float32(255)
