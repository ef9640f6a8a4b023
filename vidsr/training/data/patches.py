"""Patch sampling: random batches of patches from pairs in memory."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vidsr.arrays import Luma
from vidsr.errors import SourceError
from vidsr.model.architecture import Architecture
from vidsr.training.data.pairs import LrLuma, Pair, floats_of

Patch = tuple[LrLuma, Luma]


class PatchSampler:
    """Random patches of one size from pairs in memory, sampled by area, rotated and flipped in all eight ways.

    Frames are edge-padded by the halo, like in the engine. With `still_camera` patches are not rotated or flipped.
    Raises SourceError when every pair is smaller than a patch.
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
            raise SourceError(
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
    lr = torch.from_numpy(np.stack([floats_of(lr) for lr, _ in patches]))
    hr = torch.from_numpy(np.stack([hr for _, hr in patches]))
    return lr[:, None], hr[:, None].float() / 255
