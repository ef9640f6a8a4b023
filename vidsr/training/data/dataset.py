"""The dataset of a training: pairs in memory for training and for validation."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vidsr.callbacks import OnWarning
from vidsr.errors import SourceError, TrainingError
from vidsr.model.architecture import Architecture
from vidsr.model.weights import Weights
from vidsr.quality.int8_calibration import ValidationPair, calibrate, sample_evenly
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import AnyPlane
from vidsr.quality.upscalers import to_uint8
from vidsr.settings import TrainSettings
from vidsr.training.data.dataset_builder import read_shards
from vidsr.training.data.pairs import Pair, floats_of, read_pairs
from vidsr.training.data.patches import BatchSource, MixedSampler, PatchSampler
from vidsr.training.data.sources import Footage, Source, find_footage, footage_without
from vidsr.training.data.split import split_files
from vidsr.training.data.validation_set import validation_samples
from vidsr.training.network import Network
from vidsr.training.schedule import Schedule

_CALIBRATION_FRAMES = 32
_LOSS_FRAMES, _LOSS_SIDE = 16, 192  # LR frames, and their pixels per side: seconds of work, not minutes
_TIMED_BATCHES = 20  # to measure the speed of the loader


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Training and validation pairs, all in memory."""

    clean: list[Pair]
    """Training pairs whose LR luma was downscaled only."""
    validation: list[Pair]
    """Pairs of files or scenes that no training pair comes from."""
    degraded: list[Pair] = field(default_factory=list)
    """Training pairs whose LR luma was degraded, too."""
    clean_share: float = 0.0
    """Share of clean patches if there are degraded pairs."""

    def batches(self, architecture: Architecture, schedule: Schedule) -> BatchSource:
        """The batches of a schedule. Raises SourceError when every pair is smaller than a patch."""

        def patches(pairs: list[Pair]) -> PatchSampler:
            return PatchSampler(
                pairs, architecture, patch=schedule.patch, batch=schedule.batch, still_camera=schedule.still_camera
            )

        if not self.degraded:
            return patches(self.clean)
        sources = [(self.degraded, 1 - self.clean_share), (self.clean, self.clean_share)]
        return MixedSampler([(patches(pairs), share) for pairs, share in sources if pairs and share])

    def psnr(self, network: Network) -> float:
        """Mean PSNR of the network in the moving areas of the validation set, where they are known, in dB."""
        halo, device = network.architecture.halo, network.bicubic.device

        @torch.no_grad()
        def upscale(lr: NDArray[np.float32]) -> AnyPlane:
            padded = functional.pad(torch.from_numpy(lr)[None, None], (halo,) * 4, mode="replicate")
            hr: AnyPlane = (network(padded.to(device))[0, 0].clamp(0, 1) * 255).round().numpy(force=True)
            return hr

        return self._mean_psnr(upscale)

    def bicubic_psnr(self) -> float:
        """Mean PSNR of bicubic upscaling on the validation set, in dB."""
        pair = self.validation[0]
        return self._mean_psnr(lambda lr: to_uint8(imresize(255 * lr, len(pair.hr) // len(pair.lr))))

    def _mean_psnr(self, upscale: Callable[[NDArray[np.float32]], AnyPlane]) -> float:
        return float(np.mean([pair.moving_psnr(upscale(floats_of(pair.lr))) for pair in self.validation]))

    def calibrate(self, weights: Weights) -> Weights:
        """The weights with activation ranges from training pairs, and int8 losses on validation pairs."""
        planes = [pair.lr_luma for pair in sample_evenly([*self.degraded, *self.clean], _CALIBRATION_FRAMES)]
        return calibrate(
            weights, planes, [_center_crop(pair) for pair in sample_evenly(self.validation, _LOSS_FRAMES)]
        )


def read_dataset(
    sources: Sequence[Source],
    held_out: Sequence[Source],
    settings: TrainSettings,
    on_warning: OnWarning,
    datasets: Sequence[Path] = (),
) -> Dataset:
    """The dataset of the sources but for the files in `held_out`; without these, a share of them is held out.

    `datasets` are directories of degraded clips; they degrade the validation set, too, and require `held_out`: their
    clips may come from any file. Raises SourceError when the training set or the validation set is empty.
    """
    files, validation = find_footage(sources), find_footage(held_out)
    if datasets and not validation:
        raise ValueError("datasets need held_out: files that their clips were not made of")
    if validation:
        files = footage_without(files, validation)
    else:
        files, validation = split_files(files, settings.held_out_share, settings.seed)
    full_size = [Footage(path=file.path, sizes=(1.0,)) for file in validation]
    dataset = Dataset(
        clean=read_pairs(files, settings.scale, frames=settings.frames, on_warning=on_warning),
        validation=(
            [
                replace(sample.pair, moving=None)
                for sample in validation_samples(full_size, settings.scale, on_warning=on_warning)
            ]
            if datasets
            else read_pairs(full_size, settings.scale, frames=settings.frames, on_warning=on_warning)
        ),
        degraded=[pair for folder in datasets for pair in read_degraded_pairs(folder, settings.scale)],
        clean_share=settings.clean_share,
    )
    if not dataset.clean:
        reason = f"none of {len(files)} files is usable" if files else "all files are held out"
        raise SourceError(f"nothing to train on: {reason}")
    if validation and not dataset.validation:
        raise SourceError(f"nothing to validate on: none of the {len(validation)} held-out files is usable")
    return dataset


def read_degraded_pairs(folder: Path, scale: int) -> list[Pair]:
    """Every pair of a dataset, in order. Raises TrainingError for one that is empty, damaged or of another scale."""
    degradation, shards = read_shards(folder)
    if degradation.scale != scale:
        raise TrainingError(
            f"{folder}: holds a dataset for x{degradation.scale}, not x{scale}; build one for x{scale}"
        )
    pairs = [Pair(lr=lr, hr=hr) for frames in shards for lr, hr in zip(frames.lr, frames.hr, strict=True)]
    if not pairs:
        raise TrainingError(f"{folder}: holds no degraded frames yet; complete its build")
    return pairs


def _center_crop(pair: Pair) -> ValidationPair:
    scale = len(pair.hr) // len(pair.lr)
    top, left = (max(0, (length - _LOSS_SIDE) // 2) for length in pair.lr.shape)
    bottom, right = top + _LOSS_SIDE, left + _LOSS_SIDE
    hr = pair.hr[scale * top : scale * bottom, scale * left : scale * right]
    return pair.lr_luma[top:bottom, left:right], hr


def loader_speed(batches: BatchSource, batch: int) -> float:
    """Patches per second of the loader alone."""
    random = np.random.default_rng(0)
    start_s = time.perf_counter()
    for _ in range(_TIMED_BATCHES):
        batches.draw(random)
    return _TIMED_BATCHES * batch / (time.perf_counter() - start_s)
