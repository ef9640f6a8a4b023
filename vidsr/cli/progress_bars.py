"""Progress bars of a training on a terminal: one for the degraded shards, one for the steps."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from vidsr.callbacks import OnProgress

if TYPE_CHECKING:
    from vidsr.training.run import TrainProgress


@dataclass(frozen=True, kw_only=True)
class TrainingBars:
    """The callbacks that move the bars."""

    on_progress: OnProgress
    on_step: "Callable[[TrainProgress], None]"


@contextmanager
def training_bars(*, quiet: bool) -> Generator[TrainingBars]:
    """The callbacks of two bars, each shown at its first progress."""
    with ExitStack() as shown, logging_redirect_tqdm():
        bars: dict[str, tqdm[None]] = {}

        def bar(name: str, unit: str, *, begin: int, total: int | None) -> "tqdm[None]":
            if name not in bars:
                hidden = True if quiet else None
                made = tqdm(desc=name, unit=unit, initial=begin, total=total, disable=hidden, dynamic_ncols=True)
                bars[name] = shown.enter_context(made)
            return bars[name]

        def on_progress(done: int, total: int | None) -> None:
            own = bar("degrading", " shards", begin=done, total=total)
            own.update(done - own.n)

        def on_step(progress: "TrainProgress") -> None:  # steps of an earlier run do not count for the time left
            own = bar("training", " steps", begin=progress.step - 1, total=progress.steps)
            score = {} if progress.psnr is None else {"psnr": f"{progress.psnr:.3f} dB"}
            own.set_postfix({"loss": f"{progress.loss:.5f}", **score}, refresh=False)
            own.update(progress.step - own.n)

        yield TrainingBars(on_progress=on_progress, on_step=on_step)
