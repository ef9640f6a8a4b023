"""Build of a paired dataset from two recordings of one camera: its LR stream and its HR stream.

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
    alignment: Alignment,
    folder: Path,
    settings: DatasetSettings = DatasetSettings(),
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    on_warning: OnWarning = lambda sentence: None,
    on_progress: OnProgress = lambda done, of: None,
    should_stop: ShouldStop = lambda: False,
) -> BuildResult:
    """Build the missing shards of a dataset of `start_s` to `end_s` of the LR recording.

    Callbacks as of `build_dataset`. Raises TrainingError when the directory holds another dataset, TargetError when
    it cannot be written, SourceError when a recording shows nothing or is no longer readable.
    """
    if min(alignment.shape) < settings.crop:
        raise SourceError(f"{alignment.lr}: smaller than the {settings.crop} pixels per side of a clip")
    time_range = alignment.within(start_s, end_s)
    of = _shard_count(alignment, settings, time_range, on_warning)
    recorded = {
        "scale": alignment.scale,
        "hr": str(alignment.hr),
        "lr": str(alignment.lr),
        "seconds": [round(each, 3) for each in time_range],
        "shards": of,
    }
    found = {name: asdict(getattr(alignment, name)) for name in ("time_offset", "registration", "fit")}
    open_dataset_dir(folder, {"crop": settings.crop, "recorded": recorded}, {"found": found})

    def build(missing: Sequence[int]) -> Iterator[int]:
        clips = _clips_of_shards(alignment, settings.crop, time_range, of, missing)
        for number, shard in zip(missing, clips, strict=False):
            if should_stop():
                return
            write_shard(shard_path(folder, number), shard, crop=settings.crop, scale=alignment.scale)
            yield len(shard)

    return build_missing(folder, of, build, on_progress, crop=settings.crop, scale=alignment.scale)


def _shard_count(
    alignment: Alignment, settings: DatasetSettings, time_range: tuple[float, float], on_warning: OnWarning
) -> int:
    """The number of shards for the clips, limited by `max_gb` and by the length with a warning."""
    wanted = -(-settings.clips // CLIPS_PER_SHARD)
    size_limit = int(settings.max_gb * 1e9 / shard_bytes(settings.crop, alignment.scale))
    times = int((time_range[1] - time_range[0]) / alignment.time_offset.interval_s)
    most = min(size_limit, -(-times // _TIMES_PER_SHARD))
    if most < 1:
        raise SourceError(
            f"{alignment.lr} and {alignment.hr}: no clip from {time_range[0]:.1f} to {time_range[1]:.1f} s fits "
            f"within {settings.max_gb:g} GB"
        )
    if most < wanted:
        why = f"more exceed {settings.max_gb:g} GB" if size_limit == most else "the recordings are too short"
        on_warning(f"the dataset is limited to {most * CLIPS_PER_SHARD} of {settings.clips} clips: {why}")
    return min(wanted, most)


def _clips_of_shards(
    alignment: Alignment, crop: int, time_range: tuple[float, float], of: int, numbers: Sequence[int]
) -> Iterator[list[tuple[Luma, Luma, str]]]:
    """The clips of each of these shards, in order; the recordings are read once."""
    all_times, window_s = evenly_spaced(*time_range, of * _TIMES_PER_SHARD)
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
