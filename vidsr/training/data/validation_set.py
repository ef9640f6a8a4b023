"""The validation set of a fine-tuning, or with degraded clips: held-out frames, encoded at several qualities."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidsr.callbacks import OnWarning
from vidsr.errors import SourceError
from vidsr.media.codec_roundtrip import roundtrip
from vidsr.media.probe import probe
from vidsr.quality.evaluation import ResultRow, means, result_rows
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import score
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


@dataclass(frozen=True, kw_only=True)
class ValidationSample:
    """One frame of the validation set."""

    name: str
    """File stem; the full path if several files share it."""
    input: str
    """The degradation: "crf 23"."""
    pair: Pair


def validation_samples(footage: Sequence[Footage], scale: int, *, on_warning: OnWarning) -> list[ValidationSample]:
    """A few frames of each file, images as moving clips, at each of CRFS; warns of a file that is unreadable."""
    samples: list[ValidationSample] = []
    stems = Counter(file.path.stem for file in footage)
    for number, file in enumerate(footage):
        name = file.path.stem if stems[file.path.stem] == 1 else str(file.path)
        try:
            for clip in _clips(file, scale, np.random.default_rng(number)):
                samples += _coded_samples(clip, name, scale)
        except SourceError as error:
            on_warning(str(error))
    return samples


def score_methods(samples: Iterable[ValidationSample], methods: dict[str, Upscaler], scale: int) -> list[ResultRow]:
    """The scores of every method on every file and input, averaged over frames, `scale` border pixels cropped."""
    inner = (slice(scale, -scale),) * 2
    rows: list[ResultRow] = []
    for sample in samples:
        lr = sample.pair.lr_luma
        scores = {name: score(sample.pair.hr[inner], upscale(lr)[inner]) for name, upscale in methods.items()}
        # The mean is taken per collection.
        rows += result_rows(scores, collection=sample.name, name=sample.name, scale=scale, input_name=sample.input)
    return [replace(row, collection=_COLLECTION, name=row.collection, worst=row.gain) for row in means(rows)]


def _clips(file: Footage, scale: int, random: np.random.Generator) -> list[Clip]:
    outline = probe(file.path)
    if outline.still:
        return [full_frame_clip(file.path, _CLIP_FRAMES, DegradeSettings(scale=scale), random)]
    return [video_clip(file, outline, position=position, frames=_CLIP_FRAMES) for position in _POSITIONS]


def _coded_samples(clip: Clip, name: str, scale: int) -> Iterator[ValidationSample]:
    crops = (crop_to_multiple(center_crop(plane, _MAX_SIDE), scale) for plane in clip.planes)
    hr = [np.ascontiguousarray(crop) for crop in crops]
    lr = [to_uint8(imresize(plane, 1 / scale)) for plane in hr]
    for crf in CRFS:
        decoded = list(roundtrip(lr, EncodeSettings(crf=crf), clip.rate))
        for number in dict.fromkeys(min(wanted, len(hr) - 1) for wanted in _FRAME_NUMBERS):
            pair = Pair(lr=decoded[number], hr=hr[number])
            yield ValidationSample(name=name, input=f"crf {crf}", pair=pair)
