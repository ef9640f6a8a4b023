"""Patch sampling: LR/HR pairs in memory, and random batches of patches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.arrays import Luma
from vidsr.callbacks import OnWarning
from vidsr.errors import TrainingError
from vidsr.model.architecture import Architecture
from vidsr.quality.matlab import imresize
from vidsr.quality.upscalers import crop_to_multiple, to_uint8
from vidsr.training.data.sources import Footage, read_lumas, resize

LrLuma = Luma | NDArray[np.float32]
Patch = tuple[LrLuma, Luma]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One frame at two sizes."""

    lr: LrLuma
    """(H, W) luma: uint8 if decoded, float32 in 0..1 if downscaled and never rounded."""
    hr: Luma
    """(scale*H, scale*W)."""

    @property
    def lr_floats(self) -> NDArray[np.float32]:
        """The LR luma in 0..1."""
        return _floats(self.lr)

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


class PatchSampler:
    """Random patches of one size from pairs in memory, sampled by area, rotated and flipped in all eight ways.

    Frames are edge-padded by the halo, like in the engine. With `still_camera` patches are not rotated or flipped.
    Raises TrainingError when every pair is smaller than a patch.
    """

    def __init__(
        self, pairs: list[Pair], architecture: Architecture, *, patch: int, batch: int, still_camera: bool = False
    ) -> None:
        self.scale, self.halo, self.patch, self.batch = architecture.scale, architecture.halo, patch, batch
        self.still_camera = still_camera
        self.outer = patch + 2 * self.halo
        self.pairs = [_padded(pair, self.halo) for pair in pairs if min(pair.lr.shape) >= patch]
        self.skipped = len(pairs) - len(self.pairs)
        if not self.pairs:
            side = patch * self.scale
            raise TrainingError(
                f"nothing to train on: {len(pairs)} frames, all smaller than the {side} pixels per side of a patch"
            )
        areas = np.array([pair.lr.size for pair in self.pairs], float)
        self.shares = np.cumsum(areas / areas.sum())

    def draw(self, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Returns (batch, 1, patch + 2*halo, …) LR and (batch, 1, scale*patch, …) HR, float32 in 0..1."""
        return _collate([self.crop(random) for _ in range(self.batch)])

    def crop(self, random: np.random.Generator) -> Patch:
        """One random LR patch with its halo, and its HR patch."""
        chosen = min(int(np.searchsorted(self.shares, random.random())), len(self.pairs) - 1)
        pair = self.pairs[chosen]
        row, column = (int(random.integers(0, length - self.outer + 1)) for length in pair.lr.shape)
        lr = pair.lr[row : row + self.outer, column : column + self.outer]
        top, left = (row + self.halo) * self.scale, (column + self.halo) * self.scale
        side = self.patch * self.scale
        hr = pair.hr[top : top + side, left : left + side]
        if self.still_camera:
            return lr, hr
        turns, mirror = int(random.integers(4)), bool(random.integers(2))
        lr, hr = np.rot90(lr, turns), np.rot90(hr, turns)
        return (lr.T, hr.T) if mirror else (lr, hr)


def _padded(pair: Pair, halo: int) -> Pair:
    """The pair, edge-padded by the halo; the padding of the HR frame is never sampled."""
    rows, columns = (np.arange(-halo, length + halo).clip(0, length - 1) for length in pair.lr.shape)
    margin = halo * (len(pair.hr) // len(pair.lr))
    return Pair(lr=pair.lr[np.ix_(rows, columns)], hr=np.pad(pair.hr, margin, mode="edge"))


class MixedSampler:
    """Batches mixed from several patch samplers, by their shares."""

    def __init__(self, samplers: Sequence[tuple[PatchSampler, float]]) -> None:
        self.samplers = [sampler for sampler, _ in samplers]
        self.skipped = sum(sampler.skipped for sampler in self.samplers)
        shares = np.cumsum([share for _, share in samplers])
        self.shares = shares / shares[-1]

    def draw(self, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """As `PatchSampler.draw`."""
        chosen = np.searchsorted(self.shares, random.random(self.samplers[0].batch))
        return _collate([self.samplers[number].crop(random) for number in chosen])


BatchSource = PatchSampler | MixedSampler


def _collate(patches: list[Patch]) -> tuple[Tensor, Tensor]:
    lr = torch.from_numpy(np.stack([_floats(lr) for lr, _ in patches]))
    hr = torch.from_numpy(np.stack([hr for _, hr in patches]))
    return lr[:, None], hr[:, None].float() / 255


def _floats(luma: LrLuma) -> NDArray[np.float32]:
    if luma.dtype == np.float32:
        return luma.astype(np.float32, copy=False)
    return luma.astype(np.float32) / np.float32(255)
