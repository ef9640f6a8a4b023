"""Build of a paired dataset from two recordings of one camera: its LR stream and its HR stream.

`read_degraded_pairs` reads the directory: `dataset.json`, the recordings and their alignment, and shards. A shard
covers the same times in one run or in several.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby, takewhile
from pathlib import Path

import numpy as np

from vidsr.arrays import Luma
from vidsr.callbacks import OnProgress, OnWarning, ShouldStop
from vidsr.errors import TargetError, TrainingError
from vidsr.media.atomic_file import atomic_write
from vidsr.settings import DatasetSettings
from vidsr.training.data.dataset_builder import DATASET_JSON, BuildResult
from vidsr.training.data.shards import MAX_TRIES, MIN_CONTRAST, ShardFrames, read_shard, write_shard
from vidsr.training.pairing import Alignment, evenly_spaced, pairs_at

_TIMES_PER_SHARD, _CROPS_PER_TIME = 8, 4
_CLIPS_PER_SHARD = _TIMES_PER_SHARD * _CROPS_PER_TIME


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

    Callbacks as of `build_dataset`. Raises TrainingError when nothing is visible or the directory holds another
    dataset, TargetError when it cannot be written, SourceError when a recording is no longer readable.
    """
    if min(alignment.shape) < settings.crop:
        raise TrainingError(f"{alignment.lr}: smaller than the {settings.crop} pixels per side of a clip")
    time_range = alignment.within(start_s, end_s)
    of = _shard_count(alignment, settings, time_range, on_warning)
    _open_dataset_dir(alignment, folder, settings, time_range, of)
    paths = [folder / f"shard-{number:05}.npz" for number in range(of)]
    existing = [read_shard(path, crop=settings.crop, scale=alignment.scale) for path in paths]
    missing = [number for number, frames in enumerate(existing) if frames is None]
    clips, done = sum(len(frames.lr) for frames in existing if frames), of - len(missing)
    on_progress(done, of)
    for number, frames in _missing_shards(alignment, settings, time_range, of, missing):
        if should_stop():
            break
        write_shard(paths[number], frames)
        clips, done = clips + len(frames.lr), done + 1
        on_progress(done, of)
    if done == of and not clips:
        raise TrainingError(f"{folder}: no clip could be made of {alignment.lr} and {alignment.hr}")
    return BuildResult(folder=folder, shards=done, of=of, fresh=done - of + len(missing), clips=clips)


def _shard_count(
    alignment: Alignment, settings: DatasetSettings, time_range: tuple[float, float], on_warning: OnWarning
) -> int:
    """The number of shards for the clips, limited by `max_gb` and by the length with a warning."""
    wanted = -(-settings.clips // _CLIPS_PER_SHARD)
    shard_bytes = _CLIPS_PER_SHARD * settings.crop**2 * (1 + alignment.scale**2)
    size_limit = int(settings.max_gb * 1e9 / shard_bytes)
    times = int((time_range[1] - time_range[0]) / alignment.time_offset.interval_s)
    most = min(size_limit, -(-times // _TIMES_PER_SHARD))
    if most < 1:
        raise TrainingError(
            f"{alignment.lr} and {alignment.hr}: no clip from {time_range[0]:.1f} to {time_range[1]:.1f} s fits "
            f"within {settings.max_gb:g} GB"
        )
    if most < wanted:
        why = f"more exceed {settings.max_gb:g} GB" if size_limit == most else "the recordings are too short"
        on_warning(f"the dataset is limited to {most * _CLIPS_PER_SHARD} of {settings.clips} clips: {why}")
    return min(wanted, most)


def _open_dataset_dir(
    alignment: Alignment, folder: Path, settings: DatasetSettings, time_range: tuple[float, float], of: int
) -> None:
    """Create the directory, or accept one of the same config."""
    recorded = {
        "scale": alignment.scale,
        "hr": str(alignment.hr),
        "lr": str(alignment.lr),
        "seconds": [round(each, 3) for each in time_range],
        "shards": of,
    }
    config = {"crop": settings.crop, "recorded": recorded}
    found = {
        "time_offset": asdict(alignment.time_offset),
        "registration": asdict(alignment.registration),
        "fit": asdict(alignment.fit),
    }
    log = folder / DATASET_JSON
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = json.loads(log.read_text()) if log.exists() else None
        same = before is None or {name: before.get(name) for name in config} == config
    except OSError as error:
        raise TargetError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, AttributeError) as error:
        raise TrainingError(f"{log}: not a dataset config ({error})") from error
    if not same:
        raise TrainingError(f"{folder}: holds another dataset; choose another directory, or remove this one")
    if before is None:
        with atomic_write(log) as file:
            file.write((json.dumps({**config, "found": found}, indent=1) + "\n").encode())


def _missing_shards(
    alignment: Alignment, settings: DatasetSettings, time_range: tuple[float, float], of: int, missing: list[int]
) -> Iterator[tuple[int, ShardFrames]]:
    """Every missing shard, in order; the recordings are read once."""
    all_times, window_s = evenly_spaced(*time_range, of * _TIMES_PER_SHARD)
    numbers = [number * _TIMES_PER_SHARD + each for number in missing for each in range(_TIMES_PER_SHARD)]
    pairs = pairs_at(alignment, [all_times[each] for each in numbers], window_s)
    left = iter(missing)
    for position, group in groupby(pairs, key=lambda pair: pair[0] // _TIMES_PER_SHARD):
        crops = [crop for at, lr, hr in group for crop in _crops(lr, hr, settings.crop, numbers[at])]
        yield from (
            (each, _frames(alignment, [], settings.crop)) for each in takewhile(missing[position].__ne__, left)
        )
        yield missing[position], _frames(alignment, crops, settings.crop)
    yield from ((each, _frames(alignment, [], settings.crop)) for each in left)


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


def _frames(alignment: Alignment, crops: list[tuple[Luma, Luma]], side: int) -> ShardFrames:
    hr = side * alignment.scale
    return ShardFrames(
        lr=np.array([lr_crop for lr_crop, _ in crops], np.uint8).reshape(-1, side, side),
        hr=np.array([hr_crop for _, hr_crop in crops], np.uint8).reshape(-1, hr, hr),
        recipes=np.array([f"recorded by {alignment.lr.name}" for _ in crops], np.str_),
    )
