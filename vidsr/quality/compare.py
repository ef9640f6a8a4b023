"""Two videos, or two pictures, of one size: how far one is from the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.errors import SourceError
from vidsr.media.formats import depth_of, is_full_range
from vidsr.media.frame import Frame
from vidsr.media.reader import Reader
from vidsr.metrics import AnyPlane, psnr, ssim
from vidsr.quality.image_protocol import read_luma
from vidsr.quality.results import PERFECT_DB, SMALLEST


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """PSNR in dB, 100 at the most, and SSIM of the luma: means over the frames, and the frame of the lowest PSNR."""

    frames: int
    psnr: float
    ssim: float
    worst_psnr: float
    worst_ssim: float
    worst_frame: int
    """Counted from 0."""
    worst_time_s: float
    damage: tuple[str, ...] = ()
    """What was not as it should be, a sentence each: frames without a partner, or that could not be decoded."""


@dataclass(frozen=True, kw_only=True)
class _Score:
    psnr: float
    ssim: float
    frame: int
    time_s: float


def compare(reference: Path, candidate: Path) -> Comparison:
    """The candidate beside the reference, frame by frame whatever their times; of pictures the luma of the papers.

    Raises SourceError for what cannot be read or compared: a picture and a video, two sizes, two ranges of levels.
    """
    with Reader(reference) as one, Reader(candidate) as other:
        _require_alike(one, other)
        if one.info.still:
            return _summed([_score(read_luma(reference), read_luma(candidate))], ())
        counts = [0, 0]
        scores = list(_scores(one, other, counts))
        return _summed(scores, tuple(_damage(one, other, counts)))


def _require_alike(one: Reader, other: Reader) -> None:
    if one.info.still != other.info.still:
        kinds = ["a picture" if reader.info.still else "a video" for reader in (other, one)]
        raise SourceError(f"{other.path}: is {kinds[0]}, the reference is {kinds[1]}")
    _require_size(one, one.first, other, other.first)
    if min(one.first.luma.shape) < SMALLEST:
        raise SourceError(f"{one.path}: is smaller than the {SMALLEST} pixels a side that SSIM needs")
    if not one.info.still and is_full_range(one.first.av_frame) != is_full_range(other.first.av_frame):
        ranges = ["full" if is_full_range(reader.first.av_frame) else "limited" for reader in (other, one)]
        raise SourceError(f"{other.path}: its luma has {ranges[0]} range, that of the reference {ranges[1]}")


def _require_size(one: Reader, reference: Frame, other: Reader, candidate: Frame) -> None:
    if reference.luma.shape != candidate.luma.shape:
        sizes = [f"{frame.av_frame.width}x{frame.av_frame.height}" for frame in (candidate, reference)]
        raise SourceError(f"{other.path}: is {sizes[0]}, the reference {one.path} is {sizes[1]}")


def _scores(one: Reader, other: Reader, counts: list[int]) -> Iterator[_Score]:
    """The scores of all frames that have a partner; `counts` become the numbers of frames there were."""
    for number, (reference, candidate) in enumerate(zip_longest(one, other)):
        counts[0] += reference is not None
        counts[1] += candidate is not None
        if reference is not None and candidate is not None:
            _require_size(one, reference, other, candidate)
            time_s = float((reference.av_frame.pts or 0) * one.time_base)
            yield _score(_luma(reference), _luma(candidate), number, time_s)


def _score(reference: AnyPlane, candidate: AnyPlane, frame: int = 0, time_s: float = 0.0) -> _Score:
    db = min(PERFECT_DB, psnr(reference, candidate))
    return _Score(psnr=db, ssim=ssim(reference, candidate), frame=frame, time_s=time_s)


def _luma(frame: Frame) -> NDArray[np.float64]:
    """In grey levels of 8 bits, not rounded."""
    return frame.luma / float(1 << depth_of(frame.av_frame.format.name) - 8)


def _damage(one: Reader, other: Reader, counts: list[int]) -> Iterator[str]:
    if counts[0] != counts[1]:
        yield f"{other.path}: has {counts[1]} frames, the reference {counts[0]}; the first {min(counts)} were compared"
    for reader in (one, other):
        if reader.truncation:
            yield f"{reader.path}: {reader.truncation}"
        if reader.corrupt:
            yield f"{reader.path}: {reader.corrupt} frames are damaged"


def _summed(scores: list[_Score], damage: tuple[str, ...]) -> Comparison:
    worst = min(scores, key=lambda score: score.psnr)
    return Comparison(
        frames=len(scores),
        psnr=float(np.mean([score.psnr for score in scores])),
        ssim=float(np.mean([score.ssim for score in scores])),
        worst_psnr=worst.psnr,
        worst_ssim=worst.ssim,
        worst_frame=worst.frame,
        worst_time_s=worst.time_s,
        damage=damage,
    )
