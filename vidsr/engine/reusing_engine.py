"""Upscaling only the tiles that changed: for fixed cameras.

A detector that sees every plane decides which tiles of each are upscaled (`ChangeDetector`), any engine does it
(`run_plan`), and the result is composed of those and the previous result (`composite`), so engines may take turns.
"""

import numpy as np

from vidsr.arrays import Plane
from vidsr.engine import Engine
from vidsr.engine.change_detection import ChangeDetector, TilingCost, UpdatePlan
from vidsr.engine.tiles import SIDES, batch_size, batches


class ReusingEngine:
    """An engine that upscales the tiles that changed since the previous plane, and copies the rest.

    With a `tolerance` of 0 grey levels the result is the engine's, in f32 on some CPUs but for a rare sample that is
    rounded by one level; with more, the engine's for the planes that `ChangeDetector` plans. Results are read-only.
    `cost` is by default that of the network; `share` is the cost of the last plane, of a whole one's.
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


def warm_up(engine: Engine, plane: Plane, depth: int) -> None:
    """Compile the graphs for planes like this one, whole and in tiles: else the first of each kind waits for it."""
    engine(plane, depth)
    for side in SIDES:
        engine.upscale_tiles(_empty_batch(engine, side, plane.dtype), depth)


def _empty_batch(engine: Engine, side: int, dtype: np.dtype[np.generic]) -> Plane:
    """Zeros of the shape of the tiles of a call, with halo."""
    batch: Plane = np.zeros((batch_size(side), *[side + 2 * engine.halo] * 2), dtype)
    return batch
