"""What a network is judged by: frames of what is held out, as a codec left them at several qualities."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidsr.arrays import Luma
from vidsr.errors import SourceError
from vidsr.media.codec_roundtrip import roundtrip
from vidsr.media.probe import probe
from vidsr.quality.imresize import imresize
from vidsr.quality.results import Measured, means, score
from vidsr.quality.upscalers import BASELINE, Enlarge, in_bytes, reducible
from vidsr.settings import DegradeSettings, EncodeSettings
from vidsr.training.data.clips import Shot, film_shot, whole_shot
from vidsr.training.data.patches import Pair
from vidsr.training.data.sources import Footage

CRFS = (18, 23, 28, 33)
"""Of x264, medium: from hardly visible to plainly so."""
_COLLECTION = "held out"
_PLACES = (0.25, 0.75)  # in a film, of the shots that judge
_FRAMES = 40  # of each
_TAKEN = (12, 36)  # frames of a shot that judge, away from its key frame
_LARGEST = 512  # full-size pixels a side: as much of a picture as can be measured again and again


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One frame of what is held out."""

    name: str
    """Of the file; its whole path where several are called alike."""
    input: str
    """What was done to it: "crf 23"."""
    pair: Pair


def trials_of(footage: Sequence[Footage], scale: int, *, note: Callable[[str], None]) -> list[Trial]:
    """A few frames of each file, at each of CRFS; of a picture, a moving clip is made first.

    What cannot be read is noted and passed over.
    """
    trials: list[Trial] = []
    stems = Counter(file.path.stem for file in footage)
    for number, file in enumerate(footage):
        name = file.path.stem if stems[file.path.stem] == 1 else str(file.path)
        try:
            for shot in _shots(file, scale, np.random.default_rng(number)):
                trials += _coded(shot, name, scale)
        except SourceError as error:
            note(str(error))
    return trials


def scored(trials: Iterable[Trial], methods: dict[str, Enlarge], scale: int) -> list[Measured]:
    """The scores of every method on every file and input, means over their frames, `scale` pixels off each border."""
    inner = (slice(scale, -scale),) * 2
    rows = []
    for trial in trials:
        small = trial.pair.small_luma
        scores = {name: score(trial.pair.large[inner], enlarge(small)[inner]) for name, enlarge in methods.items()}
        for method, own in scores.items():
            gain = own.psnr - scores[BASELINE].psnr
            rows.append(
                Measured(
                    **vars(own),
                    collection=trial.name,  # over whose frames the mean is taken
                    name=trial.name,
                    scale=scale,
                    input=trial.input,
                    method=method,
                    gain=gain,
                    worst=gain,
                )
            )
    return [replace(row, collection=_COLLECTION, name=row.collection, worst=row.gain) for row in means(rows)]


def _shots(file: Footage, scale: int, random: np.random.Generator) -> list[Shot]:
    outline = probe(file.path)
    if outline.still:
        return [whole_shot(file.path, _FRAMES, DegradeSettings(scale=scale), random)]
    return [film_shot(file.path, outline, place=place, frames=_FRAMES, spans=file.spans) for place in _PLACES]


def _coded(shot: Shot, name: str, scale: int) -> Iterator[Trial]:
    large = [_middle(plane, scale) for plane in shot.planes]
    small = [in_bytes(imresize(plane, 1 / scale)) for plane in large]
    for crf in CRFS:
        decoded = list(roundtrip(small, EncodeSettings(crf=crf), shot.rate))
        for number in dict.fromkeys(min(taken, len(large) - 1) for taken in _TAKEN):
            pair = Pair(small=decoded[number], large=large[number])
            yield Trial(name=name, input=f"crf {crf}", pair=pair)


def _middle(plane: Luma, scale: int) -> Luma:
    top, left = (max(0, length - _LARGEST) // 2 for length in plane.shape)
    return np.ascontiguousarray(reducible(plane[top : top + _LARGEST, left : left + _LARGEST], scale))
