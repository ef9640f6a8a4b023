"""Networks on film: shrink a clip, perhaps encode and decode it, enlarge it, and compare with what it was.

The luma of the full-size source is cropped to a multiple of the scale, reduced by antialiased bicubic `imresize` and
rounded to bytes; a real codec makes of it what a viewer would have; every method enlarges that. `scale` pixels are
cut off each border. PSNR and SSIM are means over the frames.

Flicker is what moves where nothing should: the mean absolute difference, in grey levels, between a frame of the
result and the one before, over those pixels in whose 5x5 neighbourhood no pixel of the source changed by more than
one grey level. Of the source itself it lies between 0 and 1.
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
from vidsr.media.reader import Reader
from vidsr.quality.imresize import imresize
from vidsr.quality.results import Score, score
from vidsr.quality.upscalers import Enlarge, in_bytes, reducible
from vidsr.settings import EncodeSettings

_AROUND = 2  # pixels on every side of one that must be still, too
_ORIGINAL = ""  # among the names of the methods


@dataclass(frozen=True, kw_only=True)
class ClipProtocol:
    """How a clip is measured."""

    frames: int = 60
    """From the start of the clip, at the most."""
    encode: EncodeSettings | None = None
    """What the reduced clip is encoded with; None leaves it as it is."""

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"frames must be 1 or more, not {self.frames}")


@dataclass(frozen=True, kw_only=True)
class _Planes:
    """One frame without its borders: what it was, and what each method made of it."""

    original: Luma
    made: dict[str, Luma]


def score_clip(path: Path, scale: int, methods: dict[str, Enlarge], protocol: ClipProtocol) -> dict[str, Score]:
    """{method: score} of a clip, however long: a few frames are held, no more.

    Raises SourceError for a clip that cannot be read or whose pictures change their size, TargetError for an encoder
    that refuses it.
    """
    with Reader(path) as reader, Reader(path) as again:
        originals = _lumas(reader, scale, protocol.frames)
        given: Iterable[Luma] = (in_bytes(imresize(luma, 1 / scale)) for luma in _lumas(again, scale, protocol.frames))
        if protocol.encode:
            given = roundtrip(given, protocol.encode, reader.info.rate or Fraction(25))
        return _scored(_enlarged(originals, given, methods, scale))


def still_parts(before: Luma, after: Luma) -> NDArray[np.bool_]:
    """(H, W): where a picture is as it was in the one before, and around."""
    moved: NDArray[np.bool_] = np.abs(after.astype(np.int16) - before) > 1
    for _ in range(2):  # down the columns, then, turned, along the rows
        spread = np.pad(moved, ((_AROUND, _AROUND), (0, 0)))
        moved = np.logical_or.reduce([spread[i : i + len(moved)] for i in range(2 * _AROUND + 1)]).T
    return ~moved


def _lumas(reader: Reader, scale: int, count: int) -> Iterator[Luma]:
    shape = reader.first.luma.shape
    for frame in islice(reader, count):
        if frame.luma.shape != shape:
            raise SourceError(f"{reader.path}: its pictures change their size")
        yield reducible(luma_8bit(frame.av_frame), scale)


def _enlarged(
    originals: Iterable[Luma], given: Iterable[Luma], methods: dict[str, Enlarge], scale: int
) -> Iterator[_Planes]:
    inner = (slice(scale, -scale),) * 2
    for original, small in zip(originals, given, strict=True):
        made = {name: enlarge(small)[inner] for name, enlarge in methods.items()}
        yield _Planes(original=original[inner], made=made)


def _scored(frames: Iterable[_Planes]) -> dict[str, Score]:
    scores: dict[str, list[Score]] = {}
    changes: Counter[str] = Counter()
    still_pixels = 0
    for before, now in pairwise(chain([None], frames)):
        assert now is not None
        for name, plane in now.made.items():
            scores.setdefault(name, []).append(score(now.original, plane))
        if before:
            still = still_parts(before.original, now.original)
            still_pixels += int(still.sum())
            changes[_ORIGINAL] += _change(before.original, now.original, still)
            for name, plane in now.made.items():
                changes[name] += _change(before.made[name], plane, still)
    flicker = {name: change / still_pixels for name, change in changes.items()} if still_pixels else {}
    return {
        name: Score(
            psnr=float(np.mean([each.psnr for each in own])),
            ssim=float(np.mean([each.ssim for each in own])),
            flicker=flicker.get(name),
            original_flicker=flicker.get(_ORIGINAL),
            frames=len(own),
        )
        for name, own in scores.items()
    }


def _change(before: Luma, after: Luma, where: NDArray[np.bool_]) -> int:
    """By how many grey levels all those pixels together changed."""
    return int(np.abs(after.astype(np.int16) - before)[where].sum())
