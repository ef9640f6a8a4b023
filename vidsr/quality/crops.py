"""Parts of one frame side by side: shrunk and shown as it is, by Lanczos, by a network, and as it was."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.engine import Engine
from vidsr.errors import SourceError
from vidsr.media.image_reader import rgb_of
from vidsr.media.reader import Reader
from vidsr.metrics import psnr
from vidsr.quality.imresize import imresize
from vidsr.quality.results import PERFECT_DB
from vidsr.quality.upscalers import BASELINE, Enlarge, in_bytes, methods
from vidsr.quality.ycbcr import studio_chroma, studio_luma, studio_rgb

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""

_COUNT = 3
_WIDEST, _NARROW = 160, 80  # pixels


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A part of a picture, in its pixels; written 160x90+20+30."""

    width: int
    height: int
    left: int
    top: int

    @property
    def area(self) -> tuple[slice, slice]:
        """What it is of an array."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}+{self.left}+{self.top}"


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one column shows of one crop."""

    label: str
    crop: Crop
    image: Picture
    psnr: float | None
    """Of the luma in dB, 100 at the most; None of the original."""


def parse_crop(text: str) -> Crop:
    """The crop that is written as WxH+X+Y. Raises ValueError for anything else."""
    if not (found := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)\+(\d+)\+(\d+)", text)):
        raise ValueError(text)
    width, height, left, top = map(int, found.groups())
    return Crop(width=width, height=height, left=left, top=top)


def side_by_side(
    source: Path, engine: Engine, *, label: str, at_s: float = 0.0, crops: tuple[Crop, ...] = ()
) -> list[list[Part]]:
    """For each crop what it was shrunk to, what Lanczos and the network (its name is `label`) make of it, and itself.

    The frame is the first at or after `at_s`, upright. It is reduced as `evaluate` does it, in bytes, luma and
    colours; every column but the first and the last has the same colours, by bicubic interpolation. Without `crops`,
    they are the three parts with the most detail that do not overlap: those over which the luma changes most from
    pixel to pixel, to the right and downwards, summed up.
    Raises SourceError for a source that cannot be read, or that a crop does not lie in.
    """
    with Reader(source, start_s=at_s or None, upright=True) as reader:
        picture = rgb_of(reader.first.av_frame)
    scale = engine.scale
    height, width = (length - length % scale for length in picture.shape[:2])
    picture = picture[:height, :width]
    crops = crops or tuple(richest(studio_luma(picture)))
    for crop in crops:
        if crop.left + crop.width > width or crop.top + crop.height > height:
            raise SourceError(f"{source}: {crop} does not lie within its {width}x{height}")
    ways = methods({label: engine}, scale)
    columns = _columns(picture, scale, {"Lanczos": ways[BASELINE], label: ways[label]})
    return [[_part(name, *column, picture, crop) for name, column in columns.items()] for crop in crops]


def richest(luma: Luma, count: int = _COUNT) -> list[Crop]:
    """The parts with the most detail, as `side_by_side` says, a third of the picture wide and high at the most."""
    width, height = size = _part_size(luma, _WIDEST)
    return _apart(_sums(_detail(luma), width, height), size, count)


def most_gained(original: Luma, before: Luma, after: Luma) -> list[Crop]:
    """The parts in which `after` is nearest to the original, counted from `before`, by the sum of squared errors.

    They do not overlap, and each has more detail than half of all parts that there are: none is flat.
    """
    width, height = size = _part_size(original, _NARROW)
    levels = original.astype(np.int64)
    gain: NDArray[np.int64] = (levels - before) ** 2 - (levels - after) ** 2
    detail = _sums(_detail(original), width, height)
    sums = np.where(detail >= np.median(detail), _sums(gain, width, height), -np.inf)
    return _apart(sums, size, _COUNT)


def _part_size(luma: Luma, widest: int) -> tuple[int, int]:
    height, width = luma.shape
    w = max(1, min(widest, width // 3))
    return w, max(1, min(2 * w // 3, height // 3))


def _detail(luma: Luma) -> NDArray[np.int64]:
    levels = luma.astype(np.int64)
    detail: NDArray[np.int64] = np.abs(np.diff(levels, axis=0, append=levels[-1:]))
    return detail + np.abs(np.diff(levels, append=levels[:, -1:]))


def _sums(values: NDArray[np.int64], width: int, height: int) -> NDArray[np.float64]:
    """The sum over each part of that size, at the place of its upper left pixel."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    parts: NDArray[np.int64] = (
        sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    )
    return parts.astype(np.float64)


def _apart(sums: NDArray[np.float64], size: tuple[int, int], count: int) -> list[Crop]:
    """The parts with the largest sums that do not overlap, the largest first; none with a sum of minus infinity."""
    w, h = size
    left = sums.copy()
    crops: list[Crop] = []
    while len(crops) < count and left.max() > -np.inf:
        y, x = (int(place) for place in np.unravel_index(left.argmax(), left.shape))
        left[max(0, y - h + 1) : y + h, max(0, x - w + 1) : x + w] = -np.inf
        crops.append(Crop(width=w, height=h, left=x, top=y))
    return crops


def _columns(picture: Picture, scale: int, ways: dict[str, Enlarge]) -> dict[str, tuple[Picture, Luma]]:
    """The whole picture of every column, with its luma."""
    luma = studio_luma(picture)
    small = in_bytes(imresize(luma, 1 / scale))
    colours = [in_bytes(imresize(plane, 1 / scale)) for plane in studio_chroma(picture)]
    shown = studio_rgb(small, colours).repeat(scale, axis=0).repeat(scale, axis=1)
    columns = {"input": (shown, small.repeat(scale, axis=0).repeat(scale, axis=1))}
    large_colours = [imresize(plane, scale) for plane in colours]
    for name, enlarge in ways.items():
        large = enlarge(small)
        columns[name] = (studio_rgb(large, large_colours), large)
    return {**columns, "original": (picture, luma)}


def _part(label: str, column: Picture, luma: Luma, picture: Picture, crop: Crop) -> Part:
    original = studio_luma(picture)[crop.area]
    db = None if column is picture else min(PERFECT_DB, psnr(original, luma[crop.area]))
    return Part(label=label, crop=crop, image=column[crop.area], psnr=db)
