"""What a network is tuned with and judged by: somebody's footage that is degraded here, or two real recordings."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from vidsr.errors import SourceError, Stopped, TrainingError
from vidsr.media.probe import probe
from vidsr.settings import FinetuneSettings
from vidsr.training.data.dataset_builder import Corpus, make_corpus
from vidsr.training.data.paired_dataset import record_corpus
from vidsr.training.data.patches import Pair
from vidsr.training.data.sources import Footage, Source, footage_of
from vidsr.training.data.split import hold_out
from vidsr.training.finetune.frame_selection import harvest
from vidsr.training.finetune.validation_set import Trial, trials_of
from vidsr.training.pairing.alignment import Alignment, align, aligned_pairs

Note = Callable[[str], None]
Tell = Callable[[int, int], None]
Stop = Callable[[], bool]

_GAP_S = 2.0  # between what teaches and what judges of two recordings
_SMALLEST_CROP = 72
_INSTANTS = 24  # of two recordings, that judge


class Degraded(Protocol):
    """Something that makes a corpus in a folder, or what is missing of it."""

    def __call__(self, folder: Path, *, note: Note, tell: Tell, stop: Stop) -> Corpus:
        """As `make_corpus`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a network is tuned with and judged by."""

    degraded: Degraded
    clean: tuple[Footage, ...]
    """What is replayed without a codec."""
    trials: list[Trial]
    names: tuple[str, ...]
    """The files, as the report and the log have them."""
    notes: tuple[str, ...]
    """What was said in gathering it."""


def from_footage(
    clips: Sequence[Path],
    recordings: Sequence[Path],
    images: Sequence[Path],
    settings: FinetuneSettings,
    *,
    note: Note,
    stop: Stop = lambda: False,
) -> Gathered:
    """Full-size clips, long recordings of which moments are picked, and pictures that teach beside them.

    Raises TrainingError when nothing is left to learn from or to judge by, SourceError for a single film that cannot
    be read, Stopped when it was stopped in picking moments, ValueError for settings that do not fit each other.
    """
    notes, note = kept(note)
    long = footage_of(Source(path=path, sizes=(1.0,)) for path in recordings)
    named = [*footage_of(Source(path=path, sizes=(1.0,)) for path in clips), *long]
    files = [file for file in named if _readable(file, note)]
    if not files:
        raise TrainingError("nothing to learn from: none of the clips can be read")
    teaches, judges = hold_out(files, share=settings.held_out_share, seed=settings.seed, note=note)
    picked = {file.path for file in long}
    teaches = [_picked(file, settings, note, stop) if file.path in picked else file for file in teaches]
    pictures = footage_of(Source(path=path) for path in images)
    trials = trials_of(judges, settings.scale, note=note)
    if not trials:
        raise TrainingError(f"nothing to judge by: none of the {len(judges)} clips held out can be used")
    material = (*teaches, *pictures)
    amount = replace(settings.amount, crop=_crop(teaches, settings))

    def degraded(folder: Path, *, note: Note, tell: Tell, stop: Stop) -> Corpus:
        processes = settings.threads or len(os.sched_getaffinity(0))
        return make_corpus(
            material, folder, settings.degradation, amount, processes=processes, note=note, tell=tell, stop=stop
        )

    names = tuple(str(file.path) for file in (*files, *pictures))
    return Gathered(degraded=degraded, clean=material, trials=trials, names=names, notes=tuple(notes))


def from_recordings(large: Path, small: Path, settings: FinetuneSettings, *, note: Note) -> Gathered:
    """Two recordings of one camera, whose last part judges.

    Raises TrainingError when they cannot be laid on each other, SourceError when one cannot be read.
    """
    notes, note = kept(note)
    alignment = align(large, small, settings.scale, note=note)
    until_s = alignment.end_s - settings.held_out_share * (alignment.end_s - alignment.start_s)

    def degraded(folder: Path, *, note: Note, tell: Tell, stop: Stop) -> Corpus:
        amount = replace(settings.amount, crop=min(settings.amount.crop, *alignment.shape))
        return record_corpus(alignment, folder, amount, end_s=until_s - _GAP_S, note=note, tell=tell, stop=stop)

    trials = _recorded_trials(alignment, until_s)
    if not trials:
        raise TrainingError(f"{small} and {large}: show nothing together after {until_s:.0f} s that could judge")
    names = (str(large), str(small))
    return Gathered(degraded=degraded, clean=(), trials=trials, names=names, notes=tuple(notes))


def kept(note: Note) -> tuple[list[str], Note]:
    """A list, and a note that puts each sentence into it before it is said."""
    notes: list[str] = []

    def both(sentence: str) -> None:
        notes.append(sentence)
        note(sentence)

    return notes, both


def _recorded_trials(alignment: Alignment, start_s: float) -> list[Trial]:
    return [
        Trial(
            name=alignment.small.stem,
            input="recorded",
            pair=Pair(small=small, large=large),
        )
        for small, large in aligned_pairs(alignment, _INSTANTS, start_s=start_s)
    ]


def _readable(file: Footage, note: Note) -> bool:
    try:
        probe(file.path)
    except SourceError as error:
        note(f"{error}; passed over")
        return False
    return True


def _crop(files: Sequence[Footage], settings: FinetuneSettings) -> int:
    """Low-resolution pixels a side that every film has, within bounds: the edges of small crops are many."""
    outlines = [probe(file.path) for file in files]
    shortest = min((min(each.width, each.height) for each in outlines if not each.still), default=0)
    return min(settings.amount.crop, max(_SMALLEST_CROP, shortest // settings.scale))


def _picked(file: Footage, settings: FinetuneSettings, note: Note, stop: Stop) -> Footage:
    moments = harvest(file.path, settings.frames, spans=file.spans, note=note, stop=stop)
    if stop():  # fewer moments would make another corpus
        raise Stopped(f"stopped while moments of {file.path} were picked")
    return replace(file, moments=tuple(moments))
