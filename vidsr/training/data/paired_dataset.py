"""A corpus of two real recordings of one camera: what its small stream makes of what its large one shows.

The folder is one that `read_corpus` reads: `corpus.json`, which says what was recorded and how it was laid on each
other, and shards, each made of the same instants in one run or in several.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import groupby, takewhile
from pathlib import Path

import numpy as np

from vidsr.arrays import Luma
from vidsr.errors import TargetError, TrainingError
from vidsr.media.atomic_file import atomic_write
from vidsr.settings import CorpusSettings
from vidsr.training.data.dataset_builder import Corpus
from vidsr.training.data.shards import FLAT, TRIES, Frames, read_shard, write_frames
from vidsr.training.pairing.alignment import Alignment, pairs_at, spread

_INSTANTS_OF_A_SHARD, _CROPS_OF_AN_INSTANT = 8, 4
_CLIPS_OF_A_SHARD = _INSTANTS_OF_A_SHARD * _CROPS_OF_AN_INSTANT
_LOG = "corpus.json"


def record_corpus(
    alignment: Alignment,
    folder: Path,
    settings: CorpusSettings = CorpusSettings(),
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    note: Callable[[str], None] = lambda sentence: None,
    tell: Callable[[int, int], None] = lambda done, of: None,
    stop: Callable[[], bool] = lambda: False,
) -> Corpus:
    """Make the corpus of the part from `start_s` to `end_s` of the small recording, or what is missing of it.

    `note` gets what should be said, `tell` hears how many shards of how many are there, `stop` is asked before each.
    Raises TrainingError when there is nothing to see or the folder holds something else, TargetError when it cannot
    be written, SourceError when a recording cannot be read any more.
    """
    if min(alignment.shape) < settings.crop:
        raise TrainingError(f"{alignment.small}: smaller than the {settings.crop} pixels a side of a clip")
    span = alignment.within(start_s, end_s)
    of = _shards_within(alignment, settings, span, note)
    _open_folder(alignment, folder, settings, span, of)
    paths = [folder / f"shard-{number:05}.npz" for number in range(of)]
    there = [read_shard(path, crop=settings.crop, scale=alignment.scale) for path in paths]
    missing = [number for number, frames in enumerate(there) if frames is None]
    clips, done = sum(len(frames.small) for frames in there if frames), of - len(missing)
    tell(done, of)
    for number, frames in _made(alignment, settings, span, of, missing):
        if stop():
            break
        write_frames(paths[number], frames)
        clips, done = clips + len(frames.small), done + 1
        tell(done, of)
    if done == of and not clips:
        raise TrainingError(f"{folder}: not one clip could be made of {alignment.small} and {alignment.large}")
    return Corpus(folder=folder, shards=done, of=of, fresh=done - of + len(missing), clips=clips)


def _shards_within(
    alignment: Alignment, settings: CorpusSettings, span: tuple[float, float], note: Callable[[str], None]
) -> int:
    """How many shards hold the clips that are asked for, or fit below the bound or into the time, which is said."""
    wanted = -(-settings.clips // _CLIPS_OF_A_SHARD)
    size = _CLIPS_OF_A_SHARD * settings.crop**2 * (1 + alignment.scale**2)
    room = int(settings.max_gb * 1e9 / size)
    instants = int((span[1] - span[0]) / alignment.tie.interval_s)
    most = min(room, -(-instants // _INSTANTS_OF_A_SHARD))
    if most < 1:
        raise TrainingError(
            f"{alignment.small} and {alignment.large}: nothing can be taken from {span[0]:.1f} to {span[1]:.1f} s "
            f"within {settings.max_gb:g} GB"
        )
    if most < wanted:
        why = f"more take above {settings.max_gb:g} GB" if room == most else "there are no more instants"
        note(f"the corpus stops at {most * _CLIPS_OF_A_SHARD} clips of {settings.clips}: {why}")
    return min(wanted, most)


def _open_folder(
    alignment: Alignment, folder: Path, settings: CorpusSettings, span: tuple[float, float], of: int
) -> None:
    """Make the folder, or take one in which the same was asked for before."""
    recorded = {
        "scale": alignment.scale,
        "large": str(alignment.large),
        "small": str(alignment.small),
        "seconds": [round(each, 3) for each in span],
        "shards": of,
    }
    asked = {"crop": settings.crop, "recorded": recorded}
    found = {"tie": asdict(alignment.tie), "laying": asdict(alignment.laying), "fit": asdict(alignment.fit)}
    log = folder / _LOG
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = json.loads(log.read_text()) if log.exists() else None
        same = before is None or {name: before.get(name) for name in asked} == asked
    except OSError as error:
        raise TargetError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, AttributeError) as error:
        raise TrainingError(f"{log}: describes no corpus ({error})") from error
    if not same:
        raise TrainingError(f"{folder}: holds another corpus; take another folder, or remove this one")
    if before is None:
        with atomic_write(log) as file:
            file.write((json.dumps({**asked, "found": found}, indent=1) + "\n").encode())


def _made(
    alignment: Alignment, settings: CorpusSettings, span: tuple[float, float], of: int, missing: list[int]
) -> Iterator[tuple[int, Frames]]:
    """Every missing shard, in order: the recordings are read once."""
    all_times, lasting_s = spread(*span, of * _INSTANTS_OF_A_SHARD)
    numbers = [number * _INSTANTS_OF_A_SHARD + each for number in missing for each in range(_INSTANTS_OF_A_SHARD)]
    pairs = pairs_at(alignment, [all_times[each] for each in numbers], lasting_s)
    left = iter(missing)
    for place, group in groupby(pairs, key=lambda pair: pair[0] // _INSTANTS_OF_A_SHARD):
        cuts = [cut for at, small, large in group for cut in _crops(small, large, settings.crop, numbers[at])]
        yield from ((each, _frames(alignment, [], settings.crop)) for each in takewhile(missing[place].__ne__, left))
        yield missing[place], _frames(alignment, cuts, settings.crop)
    yield from ((each, _frames(alignment, [], settings.crop)) for each in left)


def _crops(small: Luma, large: Luma, side: int, number: int) -> list[tuple[Luma, Luma]]:
    """A few squares of the pair, anywhere in it where there is something to see."""
    random, scale = np.random.default_rng(number), large.shape[0] // small.shape[0]
    found: list[tuple[Luma, Luma]] = []
    for _ in range(TRIES):
        top, left = (int(random.integers(0, length - side + 1)) for length in small.shape)
        one = small[top : top + side, left : left + side]
        other = large[scale * top : scale * (top + side), scale * left : scale * (left + side)]
        if other.std() >= FLAT and len(found) < _CROPS_OF_AN_INSTANT:
            found.append((one, other))
    return found


def _frames(alignment: Alignment, cuts: list[tuple[Luma, Luma]], side: int) -> Frames:
    large = side * alignment.scale
    return Frames(
        small=np.array([one for one, _ in cuts], np.uint8).reshape(-1, side, side),
        large=np.array([other for _, other in cuts], np.uint8).reshape(-1, large, large),
        recipes=np.array([f"recorded by {alignment.small.name}" for _ in cuts], np.str_),
    )
