"""What a network learns from, and what judges it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidsr.errors import TrainingError
from vidsr.metrics import psnr
from vidsr.model.architecture import Architecture
from vidsr.model.weights import Weights
from vidsr.quality.imresize import imresize
from vidsr.quality.int8_calibration import Judge, calibrated, spread
from vidsr.quality.upscalers import in_bytes
from vidsr.settings import TrainSettings
from vidsr.training.data.patches import Batches, Mixture, Pair, Patches, read_pairs
from vidsr.training.data.replay import read_corpus
from vidsr.training.data.sources import Footage, Source, footage_of, held_out_of
from vidsr.training.finetune.validation_set import trials_of
from vidsr.training.loop import validation_psnr
from vidsr.training.network import Network
from vidsr.training.schedule import Schedule

_CALIBRATING, _JUDGING, _JUDGED = 32, 16, 192  # pictures, and pixels a side of a small one: seconds, not minutes
_TRIED = 20  # batches drawn to see how fast the loader is


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Pairs to learn from and pairs that are held out, all in memory."""

    clean: list[Pair]
    """What was only reduced."""
    judges: list[Pair]
    degraded: list[Pair] = field(default_factory=list)
    """What a codec has seen."""
    clean_share: float = 0.0
    """Of the patches, where there are degraded ones."""

    def batches(self, architecture: Architecture, schedule: Schedule) -> Batches:
        """The batches of a schedule. Raises TrainingError when no picture is as large as a patch."""

        def patches(pairs: list[Pair]) -> Patches:
            return Patches(
                pairs, architecture, patch=schedule.patch, batch=schedule.batch, still_camera=schedule.still_camera
            )

        if not self.degraded:
            return patches(self.clean)
        stocks = [(self.degraded, 1 - self.clean_share), (self.clean, self.clean_share)]
        return Mixture([(patches(pairs), share) for pairs, share in stocks if pairs and share])

    def psnr(self, network: Network) -> float:
        """Mean PSNR in dB of the network on what is held out."""
        return validation_psnr(network, self.judges)

    def calibrated(self, weights: Weights) -> Weights:
        """The weights with ranges from some of what teaches, and what int8 loses on some of what is held out."""
        planes = [pair.small_luma for pair in spread([*self.degraded, *self.clean], _CALIBRATING)]
        return calibrated(weights, planes, [_judge(pair) for pair in spread(self.judges, _JUDGING)])

    def bicubic_psnr(self) -> float:
        """The same of bicubic enlargement."""
        scores = []
        for pair in self.judges:
            scale = len(pair.large) // len(pair.small)
            inner = slice(scale, -scale)
            large = in_bytes(imresize(255 * pair.small_floats, scale))
            scores.append(psnr(pair.large[inner, inner], large[inner, inner]))
        return float(np.mean(scores))


def read_lesson(
    sources: Sequence[Source],
    held_out: Sequence[Source],
    settings: TrainSettings,
    note: Callable[[str], None],
    corpora: Sequence[Path] = (),
) -> Lesson:
    """The pairs of the sources; without anything held out, a share of their files judges and does not teach.

    With corpora, what judges is degraded as well; it must be named, for their clips may come from any file.
    Raises TrainingError when there is nothing to learn from, or nothing can be read of what is held out.
    """
    files, judges = footage_of(sources), footage_of(held_out)
    if corpora and not judges:
        raise ValueError("corpora need something held out that they were not made of")
    if not judges:
        files, judges = held_out_of(files, settings.held_out_share, settings.seed)
    whole = [Footage(path=file.path, sizes=(1.0,)) for file in judges]
    lesson = Lesson(
        clean=read_pairs(files, settings.scale, frames=settings.frames, note=note),
        judges=(
            [trial.pair for trial in trials_of(whole, settings.scale, note=note)]
            if corpora
            else read_pairs(whole, settings.scale, frames=settings.frames, note=note)
        ),
        degraded=[pair for folder in corpora for pair in read_corpus(folder, settings.scale)],
        clean_share=settings.clean_share,
    )
    if not lesson.clean:
        raise TrainingError(f"nothing to train on: none of {len(files)} files can be used")
    if judges and not lesson.judges:
        raise TrainingError(f"nothing to measure by: none of the {len(judges)} files held out can be used")
    return lesson


def _judge(pair: Pair) -> Judge:
    scale = len(pair.large) // len(pair.small)
    top, left = (max(0, (length - _JUDGED) // 2) for length in pair.small.shape)
    bottom, right = top + _JUDGED, left + _JUDGED
    large = pair.large[scale * top : scale * bottom, scale * left : scale * right]
    return pair.small_luma[top:bottom, left:right], large


def loader_speed(batches: Batches, batch: int) -> float:
    """Patches a second that the loader delivers with nothing else to do."""
    random = np.random.default_rng(0)
    began = time.perf_counter()
    for _ in range(_TRIED):
        batches.draw(random)
    return _TRIED * batch / (time.perf_counter() - began)
