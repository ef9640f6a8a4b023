"""Bars of a training, where somebody is watching: one for the clips that are degraded, one for the steps."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from vidsr.callbacks import OnProgress

if TYPE_CHECKING:
    from vidsr.training.progress import TrainProgress


@dataclass(frozen=True, kw_only=True)
class TrainingBars:
    """What is to be told how far the work is."""

    degrading: OnProgress
    watch: "Callable[[TrainProgress], None]"


@contextmanager
def training_bars(*, quiet: bool) -> Generator[TrainingBars]:
    """Bars that appear when there is something to show."""
    with ExitStack() as shown, logging_redirect_tqdm():
        bars: dict[str, tqdm[None]] = {}

        def bar(name: str, unit: str, *, begin: int, of: int | None) -> "tqdm[None]":
            if name not in bars:
                hidden = True if quiet else None
                made = tqdm(desc=name, unit=unit, initial=begin, total=of, disable=hidden, dynamic_ncols=True)
                bars[name] = shown.enter_context(made)
            return bars[name]

        def degrading(done: int, of: int | None) -> None:
            own = bar("degrading", " shards", begin=done, of=of)
            own.update(done - own.n)

        def watch(progress: "TrainProgress") -> None:  # what an earlier run did says nothing of the time that is left
            own = bar("training", " steps", begin=progress.step - 1, of=progress.steps)
            score = {} if progress.psnr is None else {"psnr": f"{progress.psnr:.3f} dB"}
            own.set_postfix({"loss": f"{progress.loss:.5f}", **score}, refresh=False)
            own.update(progress.step - own.n)

        yield TrainingBars(degrading=degrading, watch=watch)
