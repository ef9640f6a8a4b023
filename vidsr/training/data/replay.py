"""Pairs of a corpus, for the batches of a training."""

from pathlib import Path

from vidsr.errors import TrainingError
from vidsr.training.data.dataset_builder import shards_of
from vidsr.training.data.patches import Pair


def read_corpus(folder: Path, scale: int) -> list[Pair]:
    """Every degraded frame with what it was, in the order of the shards.

    Raises TrainingError when the corpus is of another scale, damaged or empty.
    """
    asked, shards = shards_of(folder)
    if asked.scale != scale:
        raise TrainingError(f"{folder}: holds a corpus for x{asked.scale}, not x{scale}")
    pairs = [
        Pair(small=small, large=large)
        for frames in shards
        for small, large in zip(frames.small, frames.large, strict=True)
    ]
    if not pairs:
        raise TrainingError(f"{folder}: holds no degraded frames yet")
    return pairs
