"""The data of a fine-tuning: footage, to be degraded, or recordings of the two streams of a camera."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from vidsr.callbacks import OnProgress, OnWarning, ShouldStop
from vidsr.cpu import describe_machine, usable_cores
from vidsr.errors import SourceError, Stopped
from vidsr.media.hdr_options import is_hdr
from vidsr.media.probe import probe
from vidsr.media.reader import Reader
from vidsr.quality.crops import Crop
from vidsr.settings import DatasetSettings, FinetuneSettings
from vidsr.training.data.dataset_builder import BuildResult, build_dataset
from vidsr.training.data.paired_dataset import build_paired_dataset
from vidsr.training.data.pairs import Pair
from vidsr.training.data.sources import Footage, Source, find_footage, footage_without
from vidsr.training.data.split import split_footage
from vidsr.training.data.validation_set import ValidationSample, moving_areas, validation_samples
from vidsr.training.finetune.camera_views import with_windows
from vidsr.training.finetune.frame_selection import select_frame_times
from vidsr.training.pairing import Alignment, align, aligned_pairs

_GAP_S = 2.0  # seconds between training and validation part of two recordings
_MIN_CROP = 72
_MIN_IMAGES = 3  # of which one is held out
_VALIDATION_PAIRS = 24  # of all recordings that are held out
_MIN_VALIDATION_PAIRS = 4  # of each
DATASET, _MORE = "dataset", "more"
"""The folder of the dataset, and that of additional images beside recordings."""


class BuildDataset(Protocol):
    """A function that builds the missing shards of a dataset in a directory."""

    def __call__(
        self, folder: Path, *, on_warning: OnWarning, on_progress: OnProgress, should_stop: ShouldStop
    ) -> BuildResult:
        """As `dataset_builder.build_dataset`."""
        ...


@dataclass(frozen=True, kw_only=True)
class FinetuneData:
    """Training and validation data of a fine-tuning."""

    builds: Mapping[str, BuildDataset]
    """The datasets to train on, by the name of their folder."""
    clean: tuple[Footage, ...]
    """Footage for clean pairs."""
    validation: list[ValidationSample]
    names: tuple[str, ...]
    """The source files, for the report and the log."""
    window: Crop | None = None
    """The part of the picture that is trained on, where the rest has captions; None: all of it."""
    warnings: tuple[str, ...]
    """Warnings raised while the data was prepared."""


def from_footage(
    clips: Sequence[Path],
    recordings: Sequence[Path],
    images: Sequence[Path],
    settings: FinetuneSettings,
    *,
    on_warning: OnWarning,
    should_stop: ShouldStop = lambda: False,
) -> FinetuneData:
    """The data of full-size clips, long recordings, of which frames are selected, and additional training images.

    Raises SourceError when the training or the validation set is empty, or a single video is unreadable, Stopped
    during frame selection, ValueError for settings that exclude each other.
    """
    warnings, on_warning = collect_warnings(on_warning)
    long = find_footage(Source(path=path, sizes=(1.0,)) for path in recordings)
    short = find_footage(Source(path=path, sizes=(1.0,)) for path in clips)
    named = [*footage_without(short, long), *long]
    files = with_windows(_usable(named, on_warning), on_warning=on_warning, should_stop=should_stop)
    training, held_out = split_footage(files, share=settings.held_out_share, seed=settings.seed, on_warning=on_warning)
    long_paths = {file.path for file in long}
    for number, file in enumerate(training):
        if file.path in long_paths:
            training[number] = _with_start_times(file, settings, on_warning, should_stop)
    return replace(from_split(training, held_out, images, settings, on_warning=on_warning), warnings=tuple(warnings))


def from_split(
    training: Sequence[Footage],
    held_out: Sequence[Footage],
    images: Sequence[Path],
    settings: FinetuneSettings,
    *,
    on_warning: OnWarning,
) -> FinetuneData:
    """The data of footage that is split already, and additional training images.

    Raises SourceError when the validation set is empty.
    """
    warnings, on_warning = collect_warnings(on_warning)
    more = footage_without(find_footage(Source(path=path) for path in images), held_out)
    footage = (*training, *more)
    files = [file.path for file in (*training, *held_out, *more)]
    return FinetuneData(
        builds={
            DATASET: _degrading(footage, settings, replace(settings.dataset, crop=_crop_size(training, settings)))
        },
        clean=footage,
        validation=_validation(held_out, settings, on_warning),
        names=tuple(dict.fromkeys(map(str, files))),
        window=next((file.window for file in training if file.window), None),
        warnings=tuple(warnings),
    )


def from_recordings(hr: Path, lr: Path, settings: FinetuneSettings, *, on_warning: OnWarning) -> FinetuneData:
    """The data of two recordings of one camera; their last part is the validation set.

    Raises SourceError when they cannot be aligned, or one is unreadable.
    """
    warnings, on_warning = collect_warnings(on_warning)
    alignment = align(hr, lr, settings.scale, on_warning=on_warning)
    until_s = alignment.end_s - settings.held_out_share * (alignment.end_s - alignment.start_s)
    training, held_out = replace(alignment, end_s=until_s - _GAP_S), replace(alignment, start_s=until_s)
    data = from_alignments([training], [held_out], [], settings)
    if not data.validation:
        raise SourceError(
            f"{lr} and {hr}: no pair to validate on after {until_s:.0f} s; record more, or lower held_out_share"
        )
    return replace(data, warnings=tuple(warnings))


def from_alignments(
    training: Sequence[Alignment],
    held_out: Sequence[Alignment],
    images: Sequence[Path],
    settings: FinetuneSettings,
    *,
    input_name: str = "recorded",
) -> FinetuneData:
    """The data of aligned recordings of the two streams of a camera, and additional training images.

    The validation set has the name `input_name`; it is empty where the held-out recordings have no common frame.
    Raises SourceError when one is unreadable.
    """
    dataset = replace(settings.dataset, crop=min(settings.dataset.crop, *(min(each.shape) for each in training)))
    builds: dict[str, BuildDataset] = {DATASET: partial(build_paired_dataset, training, settings=dataset)}
    if more := find_footage(Source(path=path) for path in images):
        clips = math.ceil(dataset.clips * (1 - dataset.footage_share))
        builds[_MORE] = _degrading(more, settings, replace(dataset, clips=clips))
    count = max(_MIN_VALIDATION_PAIRS, _VALIDATION_PAIRS // len(held_out))
    return FinetuneData(
        builds=builds,
        clean=tuple(more),
        validation=[sample for each in held_out for sample in _paired_samples(each, count, input_name)],
        names=tuple(str(path) for each in (*training, *held_out) for path in (each.hr, each.lr)),
        window=next((each.window for each in training if each.window), None),
        warnings=(),
    )


def _degrading(footage: Sequence[Footage], settings: FinetuneSettings, dataset: DatasetSettings) -> BuildDataset:
    return partial(
        build_dataset,
        footage,
        degradation=settings.degradation,
        settings=dataset,
        processes=settings.threads or usable_cores(describe_machine()),
    )


def _paired_samples(alignment: Alignment, count: int, input_name: str) -> list[ValidationSample]:
    planes = list(aligned_pairs(alignment, count))
    moving = moving_areas([hr for _, hr in planes]) if planes else None
    pairs = [Pair(lr=lr, hr=hr, moving=moving) for lr, hr in planes]
    return [ValidationSample(name=alignment.lr.stem, input=input_name, pair=pair) for pair in pairs]


def collect_warnings(on_warning: OnWarning) -> tuple[list[str], OnWarning]:
    """Returns a list, and a callback that appends each warning to it and passes it on."""
    warnings: list[str] = []

    def collect(sentence: str) -> None:
        warnings.append(sentence)
        on_warning(sentence)

    return warnings, collect


def _usable(files: Sequence[Footage], on_warning: OnWarning) -> list[Footage]:
    """The files that can be read. Raises SourceError if there are none, or a few images alone."""
    stills = {}
    for file in files:
        try:
            stills[file] = probe(file.path).still
            if not stills[file]:
                _warn_of_format(file.path, on_warning)
        except SourceError as error:
            on_warning(f"{error}; skipped")
    if not stills:
        raise SourceError("nothing to train on: no clip is readable")
    if len(stills) < _MIN_IMAGES and all(stills.values()):
        raise SourceError(
            f"{files[0].path}: too few images, {len(stills)} in all; give {_MIN_IMAGES} or more, or clips"
        )
    return list(stills)


def _warn_of_format(path: Path, on_warning: OnWarning) -> None:
    """Warn of what `upscale` would not show the network, or only with an option. Raises SourceError."""
    with Reader(path) as reader:
        if reader.info.interlaced:
            on_warning(f"{path}: is interlaced, and its combing is learned too; deinterlace it, and upscale likewise")
        if is_hdr(reader.first.av_frame):
            on_warning(f"{path}: is HDR, and learned in 8 bits; the gain is not that of other footage")


def _validation(
    held_out: Sequence[Footage], settings: FinetuneSettings, on_warning: OnWarning
) -> list[ValidationSample]:
    """The validation set; a warning says where it is one image. Raises SourceError if it is empty."""
    samples = validation_samples(held_out, settings.scale, on_warning=on_warning)
    if not samples:
        raise SourceError(f"nothing to validate on: none of the {len(held_out)} held-out clips is usable")
    if len(held_out) == 1 and probe(held_out[0].path).still:
        on_warning(f"{held_out[0].path}: this image alone is held out: the gain is a hint, and more images tell more")
    return samples


def _crop_size(files: Sequence[Footage], settings: FinetuneSettings) -> int:
    """Low-resolution pixels per side of a crop that every video can fill, within limits."""
    shortest = min((_shorter_side(file) for file in files if not probe(file.path).still), default=0)
    return min(settings.dataset.crop, max(_MIN_CROP, shortest // settings.scale))


def _shorter_side(file: Footage) -> int:
    shown = file.window or probe(file.path)
    return min(shown.width, shown.height)


def _with_start_times(
    file: Footage, settings: FinetuneSettings, on_warning: OnWarning, should_stop: ShouldStop
) -> Footage:
    start_times = select_frame_times(
        file.path, settings.frames, ranges=file.ranges, on_warning=on_warning, should_stop=should_stop
    )
    if should_stop():  # fewer start times would give another dataset
        raise Stopped(f"stopped during frame selection in {file.path}")
    return replace(file, start_times=tuple(start_times))
