"""Build of a paired dataset from recordings of one camera, two by two: of its LR stream and of its HR stream.

`read_degraded_pairs` reads the directory: `dataset.json`, the recordings and their alignment, and shards. A shard
covers the same times in one run or in several.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from vidsr.arrays import Luma
from vidsr.callbacks import OnProgress, OnWarning, ShouldStop
from vidsr.errors import SourceError
from vidsr.settings import DatasetSettings
from vidsr.training.data.dataset_builder import BuildResult, build_missing, open_dataset_dir
from vidsr.training.data.shards import CLIPS_PER_SHARD, MAX_TRIES, MIN_CONTRAST, shard_bytes, shard_path, write_shard
from vidsr.training.pairing import Alignment, evenly_spaced, pairs_at

_CROPS_PER_TIME = 4
_TIMES_PER_SHARD = CLIPS_PER_SHARD // _CROPS_PER_TIME


def build_paired_dataset(
    alignments: Sequence[Alignment],
    folder: Path,
    settings: DatasetSettings = DatasetSettings(),
    *,
    on_warning: OnWarning = lambda sentence: None,
    on_progress: OnProgress = lambda done, of: None,
    should_stop: ShouldStop = lambda: False,
) -> BuildResult:
    """Build the missing shards of a dataset of the overlaps of one or several pairs of recordings, in equal shares.

    Callbacks as of `build_dataset`. Raises TrainingError when the directory holds another dataset, TargetError when
    it cannot be written, SourceError when a recording shows nothing or is no longer readable.
    """
    for alignment in alignments:
        if min(alignment.shape) < settings.crop:
            raise SourceError(f"{alignment.lr}: smaller than the {settings.crop} pixels per side of a clip")
    scale, counts = alignments[0].scale, _shard_counts(alignments, settings, on_warning)
    recorded = {"scale": scale, "pairs": [_identity(*each) for each in zip(alignments, counts, strict=True)]}
    found = [
        {name: asdict(getattr(each, name)) for name in ("time_offset", "registration", "fit")} for each in alignments
    ]
    open_dataset_dir(folder, {"crop": settings.crop, "recorded": recorded}, {"found": found})

    def build(missing: Sequence[int]) -> Iterator[int]:
        clips = _clips_of_shards(alignments, settings.crop, counts, missing)
        for number, shard in zip(missing, clips, strict=False):
            if should_stop():
                return
            write_shard(shard_path(folder, number), shard, crop=settings.crop, scale=scale)
            yield len(shard)

    return build_missing(folder, sum(counts), build, on_progress, crop=settings.crop, scale=scale)


def _identity(alignment: Alignment, shards: int) -> dict[str, object]:
    return {
        "hr": str(alignment.hr),
        "lr": str(alignment.lr),
        "seconds": [round(each, 3) for each in (alignment.start_s, alignment.end_s)],
        "window": str(alignment.window),
        "shards": shards,
    }


def _shard_counts(alignments: Sequence[Alignment], settings: DatasetSettings, on_warning: OnWarning) -> list[int]:
    """The shards of each pair of recordings, limited by `max_gb` and by their lengths with a warning."""
    wanted = -(-settings.clips // CLIPS_PER_SHARD)
    size_limit = int(settings.max_gb * 1e9 / shard_bytes(settings.crop, alignments[0].scale))
    most = [
        -(-int((each.end_s - each.start_s) / each.time_offset.interval_s) // _TIMES_PER_SHARD) for each in alignments
    ]
    left = min(wanted, size_limit, sum(most))
    if left < 1:
        first = alignments[0]
        raise SourceError(
            f"{first.lr} and {first.hr}: no clip from {first.start_s:.1f} to {first.end_s:.1f} s fits "
            f"within {settings.max_gb:g} GB"
        )
    if left < wanted:
        why = f"more exceed {settings.max_gb:g} GB" if size_limit == left else "the recordings are too short"
        on_warning(f"the dataset is limited to {left * CLIPS_PER_SHARD} of {settings.clips} clips: {why}")
    counts = [0] * len(alignments)
    while left:
        for number in range(len(counts)):
            if left and counts[number] < most[number]:
                counts[number], left = counts[number] + 1, left - 1
    return counts


def _clips_of_shards(
    alignments: Sequence[Alignment], crop: int, counts: Sequence[int], missing: Sequence[int]
) -> Iterator[list[tuple[Luma, Luma, str]]]:
    """The clips of each missing shard, in order; each pair of recordings is read once, one after the other."""
    first = 0
    for alignment, of in zip(alignments, counts, strict=True):
        if numbers := [number - first for number in missing if first <= number < first + of]:
            yield from _clips_of_pair(alignment, crop, of, numbers)
        first += of


def _clips_of_pair(
    alignment: Alignment, crop: int, of: int, numbers: Sequence[int]
) -> Iterator[list[tuple[Luma, Luma, str]]]:
    """The clips of these of the `of` shards of a pair of recordings."""
    all_times, window_s = evenly_spaced(alignment.start_s, alignment.end_s, of * _TIMES_PER_SHARD)
    indices = [number * _TIMES_PER_SHARD + each for number in numbers for each in range(_TIMES_PER_SHARD)]
    pairs = pairs_at(alignment, [all_times[each] for each in indices], window_s)
    pair = next(pairs, None)
    for position in range(len(numbers)):
        clips = []
        while pair and pair[0] // _TIMES_PER_SHARD == position:
            crops = _crops(*pair[1:], crop, indices[pair[0]])
            clips += [(*lr_and_hr, f"recorded by {alignment.lr.name}") for lr_and_hr in crops]
            pair = next(pairs, None)
        yield clips


def _crops(lr: Luma, hr: Luma, side: int, number: int) -> list[tuple[Luma, Luma]]:
    """A few random crops of the pair that have contrast."""
    random, scale = np.random.default_rng(number), hr.shape[0] // lr.shape[0]
    found: list[tuple[Luma, Luma]] = []
    for _ in range(MAX_TRIES):
        top, left = (int(random.integers(0, length - side + 1)) for length in lr.shape)
        lr_crop = lr[top : top + side, left : left + side]
        hr_crop = hr[scale * top : scale * (top + side), scale * left : scale * (left + side)]
        if hr_crop.std() >= MIN_CONTRAST and len(found) < _CROPS_PER_TIME:
            found.append((lr_crop, hr_crop))
    return found
