"""Enlarging only what changed: for cameras that stand still."""

from dataclasses import dataclass

import numpy as np

from vidsr.engine import Engine, Plane
from vidsr.engine.tiles import CELL, SIDES, Cells, Tile, grown, in_cells, price, tiles

_PAYS = 0.8  # of the cost of a whole plane, below which tiles are taken: calls are dearer in small networks
_REFRESH = 32  # planes in which every part of a picture is brought up to date; a worker sees but a share of them
_PATIENCE, _REST = 8, 8  # planes that are looked at in vain before as many are not


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """A plane, and what the network makes of it."""

    plane: Plane
    depth: int
    enlarged: Plane

    def alike(self, plane: Plane, depth: int) -> bool:
        return (self.plane.shape, self.plane.dtype, self.depth) == (plane.shape, plane.dtype, depth)


class ReusingEngine:
    """An engine that enlarges what changed since the plane before, and copies the rest from what it made of that.

    With a `tolerance` of 0 grey levels the result is exactly the engine's. With more, it is exactly that of a plane
    whose squares of 4 pixels a side stay as they are until a pixel of theirs is further than that from what came in,
    and for 32 planes at the most; levels are those of 8 bits. Results are read-only.
    Where planes change all over, each is enlarged whole, and half of them are not even looked at.
    """

    def __init__(self, engine: Engine, *, tolerance: int = 0) -> None:
        self.scale = engine.scale
        self.work = 0.0
        """What all planes so far cost, in whole planes."""
        self._engine, self._tolerance = engine, tolerance
        self._kept: _Kept | None = None
        self._planes = self._rest = self._in_vain = 0

    def __call__(self, plane: Plane, depth: int | None = None) -> Plane:
        """As `Engine.__call__`."""
        depth = 8 * plane.dtype.itemsize if depth is None else depth
        self._planes += 1
        if self._rest:
            self._rest -= 1
            return self._whole(plane, depth)
        if not self._kept or not self._kept.alike(plane, depth):
            return self._first(plane, depth)
        changed = self._changed(self._kept, plane)
        chosen, share = self._chosen(changed, plane.shape)
        if share > _PAYS:
            return self._looked_in_vain(plane, depth)
        self.work += share
        self._in_vain = 0
        return self._parts(self._kept, _updated(self._kept.plane, plane, changed), chosen)

    def _whole(self, plane: Plane, depth: int) -> Plane:
        self.work += 1
        return self._engine(plane, depth)

    def _first(self, plane: Plane, depth: int) -> Plane:
        """The whole, to be compared with."""
        return self._keep(_Kept(enlarged=self._whole(plane, depth), plane=plane.copy(), depth=depth))

    def _looked_in_vain(self, plane: Plane, depth: int) -> Plane:
        self._in_vain += 1
        if self._in_vain < _PATIENCE:
            return self._first(plane, depth)
        self._kept, self._rest = None, _REST
        return self._whole(plane, depth)

    def _changed(self, kept: _Kept, plane: Plane) -> Cells:
        """Which cells are to be as they are in the plane."""
        most = in_cells(np.maximum(plane, kept.plane) - np.minimum(plane, kept.plane))
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
        halo = self._engine.halo
        wanted = grown(changed, halo)
        if wanted.mean() > _PAYS:
            return [], 1.0
        chosen = tiles(wanted, halo)
        return chosen, sum(price((tile.side, tile.side), halo) for tile in chosen) / price(shape, halo)

    def _parts(self, kept: _Kept, plane: Plane, chosen: list[Tile]) -> Plane:
        halo, scale = self._engine.halo, self.scale
        below, right = (halo + -length % SIDES[-1] for length in plane.shape)
        padded = np.pad(np.ascontiguousarray(plane), ((halo, below), (halo, right)), mode="edge")
        enlarged = kept.enlarged.copy()
        for tile in chosen:
            row, column, side = tile.row, tile.column, tile.side
            around = padded[row : row + side + 2 * halo, column : column + side + 2 * halo]
            place = enlarged[row * scale : (row + side) * scale, column * scale : (column + side) * scale]
            place[:] = self._engine.part(around, kept.depth)[: place.shape[0], : place.shape[1]]
        return self._keep(_Kept(plane=plane, depth=kept.depth, enlarged=enlarged))

    def _keep(self, kept: _Kept) -> Plane:
        kept.enlarged.flags.writeable = False  # the next result is made of it
        self._kept = kept
        return kept.enlarged


def _updated(before: Plane, plane: Plane, changed: Cells) -> Plane:
    height, width = plane.shape
    pixels = changed.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
    updated: Plane = np.where(pixels, plane, before)
    return updated
