"""The pixels of the last layer, which lie by blocks and phases, as the rows of a plane."""

import numpy as np

from vidsr.arrays import Plane
from vidsr.engine.blocking import Form


def interleaved(results: list[Plane], form: Form, stride: int) -> Plane:
    """(count, stride*rows, stride*columns) from what a network of `graph.band_model` gives."""
    parts = [result.reshape(-1, *result.shape[2:]) for result in results]  # one band below the other
    plane = _apart(parts[0], parts[1], form, stride) if form.apart else _blocks(parts[0], form.rows * stride)
    return plane.reshape(len(results[0]), -1, plane.shape[1])


def _blocks(blocks: Plane, lines: int) -> Plane:
    """(blocks down * lines, ...) from (blocks down, blocks across, lines * pixels), moved in whole words."""
    down, across, pixels = blocks.shape
    run = pixels // lines * blocks.itemsize  # bytes of neighbouring pixels in one line
    word = np.dtype(f"u{min(run & -run, 8)}")  # the largest that divides the run
    words = blocks.view(word).reshape(down, across, lines, run // word.itemsize)
    plane = np.empty((down, lines, across, run // word.itemsize), word)
    for line, place in np.ndindex(words.shape[2:]):  # one at a time: NumPy's own loops over few are slow
        plane[:, line, :, place] = words[:, :, line, place]
    return plane.reshape(down * lines, -1).view(blocks.dtype)


def _apart(most: Plane, last: Plane, form: Form, stride: int) -> Plane:
    """From (rows, columns, all phases but one), and (blocks down, blocks across, places) of that one."""
    rows, columns, phases = most.shape
    plane = np.empty((rows, stride, columns, stride), most.dtype)
    for phase in range(phases):
        plane[:, phase // stride, :, phase % stride] = most[..., phase]
    places = last.reshape(*last.shape[:2], form.rows, form.columns)
    plane[:, -1, :, -1] = places.transpose(0, 2, 1, 3).reshape(rows, columns)
    return plane.reshape(rows * stride, columns * stride)
