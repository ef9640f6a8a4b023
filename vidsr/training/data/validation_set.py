"""The validation set of a fine-tuning, or with degraded clips: held-out frames, encoded at several qualities.

The moving areas of a clip are the 8x8 blocks in which it changes visibly. A network learns what stands still, captions
most of all, by heart; what it learned of the scene shows where things move. Where nothing moves, all of it counts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidsr.arrays import Luma, Mask
from vidsr.callbacks import OnWarning
from vidsr.errors import SourceError
from vidsr.media.codec_roundtrip import roundtrip
from vidsr.media.probe import probe
from vidsr.quality.evaluation import ResultRow, means, result_rows
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import PERFECT_DB, score
from vidsr.quality.upscalers import Upscaler, center_crop, crop_to_multiple, to_uint8
from vidsr.settings import DegradeSettings, EncodeSettings
from vidsr.training.data.clips import Clip, full_frame_clip, video_clip
from vidsr.training.data.pairs import Pair
from vidsr.training.data.sources import Footage

CRFS = (18, 23, 28, 33)
"""Of x264 medium: artefacts from hardly visible to plain."""
_COLLECTION = "held out"
_POSITIONS = (0.25, 0.75)  # of the clips in a video
_CLIP_FRAMES = 40  # per clip
_FRAME_NUMBERS = (12, 36)  # of a clip, away from its key frame
_MAX_SIDE = 512  # full-size pixels per side, to keep the measurements fast
_BLOCK = 8  # pixels per side
_MIN_CHANGE = 16  # grey levels; codecs and noise change less
_MIN_CHANGED = 4  # pixels of a block
_MIN_MOVING = 0.01  # share of the frame; less is noise


@dataclass(frozen=True, kw_only=True)
class ValidationSample:
    """One frame of the validation set."""

    name: str
    """File stem; the full path if several files share it."""
    input: str
    """The degradation: "crf 23"."""
    pair: Pair


def validation_samples(footage: Sequence[Footage], scale: int, *, on_warning: OnWarning) -> list[ValidationSample]:
    """A few frames of each file, images as moving clips, at each of CRFS; warns of a file that is unreadable.

    The frames are whole; only the moving areas within the window of the file are counted as such.
    """
    samples: list[ValidationSample] = []
    stems = Counter(file.path.stem for file in footage)
    for number, file in enumerate(footage):
        name = file.path.stem if stems[file.path.stem] == 1 else str(file.path)
        try:
            for clip in _clips(replace(file, window=None), scale, np.random.default_rng(number)):
                samples += coded_samples(clip, name, scale, file.area)
        except SourceError as error:
            on_warning(str(error))
    return samples


def score_methods(samples: Iterable[ValidationSample], methods: dict[str, Upscaler], scale: int) -> list[ResultRow]:
    """The scores of every method on every file and input, averaged over frames, `scale` border pixels cropped."""
    inner = (slice(scale, -scale),) * 2
    rows: list[ResultRow] = []
    for sample in samples:
        pair = sample.pair
        upscaled = {name: upscale(pair.lr_luma) for name, upscale in methods.items()}
        scores = {
            name: replace(score(pair.hr[inner], plane[inner]), moving_psnr=min(PERFECT_DB, pair.moving_psnr(plane)))
            for name, plane in upscaled.items()
        }
        # The mean is taken per collection.
        rows += result_rows(scores, collection=sample.name, name=sample.name, scale=scale, input_name=sample.input)
    return [replace(row, collection=_COLLECTION, name=row.collection, worst=row.gain) for row in means(rows)]


def moving_areas(planes: Sequence[Luma], within: Mask | None = None) -> Mask:
    """(H, W): the moving areas `within` (H, W) planes of one view; all of that where less than a hundredth moves."""
    change = np.maximum.reduce(planes) - np.minimum.reduce(planes)
    height, width = change.shape
    padded = np.pad(change > _MIN_CHANGE, ((0, -height % _BLOCK), (0, -width % _BLOCK)))
    blocks = padded.reshape(padded.shape[0] // _BLOCK, _BLOCK, -1, _BLOCK).sum(axis=(1, 3)) >= _MIN_CHANGED
    moving: Mask = blocks.repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)[:height, :width]
    within = np.ones_like(moving) if within is None else within
    return moving & within if (moving & within).mean() >= _MIN_MOVING else within


def coded_samples(
    clip: Clip, name: str, scale: int, area: tuple[slice, slice] = (slice(None), slice(None))
) -> Iterator[ValidationSample]:
    """A few frames of a clip, downscaled and encoded at each of CRFS; moving areas are those within `area`."""
    within = np.zeros(clip.planes[0].shape, np.uint8)
    within[area] = 1
    crops = (crop_to_multiple(center_crop(plane, _MAX_SIDE), scale) for plane in (within, *clip.planes))
    within, *hr = (np.ascontiguousarray(crop) for crop in crops)
    lr = [to_uint8(imresize(plane, 1 / scale)) for plane in hr]
    moving = moving_areas(hr, within > 0)
    for crf in CRFS:
        decoded = list(roundtrip(lr, EncodeSettings(crf=crf), clip.rate))
        for number in dict.fromkeys(min(wanted, len(hr) - 1) for wanted in _FRAME_NUMBERS):
            pair = Pair(lr=decoded[number], hr=hr[number], moving=moving)
            yield ValidationSample(name=name, input=f"crf {crf}", pair=pair)


def _clips(file: Footage, scale: int, random: np.random.Generator) -> list[Clip]:
    media = probe(file.path)
    if media.still:
        return [full_frame_clip(file.path, _CLIP_FRAMES, DegradeSettings(scale=scale), random)]
    return [video_clip(file, media, position=position, frames=_CLIP_FRAMES) for position in _POSITIONS]
