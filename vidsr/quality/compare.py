"""PSNR and SSIM of two videos, or two images, of one size."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from vidsr.arrays import Floats
from vidsr.errors import SourceError
from vidsr.media.formats import depth_of, is_full_range
from vidsr.media.frame import Frame
from vidsr.media.reader import Reader
from vidsr.quality.metrics import MIN_SIDE, Score, read_luma, score


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """PSNR in dB, at most 100, and SSIM of the luma: means over the frames, and the frame with the lowest PSNR."""

    frames: int
    psnr: float
    ssim: float
    worst_psnr: float
    worst_ssim: float
    worst_frame: int
    """Counted from 0."""
    worst_time_s: float
    damage: tuple[str, ...] = ()
    """One sentence per fault: frames without a counterpart, frames that could not be decoded."""


def compare(reference: Path, candidate: Path) -> Comparison:
    """Compare videos frame by frame, by number and not by time, and images by the papers' luma.

    Raises SourceError for a file that cannot be read, and for two that cannot be compared: an image and a video, two
    sizes, two luma ranges.
    """
    with Reader(reference) as reference_reader, Reader(candidate) as candidate_reader:
        _check_comparable(reference_reader, candidate_reader)
        if reference_reader.info.still:
            return _summary([(score(read_luma(reference), read_luma(candidate)), 0.0)], ())
        counts = [0, 0]
        scores = list(_frame_scores(reference_reader, candidate_reader, counts))
        return _summary(scores, tuple(_damage(reference_reader, candidate_reader, counts)))


def _check_comparable(reference: Reader, candidate: Reader) -> None:
    if reference.info.still != candidate.info.still:
        kinds = ["an image" if reader.info.still else "a video" for reader in (candidate, reference)]
        raise SourceError(f"{candidate.path}: is {kinds[0]}, the reference is {kinds[1]}")
    _check_size(reference, reference.first, candidate, candidate.first)
    if min(reference.first.luma.shape) < MIN_SIDE:
        raise SourceError(f"{reference.path}: SSIM needs at least {MIN_SIDE} pixels per side")
    if not reference.info.still and _luma_range(reference) != _luma_range(candidate):
        raise SourceError(
            f"{candidate.path}: its luma has {_luma_range(candidate)} range, the reference {_luma_range(reference)}"
        )


def _luma_range(reader: Reader) -> str:
    return "full" if is_full_range(reader.first.av_frame) else "limited"


def _check_size(reference: Reader, reference_frame: Frame, candidate: Reader, candidate_frame: Frame) -> None:
    if reference_frame.luma.shape != candidate_frame.luma.shape:
        sizes = [f"{frame.av_frame.width}x{frame.av_frame.height}" for frame in (candidate_frame, reference_frame)]
        raise SourceError(f"{candidate.path}: is {sizes[0]}, the reference {reference.path} is {sizes[1]}")


def _frame_scores(reference: Reader, candidate: Reader, counts: list[int]) -> Iterator[tuple[Score, float]]:
    """The score and the time of each pair of frames; `counts` receives the number of frames of both videos."""
    for reference_frame, candidate_frame in zip_longest(reference, candidate):
        counts[0] += reference_frame is not None
        counts[1] += candidate_frame is not None
        if reference_frame is not None and candidate_frame is not None:
            _check_size(reference, reference_frame, candidate, candidate_frame)
            time_s = float((reference_frame.av_frame.pts or 0) * reference.time_base)
            yield score(_luma_8bit(reference_frame), _luma_8bit(candidate_frame)), time_s


def _luma_8bit(frame: Frame) -> Floats:
    """(H, W) on the scale of 8 bits, not rounded."""
    return frame.luma / float(1 << depth_of(frame.av_frame.format.name) - 8)


def _damage(reference: Reader, candidate: Reader, counts: list[int]) -> Iterator[str]:
    if counts[0] != counts[1]:
        compared = f"the first {min(counts)} were compared"
        yield f"{candidate.path}: has {counts[1]} frames, the reference {counts[0]}; {compared}"
    for reader in (reference, candidate):
        if reader.truncation:
            yield f"{reader.path}: {reader.truncation}"
        if reader.corrupt:
            yield f"{reader.path}: {reader.corrupt} frames are damaged"


def _summary(scores: list[tuple[Score, float]], damage: tuple[str, ...]) -> Comparison:
    worst = min(range(len(scores)), key=lambda number: scores[number][0].psnr)
    return Comparison(
        frames=len(scores),
        psnr=float(np.mean([score.psnr for score, _ in scores])),
        ssim=float(np.mean([score.ssim for score, _ in scores])),
        worst_psnr=scores[worst][0].psnr,
        worst_ssim=scores[worst][0].ssim,
        worst_frame=worst,
        worst_time_s=scores[worst][1],
        damage=damage,
    )
