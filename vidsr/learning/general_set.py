"""The general set: drawn pictures of no camera, on which a learned network may lose hardly anything.

Other drawn pictures are mixed into its training, which keeps it from forgetting them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidsr.engine import Engine
from vidsr.errors import TargetError
from vidsr.media.atomic_file import atomic_write
from vidsr.media.image_writer import encode_png
from vidsr.quality.upscalers import network_upscaler
from vidsr.settings.training import LARGEST_CROP
from vidsr.training.data.clips import Clip, moving_clip
from vidsr.training.data.drawn_pictures import draw_picture
from vidsr.training.data.validation_set import ValidationSample, coded_samples

_JUDGES = range(1_000, 1_008)
"""Seeds of the pictures of the general set."""
_TEACHERS = range(24)
"""Seeds of those that are trained on."""
_FRAMES = 13
_SIDE, _VIEW = 256, 224  # pixels per side of a picture, and of the moving view
_TAUGHT_SIDE = LARGEST_CROP + 16  # of a picture that is trained on, times the scale


def general_set(scale: int) -> Iterator[ValidationSample]:
    """A frame of a moving view of each picture, downscaled and encoded at several qualities; all of it counts."""
    for seed in _JUDGES:
        planes = moving_clip(draw_picture(seed, _SIDE), (_VIEW, _VIEW), _FRAMES, np.random.default_rng(seed))
        for sample in coded_samples(Clip(planes=planes), f"drawn {seed}", scale):
            yield replace(sample, pair=replace(sample.pair, moving=None))


def mean_psnr(samples: Sequence[ValidationSample], engine: Engine) -> float:
    """Mean PSNR of a network on the samples, in dB."""
    upscale = network_upscaler(engine)
    return float(np.mean([sample.pair.moving_psnr(upscale(sample.pair.lr_luma)) for sample in samples]))


def write_pictures(folder: Path, scale: int) -> None:
    """Write the pictures that are trained on, unless they are there; any clip fits into them. Raises TargetError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(f"{folder}: {error.strerror}") from error
    for seed in _TEACHERS:
        path = folder / f"drawn-{seed:02}.png"
        if not path.exists():
            with atomic_write(path) as file:
                file.write(encode_png(draw_picture(seed, scale * _TAUGHT_SIDE)))
