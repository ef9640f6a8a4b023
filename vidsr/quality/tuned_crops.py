"""Where tuning shows: parts of one frame of an encoded clip, by Lanczos and by the network before and after."""

from collections import deque
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vidsr.engine import Engine
from vidsr.media.reader import Reader
from vidsr.metrics import psnr
from vidsr.quality.clips import ClipProtocol, with_small
from vidsr.quality.crops import Crop, Part, most_gained
from vidsr.quality.measured import PERFECT_DB
from vidsr.quality.methods import BASELINE, Luma, methods
from vidsr.settings import EncodeSettings

TUNED = "tuned"  # its name among the engines

_FRAMES = 21  # the last is shown, or that of a shorter clip: the first, a key frame, is better than most


def tuned_crops(
    clip: Path, engines: Mapping[str, Engine], *, encode: EncodeSettings | None, start_s: float = 0.0
) -> list[list[Part]]:
    """For each of three parts: the input, Lanczos, the engines under their names, the original; in grey.

    All engines have one scale, and one of them is called "tuned". The frame is the 21st from `start_s` on, upright,
    reduced and encoded as `evaluate` does it; of its parts those are shown in which the tuned network gains most over
    Lanczos. Raises SourceError for a clip that cannot be read, TargetError for an encoder that refuses it.
    """
    scale = engines[TUNED].scale
    original, small = _pair(clip, scale, ClipProtocol(frames=_FRAMES, encode=encode), start_s)
    large = {name: enlarge(small) for name, enlarge in methods(dict(engines), scale).items()}
    columns = {
        "input": small.repeat(scale, axis=0).repeat(scale, axis=1),
        "Lanczos": large[BASELINE],
        **{name: large[name] for name in engines},
        "original": original,
    }
    crops = most_gained(original, large[BASELINE], large[TUNED])
    return [[_part(name, plane, original, crop) for name, plane in columns.items()] for crop in crops]


def _pair(clip: Path, scale: int, protocol: ClipProtocol, start_s: float) -> tuple[Luma, Luma]:
    begin = start_s or None
    with Reader(clip, start_s=begin, upright=True) as reader, Reader(clip, start_s=begin, upright=True) as again:
        (last,) = deque(with_small(reader, again, scale, protocol), maxlen=1)
    return last


def _part(label: str, plane: Luma, original: Luma, crop: Crop) -> Part:
    shown, true = plane[crop.area], original[crop.area]
    db = None if plane is original else min(PERFECT_DB, psnr(true, shown))
    return Part(label=label, crop=crop, image=np.stack([shown] * 3, axis=-1), psnr=db)
