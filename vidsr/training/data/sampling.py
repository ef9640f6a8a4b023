"""What degraded clips are made of: which files, and in which order they are read, at which places."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsr.errors import SourceError, TrainingError
from vidsr.media.probe import MediaProbe, probe
from vidsr.settings import CorpusSettings, DegradeSettings
from vidsr.settings.range_syntax import span_of
from vidsr.training.data.clips import USUAL_RATE
from vidsr.training.data.scenes import Span
from vidsr.training.data.sources import Footage

_GOLDEN = (math.sqrt(5) - 1) / 2  # whose multiples, less their whole part, fill 0 to 1 evenly however many there are


@dataclass(frozen=True, kw_only=True)
class Material:
    """A file at one size, in parts of the original, what its header says, and what of it is used, as of Footage."""

    path: Path
    size: float
    outline: MediaProbe
    spans: tuple[Span, ...] = ()
    moments: tuple[float, ...] = ()

    @property
    def pixels(self) -> float:
        """Of one picture, at that size."""
        return self.size**2 * self.outline.width * self.outline.height


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One reading of a file, for some clips."""

    number: int
    material: Material
    place: float = 0.0
    """How far into what is used of a film, from 0 to 1."""


def survey(
    footage: Sequence[Footage], settings: DegradeSettings, side: int, note: Callable[[str], None]
) -> list[Material]:
    """Every file at each of its sizes at which it holds clips of `side` full-size pixels.

    What cannot be read, is too small or too short is noted and passed over. Raises TrainingError when nothing is left.
    """
    found: list[Material] = []
    for file in footage:
        try:
            found += _fitting(file, settings, side)
        except SourceError as error:
            note(str(error))
    if not found:
        raise TrainingError(f"nothing to degrade: none of {len(footage)} files can be used")
    return found


def visit_of(number: int, materials: Sequence[Material], settings: DegradeSettings, corpus: CorpusSettings) -> Visit:
    """The visit of that number: films in turn, each at places that fill it evenly; pictures by area, at random."""
    films = [material for material in materials if not material.outline.still]
    pictures = [material for material in materials if material.outline.still]
    share = corpus.footage_share if films and pictures else float(bool(films))
    before, until = math.floor(number * share), math.floor((number + 1) * share)
    if until > before:
        place = (before // len(films) + 0.5) * _GOLDEN % 1
        return Visit(number=number, material=films[before % len(films)], place=place)
    areas = np.array([material.pixels for material in pictures])
    chosen = np.random.default_rng([settings.seed, 0, number]).choice(len(pictures), p=areas / areas.sum())
    return Visit(number=number, material=pictures[chosen])


def _fitting(file: Footage, settings: DegradeSettings, side: int) -> list[Material]:
    outline = probe(file.path)
    needed = int(span_of(settings.frames)[0])
    seconds = max((span.seconds for span in file.spans), default=outline.seconds)
    frames = round(seconds * (outline.rate or USUAL_RATE))
    if not outline.still and 0 < frames < needed:
        raise SourceError(f"{file.path}: has {frames} frames, fewer than the {needed} of a clip; passed over")
    shorter = min(outline.width, outline.height)
    found = [
        Material(path=file.path, size=size, outline=outline, spans=file.spans, moments=file.moments)
        for size in file.sizes
        if shorter * size >= side
    ]
    if not found:
        raise SourceError(f"{file.path}: smaller than the {side} pixels a side of a clip; passed over")
    return found
