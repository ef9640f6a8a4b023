"""Crops of one frame side by side: the reduced input, Lanczos, networks, and the original.

`crops_png` draws them with matplotlib, an optional dependency.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma, Mask
from vidsr.engine import Engine
from vidsr.errors import SourceError
from vidsr.media.image_reader import rgb_of
from vidsr.media.reader import Reader
from vidsr.quality.matlab import imresize, studio_chroma, studio_luma, studio_rgb
from vidsr.quality.metrics import PERFECT_DB, psnr
from vidsr.quality.upscalers import BASELINE, Upscaler, make_upscalers, to_uint8

RgbImage = NDArray[np.uint8]
"""(H, W, 3)."""
TUNED = "tuned"
"""The key of the fine-tuned network among the engines of `finetune_crops`."""

_COUNT = 3
_MAX_WIDTH, _MAX_GAIN_WIDTH = 160, 80  # pixels


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A rectangle of a frame, in pixels; written 160x90+20+30."""

    width: int
    height: int
    left: int
    top: int

    @property
    def area(self) -> tuple[slice, slice]:
        """Its index into an (H, W) array."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def is_within(self, shape: tuple[int, int]) -> bool:
        """Whether frames of this (height, width) have all of it."""
        return self.top + self.height <= shape[0] and self.left + self.width <= shape[1]

    def __str__(self) -> str:
        return f"{self.width}x{self.height}+{self.left}+{self.top}"


@dataclass(frozen=True, kw_only=True)
class CropImage:
    """One column's image of one crop."""

    label: str
    crop: Crop
    image: RgbImage
    psnr: float | None
    """Of the luma in dB, at most 100; None for the original."""


def parse_crop(text: str) -> Crop:
    """The crop written as WxH+X+Y. Raises ValueError for anything else."""
    if not (found := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)\+(\d+)\+(\d+)", text)):
        raise ValueError(text)
    width, height, left, top = map(int, found.groups())
    return Crop(width=width, height=height, left=left, top=top)


def side_by_side(
    source: Path, engine: Engine, *, label: str, at_s: float = 0.0, crops: tuple[Crop, ...] = ()
) -> list[list[CropImage]]:
    """A row per crop: the reduced input, Lanczos, the network under the name `label`, and the original.

    The frame is the first at or after `at_s`, upright. Luma and chroma are reduced as in `evaluate`, in bytes; Lanczos
    and the network share the chroma of a bicubic interpolation. The default crops are those of `most_detailed`.
    Raises SourceError for a source that cannot be read, and for a crop outside the frame.
    """
    with Reader(source, start_s=at_s or None, upright=True) as reader:
        frame = rgb_of(reader.first.av_frame)
    scale = engine.scale
    height, width = (length - length % scale for length in frame.shape[:2])
    frame = frame[:height, :width]
    luma = studio_luma(frame)
    crops = crops or tuple(most_detailed(luma))
    for crop in crops:
        if not crop.is_within((height, width)):
            raise SourceError(f"{source}: the crop {crop} exceeds the frame of {width}x{height}")
    upscalers = make_upscalers({label: engine}, scale)
    columns = _rgb_columns(frame, luma, scale, {"Lanczos": upscalers[BASELINE], label: upscalers[label]})
    return [[_crop_image(name, *column, luma, crop) for name, column in columns.items()] for crop in crops]


def finetune_crops(original: Luma, lr: Luma, engines: Mapping[str, Engine], *, moving: Mask) -> list[list[CropImage]]:
    """A row per crop, in grey: the input, Lanczos, each engine under its key, and the original.

    `original` and its `moving` areas are (scale*H, scale*W), `lr` is its decoded (H, W) reduction. All engines have
    one scale. The crops are those of the moving areas in which the engine `TUNED` gains most over Lanczos.
    """
    scale = engines[TUNED].scale
    upscaled = {name: upscale(lr) for name, upscale in make_upscalers(dict(engines), scale).items()}
    columns = {
        "input": lr.repeat(scale, axis=0).repeat(scale, axis=1),
        "Lanczos": upscaled[BASELINE],
        **{name: upscaled[name] for name in engines},
        "original": original,
    }
    crops = largest_gain(original, upscaled[BASELINE], upscaled[TUNED], moving=moving)
    images = {name: np.stack([plane] * 3, axis=-1) for name, plane in columns.items()}
    return [
        [_crop_image(name, images[name], plane, original, crop) for name, plane in columns.items()] for crop in crops
    ]


def crops_png(rows: Sequence[Sequence[CropImage]]) -> bytes:
    """A PNG with a row per crop; the captions are PSNR, and the position of the crop under the original."""
    from vidsr.plots import GridCell, draw_image_grid

    def cell(crop_image: CropImage) -> GridCell:
        caption = str(crop_image.crop) if crop_image.psnr is None else f"{crop_image.psnr:.2f} dB"
        return GridCell(image=crop_image.image, title=crop_image.label, caption=caption)

    file = BytesIO()
    draw_image_grid([[cell(crop_image) for crop_image in row] for row in rows], file)
    return file.getvalue()


def most_detailed(luma: Luma, count: int = _COUNT) -> list[Crop]:
    """The crops with the most detail, which do not overlap, at most a third of the frame wide and high.

    Detail is the sum of absolute luma differences between neighbouring pixels, horizontal and vertical.
    """
    width, height = size = _crop_size(luma, _MAX_WIDTH)
    return _largest_sums(_window_sums(_detail(luma), width, height), size, count)


def largest_gain(original: Luma, before: Luma, after: Luma, *, moving: Mask) -> list[Crop]:
    """The crops in which the sum of squared errors in the moving areas falls most from `before` to `after`.

    They do not overlap. In each moves at least half as much as in any, and it has at least the median detail of these
    positions, so none is flat.
    """
    width, height = size = _crop_size(original, _MAX_GAIN_WIDTH)
    levels = original.astype(np.int64)
    gain: NDArray[np.int64] = (levels - before) ** 2 - (levels - after) ** 2
    motion = _window_sums(moving.astype(np.int64), width, height)
    moves = motion >= motion.max() / 2
    detail = _window_sums(_detail(original), width, height)
    shown = moves & (detail >= np.median(detail[moves]))
    sums = np.where(shown, _window_sums(gain * moving, width, height), -np.inf)
    return _largest_sums(sums, size, _COUNT)


def _crop_size(luma: Luma, max_width: int) -> tuple[int, int]:
    height, width = luma.shape
    w = max(1, min(max_width, width // 3))
    return w, max(1, min(2 * w // 3, height // 3))


def _detail(luma: Luma) -> NDArray[np.int64]:
    levels = luma.astype(np.int64)
    detail: NDArray[np.int64] = np.abs(np.diff(levels, axis=0, append=levels[-1:]))
    return detail + np.abs(np.diff(levels, append=levels[:, -1:]))


def _window_sums(values: NDArray[np.int64], width: int, height: int) -> NDArray[np.float64]:
    """The sum over each window of that size, indexed by the upper left pixel."""
    integral = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums: NDArray[np.int64] = (
        integral[height:, width:]
        - integral[:-height, width:]
        - integral[height:, :-width]
        + integral[:-height, :-width]
    )
    return sums.astype(np.float64)


def _largest_sums(sums: NDArray[np.float64], size: tuple[int, int], count: int) -> list[Crop]:
    """The crops with the largest sums that do not overlap, in descending order; none with minus infinity."""
    w, h = size
    remaining = sums.copy()
    crops: list[Crop] = []
    while len(crops) < count and remaining.max() > -np.inf:
        y, x = (int(index) for index in np.unravel_index(remaining.argmax(), remaining.shape))
        remaining[max(0, y - h + 1) : y + h, max(0, x - w + 1) : x + w] = -np.inf
        crops.append(Crop(width=w, height=h, left=x, top=y))
    return crops


def _rgb_columns(
    frame: RgbImage, luma: Luma, scale: int, upscalers: dict[str, Upscaler]
) -> dict[str, tuple[RgbImage, Luma]]:
    lr = to_uint8(imresize(luma, 1 / scale))
    lr_chroma = [to_uint8(imresize(plane, 1 / scale)) for plane in studio_chroma(frame)]
    nearest = studio_rgb(lr, lr_chroma).repeat(scale, axis=0).repeat(scale, axis=1)
    columns = {"input": (nearest, lr.repeat(scale, axis=0).repeat(scale, axis=1))}
    chroma = [imresize(plane, scale) for plane in lr_chroma]
    for name, upscale in upscalers.items():
        upscaled = upscale(lr)
        columns[name] = (studio_rgb(upscaled, chroma), upscaled)
    return {**columns, "original": (frame, luma)}


def _crop_image(label: str, image: RgbImage, luma: Luma, original: Luma, crop: Crop) -> CropImage:
    db = None if luma is original else min(PERFECT_DB, psnr(original[crop.area], luma[crop.area]))
    return CropImage(label=label, crop=crop, image=image[crop.area], psnr=db)
