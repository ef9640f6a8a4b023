"""Enlarging only what changed: for cameras that stand still.

Whoever sees every plane decides what of each is to be enlarged (`Watch`), any engine does that (`enlarged`), and the
result is put together from it and the result before (`pasted`), so that engines may take turns.
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
    cost,
    grown,
    in_calls,
    in_cells,
    inside,
    price,
    tiles,
    together,
)
from vidsr.model.architecture import Architecture

_COMPILING = 40e9  # multiply-adds that are done in the time that it takes to compile networks for tiles
_PAYS, _HANDLING = 0.85, 1100.0  # of a plane's cost, and multiply-adds of each pixel: see `Worth.of`
_REFRESH = 32  # planes in which every part of a picture is brought up to date
_PATIENCE, _REST = 8, 8  # planes that are looked at in vain before as many are not


@dataclass(frozen=True, kw_only=True)
class Task:
    """A plane, and what of it is to be enlarged."""

    plane: Plane
    """With those squares that are to stay as they were in the one before."""
    depth: int
    tiles: tuple[Tile, ...] | None
    """What is not in the result before; None is everything."""
    share: float = 1.0
    """What that costs, of a whole plane."""

    def alike(self, plane: Plane, depth: int) -> bool:
        """Whether another plane can be compared with it."""
        return (self.plane.shape, self.plane.dtype, self.depth) == (plane.shape, plane.dtype, depth)


@dataclass(frozen=True, kw_only=True)
class Worth:
    """When tiles are worth it."""

    dear: float
    """Pixels that tiles would have to have saved before networks for them are compiled."""
    pays: float
    """The share of a whole plane's cost up to which tiles are taken."""

    @classmethod
    def of(cls, architecture: Architecture) -> "Worth":
        """Where they save time with that network.

        Calls, looking at planes and putting together cost as much as some multiply-adds of each pixel, whatever the
        network: at 640x360 tiles at 0.54 of a plane's price took 0.58 of its time with fsrcnn-narrow-x2 (in int7, one
        thread), and with fsrcnn-fast-x2 those at 0.45 took 0.91.
        """
        multiplies = architecture.multiplies
        return cls(dear=_COMPILING / multiplies, pays=max(0.0, _PAYS - _HANDLING / multiplies))


class Watch:
    """Says of each plane of a film what of it has to be enlarged.

    With a `tolerance` of 0 grey levels that is all that changed, and what the change reaches. With more, squares of 4
    pixels a side stay as they are until a pixel of theirs is further than that from what came in, or all that sees
    them is enlarged anyway, and for 32 planes at the most; levels are those of 8 bits. Where planes change all over,
    each is to be enlarged whole, and half of them are not even looked at. So are the first ones, until compiling
    networks for tiles is `worth` it. `halo` is that of the network.
    """

    def __init__(self, halo: int, *, tolerance: int, worth: Worth) -> None:
        self._halo, self._tolerance, self._dear, self._pays = halo, tolerance, worth.dear, worth.pays
        self._kept: Task | None = None
        self._planes = self._rest = self._in_vain = 0
        self._copied = 0.0

    @property
    def reused(self) -> float:
        """The share of all planes so far that did not have to be enlarged again."""
        return self._copied / self._planes if self._planes else 0.0

    def forget(self) -> None:
        """The next plane has nothing to do with the one before."""
        self._kept, self._rest, self._in_vain = None, 0, 0

    def __call__(self, plane: Plane, depth: int) -> Task:
        """The task; its tiles are to be put into the result of the task before."""
        self._planes += 1
        if self._rest:
            self._rest -= 1
            return Task(plane=plane, depth=depth, tiles=None)
        kept = self._kept
        if not kept or not kept.alike(plane, depth):
            return self._whole(plane, depth)
        changed = self._changed(kept, plane)
        chosen, share = self._chosen(changed, plane.shape)
        if share > self._pays:
            return self._looked_in_vain(plane, depth)
        self._in_vain = 0
        if chosen and self._dear > 0:
            self._dear -= (1 - share) * plane.size
            return self._whole(plane, depth)
        self._copied += 1 - sum(tile.pixels(plane.shape) for tile in chosen) / plane.size
        if self._tolerance:
            updated = _updated(kept.plane, plane, changed | inside(chosen, changed.shape, self._halo))
        else:
            updated = plane.copy()
        self._kept = Task(plane=updated, depth=depth, tiles=tuple(chosen), share=share)
        return self._kept

    def _whole(self, plane: Plane, depth: int) -> Task:
        """All of it, to be compared with."""
        self._kept = Task(plane=plane.copy(), depth=depth, tiles=None)
        return self._kept

    def _looked_in_vain(self, plane: Plane, depth: int) -> Task:
        self._in_vain += 1
        if self._in_vain < _PATIENCE:
            return self._whole(plane, depth)
        self._kept, self._rest = None, _REST
        return Task(plane=plane, depth=depth, tiles=None)

    def _changed(self, kept: Task, plane: Plane) -> Cells:
        """Which cells are to be as they are in the plane."""
        if not self._tolerance:
            return in_cells(plane != kept.plane)
        distance = np.maximum(plane, kept.plane)
        distance -= np.minimum(plane, kept.plane)
        most = in_cells(distance)
        changed: Cells = most > self._tolerance * 2**kept.depth // 256
        for part in self._due(changed.shape):
            changed[part] = most[part] > 0
        return changed

    def _due(self, cells: tuple[int, int]) -> list[tuple[slice, slice]]:
        """The parts of the picture whose turn it is to be brought up to date; of a small one mostly none."""
        side = SIDES[-1] // CELL
        down, across = (-(-length // side) for length in cells)
        begin, end = ((self._planes + n) * down * across // _REFRESH for n in (0, 1))
        places = [divmod(number % (down * across), across) for number in range(begin, end)]
        return [
            (slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)) for row, column in places
        ]

    def _chosen(self, changed: Cells, shape: tuple[int, int]) -> tuple[list[Tile], float]:
        """The tiles that see something of it, and their cost as a share of the whole plane's."""
        wanted = grown(changed, self._halo)
        if wanted.mean() > self._pays:
            return [], 1.0
        chosen = tiles(wanted, self._halo)
        return chosen, cost(chosen, self._halo) / price(shape, self._halo)


class ReusingEngine:
    """An engine that enlarges what changed since the plane before, and copies the rest from what it made of that.

    With a `tolerance` of 0 grey levels the result is exactly the engine's; with more, that of planes as `Watch` leaves
    them. Results are read-only. `worth` is by default that of the network; `share` is what the last plane cost, of a
    whole one.
    """

    def __init__(self, engine: Engine, *, tolerance: int = 0, worth: Worth | None = None) -> None:
        self.scale = engine.scale
        self.share = 1.0
        self._engine = engine
        worth = worth or Worth.of(engine.weights.architecture)
        self._watch = Watch(engine.halo, tolerance=tolerance, worth=worth)
        self._before: Plane | None = None

    @property
    def reused(self) -> float:
        """As `Watch.reused`."""
        return self._watch.reused

    def __call__(self, plane: Plane, depth: int | None = None) -> Plane:
        """As `Engine.__call__`."""
        task = self._watch(plane, 8 * plane.dtype.itemsize if depth is None else depth)
        self.share = task.share
        self._before = pasted(self._before, task, enlarged(self._engine, task), self.scale)
        return self._before


def warm(engine: Engine, plane: Plane, depth: int) -> None:
    """Have compiled what planes like this one take, whole and in tiles: else the first of each kind waits for it."""
    engine(plane, depth)
    for side in SIDES:
        engine.upscale_tiles(_room(engine, side, plane.dtype), depth)


def enlarged(engine: Engine, task: Task) -> Plane:
    """The whole plane enlarged, or its tiles, one behind the other, as (pixels,)."""
    if task.tiles is None:
        return engine(task.plane, task.depth)
    halo = engine.halo
    below, right = (halo + -length % SIDES[-1] for length in task.plane.shape)
    padded = np.pad(np.ascontiguousarray(task.plane), ((halo, below), (halo, right)), mode="edge")
    pieces = [np.empty(0, task.plane.dtype)]
    for call in in_calls(task.tiles):
        around = _room(engine, call[0].side, task.plane.dtype)
        for place, tile in zip(around, call, strict=False):
            place[:] = padded[tile.row : tile.row + len(place), tile.column : tile.column + len(place)]
        pieces.append(engine.upscale_tiles(around, task.depth)[: len(call)].ravel())
    return np.concatenate(pieces)


def _room(engine: Engine, side: int, dtype: np.dtype[np.generic]) -> Plane:
    """Zeros for the tiles of a call, and what lies around them."""
    room: Plane = np.zeros((together(side), *[side + 2 * engine.halo] * 2), dtype)
    return room


def pasted(before: Plane | None, task: Task, made: Plane, scale: int) -> Plane:
    """The whole result, read-only: what `enlarged` made of a task, with what is `before` around it."""
    if task.tiles is None:
        result = made
    elif not task.tiles and before is not None:
        return before
    else:
        assert before is not None, "a task without one before it is whole"
        result, begin = before.copy(), 0
        for tile in task.tiles:
            side = tile.side * scale
            place = result[tile.row * scale :, tile.column * scale :][:side, :side]
            place[:] = made[begin : begin + side * side].reshape(side, side)[: place.shape[0], : place.shape[1]]
            begin += side * side
    result.flags.writeable = False  # the next result is made of it
    return result


def _updated(before: Plane, plane: Plane, changed: Cells) -> Plane:
    height, width = plane.shape
    pixels = changed.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
    updated = before.copy()
    np.copyto(updated, plane, where=pixels)
    return updated
