"""Which tiles to enlarge, where only parts of a plane are wanted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Level = TypeVar("_Level", np.uint8, np.uint16, np.bool_)

Cells = NDArray[np.bool_]
"""(rows, columns) of squares of `CELL` pixels a side, the last ones cut off by the edge of the plane."""

CELL = 4
SIDES = (16, 32, 64, 128)  # pixels; each has a compiled network, and smaller ones would be nothing but halo
_BESIDE = 150.0  # pixels that take as long as what a tile costs beside its own: 60 to 250 in the networks that ship


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A square of a plane, which may reach over its right and its lower edge."""

    side: int
    row: int
    column: int

    def pixels(self, shape: tuple[int, int]) -> int:
        """How many of its pixels lie in a plane of that (height, width)."""
        height, width = shape
        return min(self.side, height - self.row) * min(self.side, width - self.column)


def in_cells(plane: NDArray[_Level]) -> NDArray[_Level]:
    """The highest level in each cell, or whether there is one that is true."""
    for _ in range(2):  # down the columns, then, turned, along the rows
        if cut_off := -len(plane) % CELL:
            plane = np.pad(plane, ((0, cut_off), (0, 0)), mode="edge")
        plane = np.maximum.reduce([plane[row::CELL] for row in range(CELL)]).T
    return plane


def grown(cells: Cells, pixels: int) -> Cells:
    """Those that lie no further than so many pixels from one of them."""
    for _ in range(2):
        spread = cells.copy()
        for reach in range(1, -(-pixels // CELL) + 1):
            spread[reach:] |= cells[:-reach]
            spread[:-reach] |= cells[reach:]
        cells = spread.T
    return cells


def price(shape: tuple[int, int], halo: int) -> float:
    """What it costs to enlarge a part of that (height, width), in pixels."""
    height, width = shape
    return (height + halo) * (width + halo) + _BESIDE


def together(side: int) -> int:
    """How many tiles are enlarged in one call, which costs as much as 600 to 2500 pixels."""
    return SIDES[-1] // side


def in_calls(chosen: Sequence[Tile]) -> Iterator[Sequence[Tile]]:
    """The tiles by calls, in their order: those of a side lie together."""
    for side, alike in groupby(chosen, attrgetter("side")):
        group, count = tuple(alike), together(side)
        yield from (group[begin : begin + count] for begin in range(0, len(group), count))


def cost(chosen: Sequence[Tile], halo: int) -> float:
    """What it costs to enlarge them, in pixels: calls that are not full cost as much as full ones."""
    sides = [call[0].side for call in in_calls(chosen)]
    return sum(together(side) * price((side, side), halo) for side in sides)


def tiles(wanted: Cells, halo: int) -> list[Tile]:
    """The cheapest squares that hold all wanted cells, of halves of halves of the largest; the largest come first."""
    return list(_placed(_chosen(wanted, halo)))


def inside(chosen: Sequence[Tile], shape: tuple[int, int], pixels: int) -> Cells:
    """Which of (rows, columns) of cells lie further than so many pixels from all that is in none of the tiles."""
    outside = np.ones(shape, bool)
    for tile in chosen:
        row, column, side = (length // CELL for length in (tile.row, tile.column, tile.side))
        outside[row : row + side, column : column + side] = False
    return ~grown(outside, pixels)


def _chosen(wanted: Cells, halo: int) -> list[Cells]:
    """For each side, from the shortest, the squares that cost less as one than as what they could be divided into."""
    most = SIDES[-1] // CELL
    wanted = np.pad(wanted, [(0, -length % most) for length in wanted.shape])
    need = in_cells(wanted)  # the shortest are as many cells a side as a cell is pixels
    cost, chosen = need * price((SIDES[0], SIDES[0]), halo), [need]
    for side in SIDES[1:]:
        divided, one = _sums(cost, 2), price((side, side), halo)
        chosen.append(divided > one)
        cost = np.minimum(divided, one)
    return chosen


def _placed(chosen: list[Cells]) -> Iterator[Tile]:
    """Those that lie in no larger one."""
    covered = np.zeros_like(chosen[-1])
    for side, one in zip(reversed(SIDES), reversed(chosen), strict=True):
        for row, column in np.argwhere(one & ~covered).tolist():
            yield Tile(side=side, row=row * side, column=column * side)
        covered = (covered | one).repeat(2, axis=0).repeat(2, axis=1)


def _sums(cells: NDArray[np.generic], side: int) -> NDArray[np.float64]:
    """The sum of each square of so many cells a side."""
    rows, columns = cells.shape
    sums: NDArray[np.float64] = cells.reshape(rows // side, side, columns // side, side).sum(axis=(1, 3), dtype=float)
    return sums
