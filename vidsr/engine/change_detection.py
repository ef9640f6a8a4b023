"""Which parts of a plane have changed, and the tiles to be upscaled for it: for fixed cameras."""

from dataclasses import dataclass

import numpy as np

from vidsr.arrays import Plane
from vidsr.engine.tiles import (
    CELL,
    SIDES,
    Cells,
    Tile,
    block_max,
    covering_tiles,
    dilate,
    erode_complement,
    tile_cost,
    total_cost,
)
from vidsr.model.architecture import Architecture

_COMPILE_MACS = 40e9  # multiply-adds that take as long as compiling the graphs for tiles
_MAX_SHARE, _OVERHEAD_MACS = 0.85, 1100.0  # of a plane's cost, and per pixel: see `TilingCost.of`
_REFRESH = 32  # planes within which every part of a frame is brought up to date
_PATIENCE, _REST = 8, 8  # planes without a gain before as many are not compared


@dataclass(frozen=True, kw_only=True)
class UpdatePlan:
    """A plane, and the tiles of it to be upscaled."""

    plane: Plane
    """With the 4x4 blocks that stay as they were in the previous plane."""
    depth: int
    tiles: tuple[Tile, ...] | None
    """Those that the previous result lacks; None is the whole plane."""
    share: float = 1.0
    """Their cost, of the whole plane's."""

    def comparable(self, plane: Plane, depth: int) -> bool:
        """Whether another plane has the same shape, type and depth."""
        return (self.plane.shape, self.plane.dtype, self.depth) == (plane.shape, plane.dtype, depth)


@dataclass(frozen=True, kw_only=True)
class TilingCost:
    """The bounds within which tiles save time."""

    min_saved_pixels: float
    """Pixels that tiles would have saved before graphs for them are compiled."""
    max_share: float
    """The share of a whole plane's cost up to which tiles are used."""

    @classmethod
    def of(cls, architecture: Architecture) -> "TilingCost":
        """The bounds for a network.

        Calls, comparing and compositing cost as much as some multiply-adds per pixel, whatever the network: at
        640x360 tiles of 0.54 of a plane's cost took 0.58 of its time with fsrcnn-narrow-x2 (in int7, one thread), and
        with fsrcnn-fast-x2 those of 0.45 took 0.91.
        """
        macs = architecture.multiplies
        share = max(0.0, _MAX_SHARE - _OVERHEAD_MACS / macs)
        return cls(min_saved_pixels=_COMPILE_MACS / macs, max_share=share)


class ChangeDetector:
    """Finds the tiles of each plane of a video that have to be upscaled.

    With a `tolerance` of 0 grey levels they cover every changed pixel and its halo. With more, a 4x4 block is
    refreshed when a pixel exceeds the tolerance, when every tile that reads the block is recomputed, or after 32
    planes; levels are those of 8 bits. Planes that change all over are upscaled whole, and half of them are not even
    compared. So are the first ones, until compiling graphs for tiles pays by `cost`. `halo` is that of the network.
    `copied` is how many planes' pixels were copied from previous results so far.
    """

    def __init__(self, halo: int, *, tolerance: int, cost: TilingCost) -> None:
        self._halo, self._tolerance = halo, tolerance
        self._unsaved_pixels, self._max_share = cost.min_saved_pixels, cost.max_share
        self._previous: UpdatePlan | None = None
        self._planes = self._rest = self._without_gain = 0
        self.copied = 0.0

    @property
    def reused(self) -> float:
        """The share of all planes so far that was copied from previous results."""
        return self.copied / self._planes if self._planes else 0.0

    def forget(self) -> None:
        """Compare the next plane with none."""
        self._previous, self._rest, self._without_gain = None, 0, 0

    def __call__(self, plane: Plane, depth: int) -> UpdatePlan:
        """The plan; its tiles go into the result of the previous plan."""
        self._planes += 1
        if self._rest:
            self._rest -= 1
            return UpdatePlan(plane=plane, depth=depth, tiles=None)
        previous = self._previous
        if not previous or not previous.comparable(plane, depth):
            return self._whole(plane, depth)
        changed = self._changed(previous, plane)
        chosen, share = self._tiles(changed, plane.shape)
        if share > self._max_share:
            return self._no_gain(plane, depth)
        self._without_gain = 0
        if chosen and self._unsaved_pixels > 0:
            self._unsaved_pixels -= (1 - share) * plane.size
            return self._whole(plane, depth)
        self.copied += 1 - sum(tile.pixels(plane.shape) for tile in chosen) / plane.size
        if self._tolerance:
            refreshed = changed | erode_complement(chosen, changed.shape, self._halo)
            updated = _refreshed(previous.plane, plane, refreshed)
        else:
            updated = plane.copy()
        self._previous = UpdatePlan(plane=updated, depth=depth, tiles=tuple(chosen), share=share)
        return self._previous

    def _whole(self, plane: Plane, depth: int) -> UpdatePlan:
        """The whole plane, with which the next one is compared."""
        self._previous = UpdatePlan(plane=plane.copy(), depth=depth, tiles=None)
        return self._previous

    def _no_gain(self, plane: Plane, depth: int) -> UpdatePlan:
        """The whole plane; after some of these the next ones are not compared."""
        self._without_gain += 1
        if self._without_gain < _PATIENCE:
            return self._whole(plane, depth)
        self._previous, self._rest = None, _REST
        return UpdatePlan(plane=plane, depth=depth, tiles=None)

    def _changed(self, previous: UpdatePlan, plane: Plane) -> Cells:
        """The cells to be taken from the plane."""
        if not self._tolerance:
            return block_max(plane != previous.plane)
        distance = np.maximum(plane, previous.plane)
        distance -= np.minimum(plane, previous.plane)
        largest = block_max(distance)
        changed: Cells = largest > self._tolerance * 2**previous.depth // 256
        for part in self._due(changed.shape):
            changed[part] = largest[part] > 0
        return changed

    def _due(self, cells: tuple[int, int]) -> list[tuple[slice, slice]]:
        """The parts of the frame whose turn it is to be brought up to date; of a small frame mostly none."""
        side = SIDES[-1] // CELL
        down, across = (-(-length // side) for length in cells)
        begin, end = ((self._planes + n) * down * across // _REFRESH for n in (0, 1))
        places = [divmod(number % (down * across), across) for number in range(begin, end)]
        return [
            (slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)) for row, column in places
        ]

    def _tiles(self, changed: Cells, shape: tuple[int, int]) -> tuple[list[Tile], float]:
        """The tiles that cover the changed cells and their halo, and their cost as a share of the whole plane's."""
        wanted = dilate(changed, self._halo)
        if wanted.mean() > self._max_share:
            return [], 1.0
        chosen = covering_tiles(wanted, self._halo)
        return chosen, total_cost(chosen, self._halo) / tile_cost(shape, self._halo)


def _refreshed(previous: Plane, plane: Plane, cells: Cells) -> Plane:
    height, width = plane.shape
    pixels = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
    updated = previous.copy()
    np.copyto(updated, plane, where=pixels)
    return updated
