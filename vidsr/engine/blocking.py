"""The blocks in which the last layer is computed: the same function, at speeds that differ by half.

A deconvolution of stride s is s² small convolutions, its phases (`model.subpixel`). Computed as one convolution they
have 4, 9 or 16 output channels where vectors hold 8 or 16 floats. A block of neighbouring pixels may be computed at
once instead: the stride becomes the block, the kernel grows by the block less 1, the channels times its pixels. More
channels fill more lanes, and larger kernels multiply more zeros.
"""

from dataclasses import dataclass

import numpy as np

from vidsr.arrays import Plane
from vidsr.cpu import this_cpu
from vidsr.model.architecture import Architecture

MAX_BLOCK = 16
"""Pixels down or across in a block: the sides of a tile are multiples of it."""


@dataclass(frozen=True, kw_only=True)
class OutputBlocking:
    """The low-resolution pixels that the last layer computes at once, and whether all phases are computed so."""

    rows: int = 1
    columns: int = 1
    split_last_phase: bool = False
    """Whether the last phase is a convolution of its own, and only that one is blocked: 9 phases as 8 and 1."""

    def __post_init__(self) -> None:
        """Raises ValueError for a block that divides no tile."""
        for name in ("rows", "columns"):
            size = getattr(self, name)
            if not 1 <= size <= MAX_BLOCK or MAX_BLOCK % size:
                raise ValueError(f"{name} must divide {MAX_BLOCK}, not {size}")

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}{' split' if self.split_last_phase else ''}"

    def padded(self, shape: tuple[int, int]) -> tuple[int, int]:
        """The (rows, columns) of a plane, rounded up to whole blocks."""
        rows, columns = shape
        return -(-rows // self.rows) * self.rows, -(-columns // self.columns) * self.columns


def _blocks(*sizes: tuple[int, int], split: bool = False) -> tuple[OutputBlocking, ...]:
    return tuple(OutputBlocking(rows=rows, columns=columns, split_last_phase=split) for rows, columns in sizes)


_BLOCKINGS = {
    1: _blocks((1, 8), (8, 1), (2, 4), (4, 2), (4, 4), (1, 16)),
    2: _blocks((1, 4), (4, 1), (2, 2), (1, 2), (2, 1), (2, 4)),
    3: _blocks((1, 2), (2, 1), (1, 1)) + _blocks((2, 4), (1, 8), (4, 4), split=True),
    4: _blocks((1, 2), (1, 1), (2, 1)),
}
_AVX512 = {stride: blockings[0] for stride, blockings in _BLOCKINGS.items()}
_OTHERS = {
    **_AVX512,
    2: OutputBlocking(rows=2, columns=2),
    3: OutputBlocking(rows=2, columns=4, split_last_phase=True),
    4: OutputBlocking(),
}


def blockings(architecture: Architecture) -> tuple[OutputBlocking, ...]:
    """Those worth measuring, the default one first."""
    default = default_blocking(architecture)
    return default, *(each for each in _BLOCKINGS.get(architecture.tail.stride, ()) if each != default)


def default_blocking(architecture: Architecture) -> OutputBlocking:
    """The fastest one on CPUs with vectors of this one's width.

    Of 16 floats, at 640x360, ms for 2, 4 and 8 pixels across: at x2 69, 62 and 72 (two threads), at x3 124, 134 and
    146, at x4 125, 145 and 187 (one thread). Of 8 floats, CPU time of one thread on a busy machine, medians of pairs,
    fsrcnn: at x2 2x2 takes 0.89 to 0.96 of the time of 1x4, 4x1 0.89 to 0.94; at x3 8 phases and 1 in 2x4 take 0.97
    of the time of 1x2, 0.88 at their best; at x4 one pixel takes 0.87 of that.
    """
    known = _AVX512 if "avx512f" in this_cpu().flags else _OTHERS
    return known.get(architecture.tail.stride, OutputBlocking())


def depth_to_space(results: list[Plane], blocking: OutputBlocking, stride: int) -> Plane:
    """(count, stride*rows, stride*columns) from the outputs of a network of `graph.band_model`."""
    parts = [result.reshape(-1, *result.shape[2:]) for result in results]  # one band below the other
    if blocking.split_last_phase:
        plane = _merge_phases(parts[0], parts[1], blocking, stride)
    else:
        plane = _unfold_blocks(parts[0], blocking.rows * stride)
    return plane.reshape(len(results[0]), -1, plane.shape[1])


def _unfold_blocks(blocks: Plane, lines: int) -> Plane:
    """(blocks down * lines, ...) from (blocks down, blocks across, lines * pixels), moved in whole words."""
    down, across, pixels = blocks.shape
    run = pixels // lines * blocks.itemsize  # bytes of neighbouring pixels in one line
    word = np.dtype(f"u{min(run & -run, 8)}")  # the largest that divides the run
    words = blocks.view(word).reshape(down, across, lines, run // word.itemsize)
    plane = np.empty((down, lines, across, run // word.itemsize), word)
    for line, place in np.ndindex(words.shape[2:]):  # one at a time: NumPy's own loops over few are slow
        plane[:, line, :, place] = words[:, :, line, place]
    return plane.reshape(down * lines, -1).view(blocks.dtype)


def _merge_phases(most: Plane, last: Plane, blocking: OutputBlocking, stride: int) -> Plane:
    """From (rows, columns, all phases but the last), and (blocks down, blocks across, pixels) of the last one."""
    rows, columns, phases = most.shape
    plane = np.empty((rows, stride, columns, stride), most.dtype)
    for phase in range(phases):
        plane[:, phase // stride, :, phase % stride] = most[..., phase]
    pixels = last.reshape(*last.shape[:2], blocking.rows, blocking.columns)
    plane[:, -1, :, -1] = pixels.transpose(0, 2, 1, 3).reshape(rows, columns)
    return plane.reshape(rows * stride, columns * stride)
