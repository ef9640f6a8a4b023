"""Where tuning shows: parts of one frame that a codec has seen, by Lanczos and by the network before and after."""

from collections.abc import Mapping

import numpy as np

from vidsr.arrays import Luma
from vidsr.engine import Engine
from vidsr.metrics import psnr
from vidsr.quality.crops import Crop, Part, most_gained
from vidsr.quality.results import PERFECT_DB
from vidsr.quality.upscalers import BASELINE, methods

TUNED = "tuned"
"""The tuned network's name among the engines."""


def tuned_crops(original: Luma, small: Luma, engines: Mapping[str, Engine]) -> list[list[Part]]:
    """For each of three parts: the input, Lanczos, the engines under their names, the original; in grey.

    `original` is (scale*H, scale*W), `small` (H, W) what a codec left of it. All engines have one scale, and one is
    called "tuned": those parts are shown in which it gains most over Lanczos.
    """
    scale = engines[TUNED].scale
    large = {name: enlarge(small) for name, enlarge in methods(dict(engines), scale).items()}
    columns = {
        "input": small.repeat(scale, axis=0).repeat(scale, axis=1),
        "Lanczos": large[BASELINE],
        **{name: large[name] for name in engines},
        "original": original,
    }
    crops = most_gained(original, large[BASELINE], large[TUNED])
    return [[_part(name, plane, original, crop) for name, plane in columns.items()] for crop in crops]


def _part(label: str, plane: Luma, original: Luma, crop: Crop) -> Part:
    shown, true = plane[crop.area], original[crop.area]
    db = None if plane is original else min(PERFECT_DB, psnr(true, shown))
    return Part(label=label, crop=crop, image=np.stack([shown] * 3, axis=-1), psnr=db)
