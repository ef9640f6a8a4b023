"""Tiles: the cheapest squares of a plane that cover some of its cells, and the morphology of cells."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Level = TypeVar("_Level", np.uint8, np.uint16, np.bool_)

Cells = NDArray[np.bool_]
"""(rows, columns) of blocks of `CELL` x `CELL` pixels; the last ones are cut by the edge of the plane."""

CELL = 4
SIDES = (16, 32, 64, 128)  # pixels; each has a compiled graph, and smaller ones would be nothing but halo
_OVERHEAD = 150.0  # pixels that take as long as a tile's cost beside its own: 60 to 250 in the networks that ship


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A square of a plane, which may extend over its right and its lower edge."""

    side: int
    row: int
    column: int

    def pixels(self, shape: tuple[int, int]) -> int:
        """How many of its pixels lie in a plane of that (height, width)."""
        height, width = shape
        return min(self.side, height - self.row) * min(self.side, width - self.column)


def block_max(plane: NDArray[_Level]) -> NDArray[_Level]:
    """The highest level in each cell, or whether any is true."""
    for _ in range(2):  # down the columns, then, turned, along the rows
        if cut_off := -len(plane) % CELL:
            plane = np.pad(plane, ((0, cut_off), (0, 0)), mode="edge")
        plane = np.maximum.reduce([plane[row::CELL] for row in range(CELL)]).T
    return plane


def dilate(cells: Cells, pixels: int) -> Cells:
    """The cells within this distance in pixels of one of these."""
    for _ in range(2):
        spread = cells.copy()
        for radius in range(1, -(-pixels // CELL) + 1):
            spread[radius:] |= cells[:-radius]
            spread[:-radius] |= cells[radius:]
        cells = spread.T
    return cells


def tile_cost(shape: tuple[int, int], halo: int) -> float:
    """The cost of upscaling a part of that (height, width), in pixels."""
    height, width = shape
    return (height + halo) * (width + halo) + _OVERHEAD


def batch_size(side: int) -> int:
    """Tiles per call, which itself costs as much as 600 to 2500 pixels."""
    return SIDES[-1] // side


def batches(chosen: Sequence[Tile]) -> Iterator[Sequence[Tile]]:
    """The tiles by calls, in their order: tiles of one side are neighbours."""
    for side, alike in groupby(chosen, attrgetter("side")):
        group, count = tuple(alike), batch_size(side)
        yield from (group[begin : begin + count] for begin in range(0, len(group), count))


def total_cost(chosen: Sequence[Tile], halo: int) -> float:
    """The cost of upscaling them, in pixels: calls that are not full cost as much as full ones."""
    sides = [call[0].side for call in batches(chosen)]
    return sum(batch_size(side) * tile_cost((side, side), halo) for side in sides)


def covering_tiles(wanted: Cells, halo: int) -> list[Tile]:
    """The cheapest squares of a quadtree that cover all wanted cells; the largest come first."""
    return list(_outermost(_cheapest(wanted, halo)))


def erode_complement(chosen: Sequence[Tile], shape: tuple[int, int], pixels: int) -> Cells:
    """The cells, (rows, columns), further than this distance in pixels from everything outside the tiles."""
    outside = np.ones(shape, bool)
    for tile in chosen:
        row, column, side = (length // CELL for length in (tile.row, tile.column, tile.side))
        outside[row : row + side, column : column + side] = False
    return ~dilate(outside, pixels)


def _cheapest(wanted: Cells, halo: int) -> list[Cells]:
    """For each side, from the shortest, the squares that cost less than the squares they could be divided into."""
    largest = SIDES[-1] // CELL
    wanted = np.pad(wanted, [(0, -length % largest) for length in wanted.shape])
    need = block_max(wanted)  # the shortest side has as many cells as a cell has pixels
    cost, chosen = need * tile_cost((SIDES[0], SIDES[0]), halo), [need]
    for side in SIDES[1:]:
        divided, one = _sums(cost, 2), tile_cost((side, side), halo)
        chosen.append(divided > one)
        cost = np.minimum(divided, one)
    return chosen


def _outermost(chosen: list[Cells]) -> Iterator[Tile]:
    """The squares that lie in no larger one."""
    covered = np.zeros_like(chosen[-1])
    for side, one in zip(reversed(SIDES), reversed(chosen), strict=True):
        for row, column in np.argwhere(one & ~covered).tolist():
            yield Tile(side=side, row=row * side, column=column * side)
        covered = (covered | one).repeat(2, axis=0).repeat(2, axis=1)


def _sums(cells: NDArray[np.generic], side: int) -> NDArray[np.float64]:
    """The sum over each square of that side, in cells."""
    rows, columns = cells.shape
    sums: NDArray[np.float64] = cells.reshape(rows // side, side, columns // side, side).sum(axis=(1, 3), dtype=float)
    return sums
