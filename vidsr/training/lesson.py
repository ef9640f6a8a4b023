"""What a network learns from, and what judges it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vidsr.errors import TrainingError
from vidsr.metrics import psnr
from vidsr.model.architecture import Architecture
from vidsr.quality.imresize import imresize
from vidsr.quality.methods import in_bytes
from vidsr.settings import TrainSettings
from vidsr.training.data import Pair, Patches, read_pairs
from vidsr.training.loop import validation_psnr
from vidsr.training.network import Network
from vidsr.training.schedule import Schedule
from vidsr.training.sources import Footage, Source, footage_of, held_out_of

_TRIED = 20  # batches drawn to see how fast the loader is


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Pairs to learn from and pairs that are held out, all in memory."""

    pairs: list[Pair]
    judges: list[Pair]

    def patches(self, architecture: Architecture, schedule: Schedule) -> Patches:
        """The batches of a schedule. Raises TrainingError when no picture is as large as a patch."""
        return Patches(self.pairs, architecture, patch=schedule.patch, batch=schedule.batch)

    def psnr(self, network: Network) -> float:
        """Mean PSNR in dB of the network on what is held out."""
        return validation_psnr(network, self.judges)

    def bicubic_psnr(self) -> float:
        """The same of bicubic enlargement."""
        scores = []
        for pair in self.judges:
            scale = len(pair.large) // len(pair.small)
            inner = slice(scale, -scale)
            large = in_bytes(imresize(255 * pair.small, scale))
            scores.append(psnr(pair.large[inner, inner], large[inner, inner]))
        return float(np.mean(scores))


def read_lesson(
    sources: Sequence[Source], held_out: Sequence[Source], settings: TrainSettings, note: Callable[[str], None]
) -> Lesson:
    """The pairs of the sources; without anything held out, a share of their files judges and does not teach.

    Raises TrainingError when there is nothing to learn from, or nothing can be read of what is held out.
    """
    files, judges = footage_of(sources), footage_of(held_out)
    if not judges:
        files, judges = held_out_of(files, settings.held_out_share, settings.seed)
    whole = [Footage(path=file.path, sizes=(1.0,)) for file in judges]
    lesson = Lesson(
        pairs=read_pairs(files, settings.scale, frames=settings.frames, note=note),
        judges=read_pairs(whole, settings.scale, frames=settings.frames, note=note),
    )
    if not lesson.pairs:
        raise TrainingError(f"nothing to train on: none of {len(files)} files can be used")
    if judges and not lesson.judges:
        raise TrainingError(f"nothing to measure by: none of the {len(judges)} files held out can be used")
    return lesson


def loader_speed(patches: Patches) -> float:
    """Patches a second that the loader delivers with nothing else to do."""
    random = np.random.default_rng(0)
    began = time.perf_counter()
    for _ in range(_TRIED):
        patches.draw(random)
    return _TRIED * patches.batch / (time.perf_counter() - began)
