"""The channels of the last layer, ordered by block and phase, as the pixels of a plane."""

import numpy as np

from vidsr.arrays import Plane
from vidsr.engine.blocking import OutputBlocking


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
