"""Build of a dataset of degraded clips, by several processes, in a directory from which it resumes.

The directory holds `dataset.json`, the config, and shards. A shard depends on the settings, the footage and its number
alone: any number of processes and runs gives the same dataset.
"""

import json
import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path

from vidsr.callbacks import OnProgress, OnWarning, ShouldStop
from vidsr.child_process import end_with_parent
from vidsr.errors import SourceError, TargetError, TrainingError, WorkerError
from vidsr.flow import ordered_window
from vidsr.media.atomic_file import atomic_write
from vidsr.settings import DatasetSettings, DegradeSettings
from vidsr.training.data.shards import (
    CLIPS_PER_SHARD,
    POINTS_PER_SHARD,
    SampledFile,
    ShardFrames,
    ShardPlan,
    build_shard,
    read_shard,
    sample_point,
    sampled_files,
    shard_bytes,
    shard_path,
)
from vidsr.training.data.sources import Footage

DATASET_JSON = "dataset.json"
"""The config of a dataset, in its directory."""
Config = dict[str, object]
"""JSON values by name."""


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """The result of a build."""

    folder: Path
    shards: int
    """Complete shards in the directory."""
    of: int
    """Shards of the complete dataset."""
    fresh: int
    """Shards that this run built."""
    clips: int

    @property
    def finished(self) -> bool:
        """Whether the dataset is complete; if not, the same call resumes."""
        return self.shards == self.of


def build_dataset(
    footage: Sequence[Footage],
    folder: Path,
    degradation: DegradeSettings,
    settings: DatasetSettings = DatasetSettings(),
    *,
    processes: int = 1,
    on_warning: OnWarning = lambda sentence: None,
    on_progress: OnProgress = lambda done, of: None,
    should_stop: ShouldStop = lambda: False,
) -> BuildResult:
    """Build the missing shards of a dataset; `processes=1` builds in this process.

    `on_progress` receives shards; `should_stop` is called before each.
    Raises SourceError when no clip can be made, TrainingError for a directory with a dataset of other settings or
    footage,
    TargetError when a shard cannot be written, WorkerError when a process dies: complete shards stay.
    ValueError for a size limit below one shard, or less than one process.
    """
    if processes < 1:
        raise ValueError(f"processes must be 1 or more, not {processes}")
    of = _shard_count(settings, degradation.scale, on_warning)
    files = sampled_files(footage, degradation, settings.crop * degradation.scale, on_warning)
    identity = {"footage_share": settings.footage_share, "files": [_file_id(each) for each in files]}
    open_dataset_dir(folder, {"degradation": asdict(degradation), "crop": settings.crop, **identity})

    def build(missing: Sequence[int]) -> Iterator[int]:
        plans = (_plan_shard(number, folder, degradation, settings, files) for number in missing)
        for clips, warnings in _build_shards((plan for plan in plans if not should_stop()), processes):
            for sentence in warnings:
                on_warning(sentence)
            yield clips

    return build_missing(folder, of, build, on_progress, crop=settings.crop, scale=degradation.scale)


def build_missing(
    folder: Path,
    of: int,
    build: Callable[[Sequence[int]], Iterator[int]],
    on_progress: OnProgress,
    *,
    crop: int,
    scale: int,
) -> BuildResult:
    """Build the missing ones of `of` shards; `build` yields the clips of each, in order, and may end early.

    Raises SourceError when no clip can be made.
    """
    clips, missing = 0, list[int]()
    for number in range(of):
        frames = read_shard(shard_path(folder, number), crop=crop, scale=scale)
        clips += len(frames.lr) if frames else 0
        missing += [] if frames else [number]
    done = of - len(missing)
    on_progress(done, of)
    for made in build(missing):
        clips, done = clips + made, done + 1
        on_progress(done, of)
    if done == of and not clips:
        raise SourceError(f"{folder}: no clip could be made of the sources")
    return BuildResult(folder=folder, shards=done, of=of, fresh=done - of + len(missing), clips=clips)


def read_shards(folder: Path) -> tuple[DegradeSettings, list[ShardFrames]]:
    """The degradation settings and every shard, in order. Raises TrainingError for a damaged or missing dataset.

    Of a paired dataset, only the scale in the settings is meaningful.
    """
    try:
        log = json.loads((folder / DATASET_JSON).read_text())
        recorded = {"scale": log["recorded"]["scale"]} if "recorded" in log else None
        config, dataset = DegradeSettings(**recorded or log["degradation"]), DatasetSettings(crop=log["crop"])
    except OSError as error:
        raise TrainingError(f"{folder}: holds no dataset ({error.strerror}); `vidsr dataset` builds one") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{folder / DATASET_JSON}: not a dataset config ({error}); choose another directory"
        ) from error
    shards = []
    for path in sorted(folder.glob("shard-*.npz")):
        frames = read_shard(path, crop=dataset.crop, scale=config.scale)
        if frames is None:
            raise TrainingError(f"{path}: damaged; run the same build again, which rebuilds this shard only")
        shards.append(frames)
    return config, shards


def _shard_count(settings: DatasetSettings, scale: int, on_warning: OnWarning) -> int:
    """The number of shards for the clips, limited by `max_gb` with a warning."""
    wanted = math.ceil(settings.clips / CLIPS_PER_SHARD)
    size = shard_bytes(settings.crop, scale)
    limit = int(settings.max_gb * 1e9 / size)
    if not limit:
        raise ValueError(f"max_gb must be {size / 1e9:.3f} or more for a single shard, not {settings.max_gb:g}")
    if limit < wanted:
        clips = limit * CLIPS_PER_SHARD
        on_warning(f"the dataset is limited to {clips} of {settings.clips} clips: more exceed {settings.max_gb:g} GB")
    return min(wanted, limit)


def open_dataset_dir(folder: Path, config: Config, facts: Config | None = None) -> None:
    """Create the directory and its dataset.json, or accept one of the same config; `facts` may differ.

    Raises TrainingError for a dataset of another config, TargetError for a directory that cannot be written.
    """
    log = folder / DATASET_JSON
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = json.loads(log.read_text()) if log.exists() else None
        if before is not None:
            check_config(folder, before, config, "a dataset")
            return
    except OSError as error:
        raise TargetError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, AttributeError) as error:
        raise TrainingError(f"{log}: not a dataset config ({error}); choose another directory") from error
    with atomic_write(log) as file:
        file.write((json.dumps({**config, **(facts or {})}, indent=1) + "\n").encode())


def check_config(folder: Path, before: Config, config: Config, what: str) -> None:
    """Raise TrainingError if the directory holds `what` ("a dataset") of another config, naming what differs."""
    for name, value in config.items():
        found = before.get(name)
        if isinstance(value, dict) and isinstance(found, dict):
            check_config(folder, found, value, what)
        elif found != value:
            values = "" if name == "files" else f" ({found}, not {value})"
            raise TrainingError(
                f"{folder}: holds {what} with other {name}{values}; choose another directory, or remove this one"
            )


def _file_id(sampled: SampledFile) -> list[object]:
    file, media = sampled.footage, sampled.media
    ranges = [[time_range.start_s, time_range.end_s] for time_range in file.ranges]
    parts: list[object] = [ranges, list(file.start_times)] if file.ranges or file.start_times else []
    parts += [str(file.window)] if file.window else []
    return [str(file.path), sampled.size, media.width, media.height, *parts]


def _plan_shard(
    number: int, folder: Path, degradation: DegradeSettings, settings: DatasetSettings, files: Sequence[SampledFile]
) -> ShardPlan:
    numbers = range(number * POINTS_PER_SHARD, (number + 1) * POINTS_PER_SHARD)
    return ShardPlan(
        path=shard_path(folder, number),
        points=tuple(sample_point(each, files, degradation, settings) for each in numbers),
        settings=degradation,
        crop=settings.crop,
    )


def _build_shards(shards: Iterator[ShardPlan], processes: int) -> Iterator[tuple[int, list[str]]]:
    """The results of `build_shard`, in order."""
    if processes == 1:
        yield from map(build_shard, shards)
        return
    context = multiprocessing.get_context("spawn")  # no fork: FFmpeg's threads do not survive it
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_begin_worker, initargs=(os.getpid(),)
    ) as pool:
        try:
            yield from ordered_window(
                lambda shard: pool.submit(build_shard, shard), Future.result, shards, 2 * processes
            )
        except BrokenProcessPool as error:
            raise WorkerError(
                "a process that degraded clips has died; complete shards are kept, and the same call resumes"
            ) from error


def _begin_worker(parent: int) -> None:
    """Ignore Ctrl-C, at which the process `parent` ends its workers, and end with it when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent)
