"""Upscaling only the tiles that changed: for fixed cameras.

A detector that sees every plane decides which tiles of each are upscaled (`ChangeDetector`), any engine does it
(`run_plan`), and the result is composed of those and the previous result (`composite`), so engines may take turns.
"""

from dataclasses import dataclass

import numpy as np

from vidsr.arrays import Plane
from vidsr.engine import Engine
from vidsr.engine.tiles import (
    CELL,
    SIDES,
    Cells,
    Tile,
    batch_size,
    batches,
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
    """

    def __init__(self, halo: int, *, tolerance: int, cost: TilingCost) -> None:
        self._halo, self._tolerance = halo, tolerance
        self._unsaved_pixels, self._max_share = cost.min_saved_pixels, cost.max_share
        self._previous: UpdatePlan | None = None
        self._planes = self._rest = self._without_gain = 0
        self._copied = 0.0

    @property
    def reused(self) -> float:
        """The share of all planes so far that was copied from previous results."""
        return self._copied / self._planes if self._planes else 0.0

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
        self._copied += 1 - sum(tile.pixels(plane.shape) for tile in chosen) / plane.size
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


class ReusingEngine:
    """An engine that upscales the tiles that changed since the previous plane, and copies the rest.

    With a `tolerance` of 0 grey levels the result is exactly the engine's; with more, the engine's for the planes that
    `ChangeDetector` plans. Results are read-only. `cost` is by default that of the network; `share` is the cost of the
    last plane, of a whole one's.
    """

    def __init__(self, engine: Engine, *, tolerance: int = 0, cost: TilingCost | None = None) -> None:
        self.scale = engine.scale
        self.share = 1.0
        self._engine = engine
        cost = cost or TilingCost.of(engine.weights.architecture)
        self._detector = ChangeDetector(engine.halo, tolerance=tolerance, cost=cost)
        self._previous: Plane | None = None

    @property
    def reused(self) -> float:
        """As `ChangeDetector.reused`."""
        return self._detector.reused

    def __call__(self, plane: Plane, depth: int | None = None) -> Plane:
        """As `Engine.__call__`."""
        plan = self._detector(plane, 8 * plane.dtype.itemsize if depth is None else depth)
        self.share = plan.share
        self._previous = composite(self._previous, plan, run_plan(self._engine, plan), self.scale)
        return self._previous


def warm_up(engine: Engine, plane: Plane, depth: int) -> None:
    """Compile the graphs for planes like this one, whole and in tiles: else the first of each kind waits for it."""
    engine(plane, depth)
    for side in SIDES:
        engine.upscale_tiles(_empty_batch(engine, side, plane.dtype), depth)


def run_plan(engine: Engine, plan: UpdatePlan) -> Plane:
    """The upscaled plane, or its upscaled tiles one behind the other as (pixels,)."""
    if plan.tiles is None:
        return engine(plan.plane, plan.depth)
    halo = engine.halo
    below, right = (halo + -length % SIDES[-1] for length in plan.plane.shape)
    padded = np.pad(np.ascontiguousarray(plan.plane), ((halo, below), (halo, right)), mode="edge")
    results = [np.empty(0, plan.plane.dtype)]
    for tiles in batches(plan.tiles):
        batch = _empty_batch(engine, tiles[0].side, plan.plane.dtype)
        for part, tile in zip(batch, tiles, strict=False):
            part[:] = padded[tile.row : tile.row + len(part), tile.column : tile.column + len(part)]
        results.append(engine.upscale_tiles(batch, plan.depth)[: len(tiles)].ravel())
    return np.concatenate(results)


def _empty_batch(engine: Engine, side: int, dtype: np.dtype[np.generic]) -> Plane:
    """Zeros of the shape of the tiles of a call, with halo."""
    batch: Plane = np.zeros((batch_size(side), *[side + 2 * engine.halo] * 2), dtype)
    return batch


def composite(previous: Plane | None, plan: UpdatePlan, upscaled: Plane, scale: int) -> Plane:
    """The whole result, read-only: the result of `run_plan`, with the previous one around its tiles."""
    if plan.tiles is None:
        result = upscaled
    elif not plan.tiles and previous is not None:
        return previous
    else:
        assert previous is not None, "a plan without a previous result is whole"
        result, begin = previous.copy(), 0
        for tile in plan.tiles:
            side = tile.side * scale
            part = result[tile.row * scale :, tile.column * scale :][:side, :side]
            part[:] = upscaled[begin : begin + side * side].reshape(side, side)[: part.shape[0], : part.shape[1]]
            begin += side * side
    result.flags.writeable = False  # the next result is made of it
    return result


def _refreshed(previous: Plane, plane: Plane, cells: Cells) -> Plane:
    height, width = plane.shape
    pixels = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
    updated = previous.copy()
    np.copyto(updated, plane, where=pixels)
    return updated
