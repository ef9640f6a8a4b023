"""Fixed areas: captions and logos that a camera burns into its picture, found from a few moments of its footage.

They are hard contrast that follows neither light nor motion: the darkest and the brightest level in a small window
stay what they are from moment to moment, also while the digits of a clock change. In one short part of the footage
whatever is at rest does the same; only what does so from part to part is fixed. Where that is most of what is at rest,
the light was the same in all parts, captions and scene cannot be separated, and nothing is found: a single clip of a
fixed camera is not enough, clips of several days are.

Not found are captions of little contrast, those that let the scene shine through or are elsewhere every day, and masks
without contrast, of which nothing is learned.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Floats, Luma, Mask
from vidsr.quality.crops import Crop

Levels = NDArray[np.uint8]
"""(2, rows, columns): the darkest and the brightest level of each window of 2x2 blocks; windows overlap by a block."""
_MIN_BLOCK, _BLOCKS_HIGH = 8, 36  # pixels per side; blocks per height of a larger picture
_MIN_CONTRAST = 96  # grey levels, of the median moment
_MAX_CHANGE = 0.15  # of the contrast, between moments; semi-transparent captions change by 0.2 to 0.5, scenes more
_MAX_STEADY = 0.7  # share of what is at rest; on clips of a road camera of several days 0.41 to 0.61, of one 0.81 to 1
_MIN_RUN, _MAX_GAP = 1, 2  # windows to either side: text is a run of 3 or more; gaps in it are closed


def window_levels(luma: Luma) -> Levels:
    """The levels of the windows of an (H, W) plane."""
    block = _block(luma.shape)
    padded = np.pad(luma, [(0, -length % block) for length in luma.shape], mode="edge")
    blocks = padded.reshape(len(padded) // block, block, -1, block)
    low, high = blocks.min(axis=(1, 3)), blocks.max(axis=(1, 3))
    return np.stack([np.minimum.reduce(_neighbours(low)), np.maximum.reduce(_neighbours(high))])


def fixed_areas(parts: Sequence[NDArray[np.uint8]], shape: tuple[int, int]) -> Mask:
    """(H, W), `shape`: the fixed areas of a camera, from the levels of each part of its footage, one per moment."""
    contrast, steady = _steady(np.concatenate(parts))
    hard = contrast >= _MIN_CONTRAST
    at_rest = hard & np.logical_and.reduce([_steady(part)[1] for part in parts])
    if (hard & steady).sum() > _MAX_STEADY * at_rest.sum():
        return np.zeros(shape, np.bool_)
    steady &= hard
    text = _widened(_narrowed(steady, _MIN_RUN), _MIN_RUN)
    text = _narrowed(np.pad(_widened(text, _MAX_GAP), ((0, 0), (_MAX_GAP, _MAX_GAP))), _MAX_GAP)[:, _MAX_GAP:-_MAX_GAP]
    blocks = np.logical_or.reduce(_neighbours(np.pad(text, 1)))
    block = _block(shape)
    pixels: Mask = blocks.repeat(block, axis=0).repeat(block, axis=1)[: shape[0], : shape[1]]
    return pixels


def in_blocks(mask: Mask) -> Mask:
    """(H, W): the blocks of the picture that a mask touches."""
    block = _block(mask.shape)
    padded = np.pad(mask, [(0, -length % block) for length in mask.shape])
    touched = padded.reshape(len(padded) // block, block, -1, block).any(axis=(1, 3))
    pixels: Mask = touched.repeat(block, axis=0).repeat(block, axis=1)[: mask.shape[0], : mask.shape[1]]
    return pixels


def _steady(moments: NDArray[np.uint8]) -> tuple[Floats, Mask]:
    """The contrast of each window in the median moment, and whether its levels stay what they are."""
    levels = moments.astype(np.float64)  # (moments, 2, rows, columns)
    contrast = np.median(levels[:, 1] - levels[:, 0], axis=0)
    change = np.ptp(np.percentile(levels, (2, 98), axis=0), axis=0).max(axis=0)
    return contrast, change <= _MAX_CHANGE * contrast


def free_window(fixed: Mask) -> Crop:
    """The largest rectangle of the picture without fixed areas; 0 pixels wide if there is none."""
    block = _block(fixed.shape)
    best = Crop(width=0, height=0, left=0, top=0)
    free_above = np.zeros(len(fixed[0, ::block]), np.int64)  # blocks without fixed areas from a row upwards
    for row, line in enumerate(fixed[::block, ::block]):
        free_above = np.where(line, 0, free_above + 1)
        for left in range(len(line)):
            heights = np.minimum.accumulate(free_above[left:])
            right = left + int((heights * np.arange(1, len(heights) + 1)).argmax()) + 1
            top = row + 1 - int(heights[right - left - 1])
            best = max(best, _rectangle(fixed, block, (left, top), (right, row + 1)), key=_area)
    return best


def _rectangle(fixed: Mask, block: int, first: tuple[int, int], until: tuple[int, int]) -> Crop:
    """The blocks from `first` to before `until`, both (column, row), in pixels."""
    left, top = (block * index for index in first)
    right, bottom = (min(block * index, length) for index, length in zip(until, fixed.shape[::-1], strict=True))
    return Crop(width=right - left, height=bottom - top, left=left, top=top)


def _area(crop: Crop) -> int:
    return crop.width * crop.height


def _block(shape: tuple[int, ...]) -> int:
    return max(_MIN_BLOCK, shape[0] // _BLOCKS_HIGH)


def _neighbours(values: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    """The values of the four cells of each 2x2 window."""
    return [values[:-1, :-1], values[:-1, 1:], values[1:, :-1], values[1:, 1:]]


def _widened(cells: Mask, by: int) -> Mask:
    """Each run in a row, longer by that many cells at both ends."""
    padded = np.pad(cells, ((0, 0), (by, by)))
    wider: Mask = np.logical_or.reduce([padded[:, shift : shift + cells.shape[1]] for shift in range(2 * by + 1)])
    return wider


def _narrowed(cells: Mask, by: int) -> Mask:
    """Each run in a row, shorter by that many cells at both ends, except where it touches the border."""
    return ~_widened(~cells, by)
