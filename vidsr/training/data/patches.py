"""Pairs of patches, cut from memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.arrays import Luma
from vidsr.errors import TrainingError
from vidsr.model.architecture import Architecture
from vidsr.quality.imresize import imresize
from vidsr.quality.upscalers import in_bytes
from vidsr.training.data.sources import Footage, read_lumas

Small = Luma | NDArray[np.float32]
Patch = tuple[Small, Luma]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One picture at two sizes."""

    small: Small
    """(H, W) luma: bytes where it was decoded, float32 in 0..1 where it was reduced and never rounded."""
    large: Luma
    """(scale*H, scale*W)."""

    @property
    def small_floats(self) -> NDArray[np.float32]:
        """The small luma in 0..1."""
        return _floats(self.small)

    @property
    def small_luma(self) -> Luma:
        """The small luma in bytes."""
        if self.small.dtype == np.uint8:
            return self.small.astype(np.uint8, copy=False)
        return in_bytes(255 * self.small.astype(np.float64))


def read_pairs(footage: Iterable[Footage], scale: int, *, frames: int, note: Callable[[str], None]) -> list[Pair]:
    """Every picture, and up to so many frames of every video, at every size, with its antialiased bicubic reduction.

    What cannot be read is noted and passed over.
    """
    return [
        pair(luma if size == 1.0 else in_bytes(imresize(luma, size)), scale)
        for file, luma in read_lumas(footage, frames, note)
        for size in file.sizes
    ]


def pair(luma: Luma, scale: int) -> Pair:
    """The plane, cropped to a multiple of the scale, with its reduction."""
    height, width = (length - length % scale for length in luma.shape)
    large = np.ascontiguousarray(luma[:height, :width])
    return Pair(small=(imresize(large, 1 / scale) / 255).astype(np.float32), large=large)


class Batches(Protocol):
    """What a training learns from."""

    skipped: int
    """Pairs that are smaller than a patch."""

    def draw(self, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(batch, 1, patch + 2*halo, …) in and (batch, 1, scale*patch, …) out, both float32 in 0..1."""
        ...


class Patches:
    """Random batches of one patch size from pairs in memory, drawn by area, turned and mirrored in all eight ways.

    They reach the edges of a picture, which are repeated beyond it as the engine does. Those of one `still_camera`
    stay as they lie. Raises TrainingError when all pairs are smaller than a patch.
    """

    def __init__(
        self, pairs: list[Pair], architecture: Architecture, *, patch: int, batch: int, still_camera: bool = False
    ) -> None:
        self.scale, self.halo, self.patch, self.batch = architecture.scale, architecture.halo, patch, batch
        self.still_camera = still_camera
        self.outer = patch + 2 * self.halo
        self.pairs = [_framed(pair, self.halo) for pair in pairs if min(pair.small.shape) >= patch]
        self.skipped = len(pairs) - len(self.pairs)
        if not self.pairs:
            side = patch * self.scale
            raise TrainingError(
                f"nothing to train on: no picture of {len(pairs)} has the {side} pixels a side of a patch"
            )
        areas = np.array([pair.small.size for pair in self.pairs], float)
        self.shares = np.cumsum(areas / areas.sum())

    def draw(self, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """As `Batches.draw`."""
        return _stacked([self.cut(random) for _ in range(self.batch)])

    def cut(self, random: np.random.Generator) -> Patch:
        """One patch with its halo, and what it was."""
        chosen = min(int(np.searchsorted(self.shares, random.random())), len(self.pairs) - 1)
        pair = self.pairs[chosen]
        row, column = (int(random.integers(0, length - self.outer + 1)) for length in pair.small.shape)
        small = pair.small[row : row + self.outer, column : column + self.outer]
        top, left = (row + self.halo) * self.scale, (column + self.halo) * self.scale
        side = self.patch * self.scale
        large = pair.large[top : top + side, left : left + side]
        if self.still_camera:
            return small, large
        turns, mirror = int(random.integers(4)), bool(random.integers(2))
        small, large = np.rot90(small, turns), np.rot90(large, turns)
        return (small.T, large.T) if mirror else (small, large)


def _framed(pair: Pair, halo: int) -> Pair:
    """The pair with its edges repeated by the halo; what is repeated of the large picture is never looked at."""
    rows, columns = (np.arange(-halo, length + halo).clip(0, length - 1) for length in pair.small.shape)
    margin = halo * (len(pair.large) // len(pair.small))
    return Pair(small=pair.small[np.ix_(rows, columns)], large=np.pad(pair.large, margin, mode="edge"))


class Mixture:
    """Batches whose patches come from several stocks, from each as often as its share says."""

    def __init__(self, stocks: Sequence[tuple[Patches, float]]) -> None:
        self.stocks = [stock for stock, _ in stocks]
        self.skipped = sum(stock.skipped for stock in self.stocks)
        shares = np.cumsum([share for _, share in stocks])
        self.shares = shares / shares[-1]

    def draw(self, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """As `Batches.draw`."""
        chosen = np.searchsorted(self.shares, random.random(self.stocks[0].batch))
        return _stacked([self.stocks[number].cut(random) for number in chosen])


def _stacked(cuts: list[Patch]) -> tuple[Tensor, Tensor]:
    small = torch.from_numpy(np.stack([_floats(small) for small, _ in cuts]))
    large = torch.from_numpy(np.stack([large for _, large in cuts]))
    return small[:, None], large[:, None].float() / 255


def _floats(luma: Small) -> NDArray[np.float32]:
    if luma.dtype == np.float32:
        return luma.astype(np.float32, copy=False)
    return luma.astype(np.float32) / np.float32(255)
