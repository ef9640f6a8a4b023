"""Pairs of patches from folders of pictures, cut from memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.errors import TrainingError
from vidsr.media.image import read_image
from vidsr.model.architecture import Architecture
from vidsr.quality.imresize import imresize
from vidsr.quality.luma import studio_luma

PICTURES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One picture at two sizes: `small` (H, W) float32 in 0..1, `large` (scale*H, scale*W) uint8 luma."""

    small: NDArray[np.float32]
    large: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of pictures and the sizes, in parts of the original, at which they are used."""

    path: Path
    sizes: tuple[float, ...] = (1.0, 0.7)


def read_pairs(folder: Folder, scale: int) -> Iterator[Pair]:
    """Every picture of the folder at every size, with its antialiased bicubic reduction.

    Raises TrainingError for a folder without pictures.
    """
    paths = sorted(path for path in folder.path.rglob("*") if path.suffix.lower() in PICTURES)
    if not paths:
        raise TrainingError(f"{folder.path}: no picture to train on ({', '.join(PICTURES)})")
    for path in paths:
        luma = training_luma(read_image(path))
        for size in folder.sizes:
            yield pair(luma if size == 1.0 else _rounded(imresize(luma, size)), scale)


def training_luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Studio-range luma; a grey picture spans 0 to 255 and is mapped to 16 to 235."""
    if image.ndim == 3:
        return studio_luma(image)
    return np.round(image * (219 / 255) + 16).astype(np.uint8)


def pair(luma: NDArray[np.uint8], scale: int) -> Pair:
    """The plane, cropped to a multiple of the scale, with its reduction."""
    height, width = (length - length % scale for length in luma.shape)
    large = np.ascontiguousarray(luma[:height, :width])
    return Pair(small=(imresize(large, 1 / scale) / 255).astype(np.float32), large=large)


def _rounded(plane: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.round(plane), 0, 255).astype(np.uint8)


class Patches:
    """Random batches of one patch size from pairs in memory, turned and mirrored in all eight ways."""

    def __init__(self, pairs: list[Pair], architecture: Architecture, *, patch: int, batch: int) -> None:
        self.scale, self.halo, self.patch, self.batch = architecture.scale, architecture.halo, patch, batch
        self.outer = patch + 2 * self.halo
        self.pairs = [pair for pair in pairs if min(pair.small.shape) >= self.outer]
        if not self.pairs:
            raise TrainingError(f"no picture is as large as a patch: {self.outer * self.scale} pixels a side")
        areas = np.array([pair.small.size for pair in self.pairs], float)
        self.shares = np.cumsum(areas / areas.sum())

    def draw(self, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(batch, 1, patch + 2*halo, …) in and (batch, 1, scale*patch, …) out, both float32 in 0..1."""
        cuts = [self._cut(random) for _ in range(self.batch)]
        small, large = (torch.from_numpy(np.stack(planes))[:, None] for planes in zip(*cuts, strict=True))
        return small, large.float() / 255

    def _cut(self, random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        chosen = min(int(np.searchsorted(self.shares, random.random())), len(self.pairs) - 1)
        pair = self.pairs[chosen]
        row, column = (int(random.integers(0, length - self.outer + 1)) for length in pair.small.shape)
        small = pair.small[row : row + self.outer, column : column + self.outer]
        top, left = (row + self.halo) * self.scale, (column + self.halo) * self.scale
        side = self.patch * self.scale
        large = pair.large[top : top + side, left : left + side]
        turns, mirror = int(random.integers(4)), bool(random.integers(2))
        small, large = np.rot90(small, turns), np.rot90(large, turns)
        return (small.T, large.T) if mirror else (small, large)
