"""How quality is measured: PSNR and SSIM of planes, of images by the protocol of the papers, and of clips.

The luma of the original is cropped to a multiple of the scale, reduced by antialiased bicubic `imresize`, and upscaled
by every method; `scale` pixels are cut off each border.

Images: luma by MATLAB's `rgb2ycbcr`. P1 keeps the reduced plane in full precision, as the papers do; P2 rounds it to
bytes, as a video decoder delivers it.

Clips: the reduced planes are rounded to bytes; an encoder and its decoder turn them into the luma of a real video.
PSNR and SSIM are means over the frames. Flicker is motion where the original has none: the mean absolute difference,
in grey levels, between consecutive frames of the result, over the still pixels. A pixel is still where no pixel of the
original in its 5x5 neighbourhood changed by more than one grey level; of the original itself flicker is 0 to 1.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Luma
from vidsr.errors import SourceError
from vidsr.media.codec_roundtrip import roundtrip
from vidsr.media.formats import luma_8bit
from vidsr.media.image_reader import read_image
from vidsr.media.reader import Reader
from vidsr.quality.matlab import imresize, studio_luma
from vidsr.quality.upscalers import Upscaler, crop_to_multiple, to_uint8
from vidsr.settings import EncodeSettings

AnyPlane = NDArray[np.generic]
_STILL_RADIUS = 2  # pixels around a still pixel that are still, too
_ORIGINAL = ""  # the original's key among the methods
PERFECT_DB = 100.0
"""The PSNR of identical planes, so that a mean stays finite."""
MIN_SIDE = 11
"""Pixels per side that SSIM needs."""


def psnr(reference: AnyPlane, candidate: AnyPlane, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio of two (H, W) planes of one shape in dB; infinity when they are the same."""
    _check_shapes(reference, candidate)
    error = np.mean((reference.astype(np.float64) - candidate.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(reference: AnyPlane, candidate: AnyPlane, peak: float = 255.0) -> float:
    """Mean structural similarity: Gaussian 11×11, σ 1.5, K = .01 and .03, valid region (Wang et al. 2004).

    The planes are of one shape, 11 pixels a side at the least.
    """
    _check_shapes(reference, candidate)
    if min(reference.shape) < 11:
        raise ValueError(f"SSIM needs 11 pixels a side, not {reference.shape}")
    x, y = reference.astype(np.float64), candidate.astype(np.float64)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float(np.mean(luminance * structure))


def _check_shapes(reference: AnyPlane, candidate: AnyPlane) -> None:
    if reference.shape != candidate.shape:
        raise ValueError(f"planes of {reference.shape} and {candidate.shape} cannot be compared")


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    for _ in range(2):  # down the columns, then, turned, along the rows
        plane = sum(weight * plane[i : len(plane) - 10 + i] for i, weight in enumerate(kernel)).T
    return plane


@dataclass(frozen=True, kw_only=True)
class Score:
    """Quality of the upscaled luma against the original."""

    psnr: float
    """In dB, at most 100."""
    ssim: float
    flicker: float | None = None
    """Of a clip: mean change of its still parts between frames, in grey levels; None where nothing is still."""
    original_flicker: float | None = None
    """Flicker of the original, between 0 and 1."""
    moving_psnr: float | None = None
    """PSNR of the moving areas alone, in dB, where they are known."""
    frames: int = 1


def score(original: AnyPlane, candidate: AnyPlane) -> Score:
    """The score of a plane against the original of the same shape, at least 11 pixels per side."""
    return Score(psnr=min(PERFECT_DB, psnr(original, candidate)), ssim=ssim(original, candidate))


def read_luma(path: Path) -> Luma:
    """The (H, W) luma of an image file, by the papers' formula. Raises SourceError for any other file."""
    return studio_luma(read_image(path))


def score_image(luma: Luma, scale: int, upscalers: dict[str, Upscaler]) -> dict[str, dict[str, Score]]:
    """{"P1": {method: score}, "P2": {method: score}}; without its borders the image has 11 pixels per side or more."""
    luma = crop_to_multiple(luma, scale)
    lr = imresize(luma, 1 / scale)
    inner = (slice(scale, -scale),) * 2
    return {
        name: {method: score(luma[inner], upscale(plane)[inner]) for method, upscale in upscalers.items()}
        for name, plane in (("P1", lr), ("P2", to_uint8(lr)))
    }


@dataclass(frozen=True, kw_only=True)
class ClipProtocol:
    """How a clip is evaluated."""

    frames: int = 60
    """At most, from the start of the clip."""
    encode: EncodeSettings | None = None
    """How the reduced clip is encoded; None: not at all."""

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"frames must be 1 or more, not {self.frames}")


def score_clip(path: Path, scale: int, upscalers: dict[str, Upscaler], protocol: ClipProtocol) -> dict[str, Score]:
    """{method: score} of a clip of any length; only a few frames are held in memory.

    Raises SourceError for a clip that cannot be read or whose frames change size, TargetError for an encoder that
    refuses the clip.
    """
    with Reader(path) as reader, Reader(path) as second_reader:
        originals = _lumas(reader, scale, protocol.frames)
        reduced: Iterable[Luma] = (
            to_uint8(imresize(luma, 1 / scale)) for luma in _lumas(second_reader, scale, protocol.frames)
        )
        if protocol.encode:
            reduced = roundtrip(reduced, protocol.encode, reader.info.rate or Fraction(25))
        return _score_frames(_upscale_frames(originals, reduced, upscalers, scale))


def still_mask(before: Luma, after: Luma) -> NDArray[np.bool_]:
    """(H, W): True where a pixel and its 5x5 neighbourhood changed by at most one level between the two frames."""
    moved: NDArray[np.bool_] = np.abs(after.astype(np.int16) - before) > 1
    for _ in range(2):  # down the columns, then, transposed, along the rows
        padded = np.pad(moved, ((_STILL_RADIUS, _STILL_RADIUS), (0, 0)))
        moved = np.logical_or.reduce([padded[i : i + len(moved)] for i in range(2 * _STILL_RADIUS + 1)]).T
    return ~moved


def _lumas(reader: Reader, scale: int, count: int) -> Iterator[Luma]:
    shape = reader.first.luma.shape
    for frame in islice(reader, count):
        if frame.luma.shape != shape:
            raise SourceError(f"{reader.path}: the frames change size; cut the clip there")
        yield crop_to_multiple(luma_8bit(frame.av_frame), scale)


def _upscale_frames(
    originals: Iterable[Luma], reduced: Iterable[Luma], upscalers: dict[str, Upscaler], scale: int
) -> Iterator[dict[str, Luma]]:
    """The original and the result of each method, per frame, without borders."""
    inner = (slice(scale, -scale),) * 2
    for original, lr in zip(originals, reduced, strict=True):
        yield {_ORIGINAL: original[inner], **{name: upscale(lr)[inner] for name, upscale in upscalers.items()}}


def _score_frames(frames: Iterable[dict[str, Luma]]) -> dict[str, Score]:
    scores: dict[str, list[Score]] = {}
    changes: Counter[str] = Counter()
    still_pixels = 0
    for before, now in pairwise(chain([{}], frames)):
        original = now[_ORIGINAL]
        for name in list(now)[1:]:
            scores.setdefault(name, []).append(score(original, now[name]))
        if before:
            still = still_mask(before[_ORIGINAL], original)
            still_pixels += int(still.sum())
            for name, plane in now.items():
                changes[name] += _total_change(before[name], plane, still)
    flicker = {name: change / still_pixels for name, change in changes.items()} if still_pixels else {}
    return {
        name: Score(
            psnr=float(np.mean([each.psnr for each in frame_scores])),
            ssim=float(np.mean([each.ssim for each in frame_scores])),
            flicker=flicker.get(name),
            original_flicker=flicker.get(_ORIGINAL),
            frames=len(frame_scores),
        )
        for name, frame_scores in scores.items()
    }


def _total_change(before: Luma, after: Luma, mask: NDArray[np.bool_]) -> int:
    return int(np.abs(after.astype(np.int16) - before)[mask].sum())
