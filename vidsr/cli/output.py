"""What a command prints and draws: messages, progress bars, tables, PNG files."""

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

from vidsr.callbacks import OnProgress
from vidsr.errors import TargetError
from vidsr.media.atomic_file import atomic_write

if TYPE_CHECKING:
    from tqdm import tqdm

    from vidsr.training.run import TrainProgress

_LINE_INTERVAL_S = 60.0


class UsageError(Exception):
    """The arguments make no sense."""


def check_stdout() -> None:
    """Raises UsageError for a standard output that is a terminal, TargetError for one that is closed."""
    if sys.stdout.isatty():
        raise UsageError("- is a terminal; pipe it into a program or a file")
    if getattr(sys.stdout, "name", "") == os.devnull:  # opened in place of one that was closed
        raise TargetError("standard output is closed")


def print_message(sentence: object, *, because: BaseException | None = None) -> None:
    """Print one line to stderr, and one per cause in the chain that begins with `because`."""
    print_line(" ".join(["vidsr:", *str(sentence).splitlines()]))
    while because is not None:
        print_line(f"vidsr:   because of {type(because).__name__}: {because}")
        because = because.__cause__


def print_line(line: str) -> None:
    """Print to stderr; where that is impossible, no more is printed, and the work goes on."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = null_stream("w")


def null_stream(mode: str) -> TextIO:
    """A stream that stays open to the end of the process, in the place of a standard stream."""
    return cast(TextIO, open(os.devnull, mode))


def aligned(rows: list[list[str]], *, text_columns: int) -> str:
    """The lines: the first columns are text and begin below each other, the others are numbers and end so."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<" if number < text_columns else ">" for number in range(len(widths))]
    lines = [zip(row, sides, widths, strict=True) for row in rows]
    return "\n".join("  ".join(f"{cell:{side}{width}}" for cell, side, width in line).rstrip() for line in lines)


@contextmanager
def png_file(target: Path, *, source: Path, overwrite: bool) -> Generator[BinaryIO]:
    """The file to draw into; it gets the target's name when `with` ends well.

    Raises UsageError without matplotlib, TargetError for a target that exists already or is not writable.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("drawing needs matplotlib: pip install 'vidsr[plot]'")
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: the name of a drawing ends in .png")
    with atomic_write(target, source=source, overwrite=overwrite) as file:
        yield file


def progress_lines(*, quiet: bool) -> Callable[[str, int, int | None, str], None]:
    """Returns a callback for (what, done, total, unit) that prints a line per minute where stderr is no terminal."""
    began: dict[str, tuple[float, int]] = {}
    printed_s = time.monotonic()

    def report(what: str, done: int, total: int | None, unit: str) -> None:
        nonlocal printed_s
        now_s = time.monotonic()
        began_s, first = began.setdefault(what, (now_s, done))
        if quiet or sys.stderr.isatty() or now_s - printed_s < _LINE_INTERVAL_S:
            return
        printed_s, of, left = now_s, f" of {total}" if total else "", ""
        if total and done > first:
            left = f", about {(now_s - began_s) / (done - first) * (total - done) / 60:.0f} min left"
        print_message(f"{what}: {done}{of} {unit}{left}")

    return report


def shows_bars(*, quiet: bool) -> bool:
    """Whether bars are shown: where stderr is a terminal."""
    return not quiet and sys.stderr.isatty()


def make_bar(**options: object) -> "tqdm[None]":
    """A bar of tqdm, which is loaded for it only: its asyncio and ssl are a tenth of the start of a command."""
    from tqdm import tqdm

    return tqdm(dynamic_ncols=True, **options)


@contextmanager
def log_above_bars(*, shown: bool) -> Generator[None]:
    """Lines of the log go above the bars, if those are shown."""
    if not shown:
        yield
        return
    from tqdm.contrib.logging import logging_redirect_tqdm

    with logging_redirect_tqdm():
        yield


def move_bar(bar: "tqdm[None]", done: int, total: int | None) -> None:
    """Show how much is done; more than the total raises it."""
    bar.total = total if total is None else max(total, done)
    bar.update(done - bar.n)


@contextmanager
def progress_bar(name: str | None, unit: str, *, quiet: bool) -> Generator[OnProgress]:
    """The callback that moves a bar, which is shown where stderr is a terminal; elsewhere it is a line per minute."""
    report, shown = progress_lines(quiet=quiet), shows_bars(quiet=quiet)
    with ExitStack() as stack:
        bar = stack.enter_context(make_bar(desc=name, unit=f" {unit}")) if shown else None
        stack.enter_context(log_above_bars(shown=shown))

        def on_progress(done: int, total: int | None) -> None:
            report(name or "progress", done, total, unit)
            if bar is not None:
                move_bar(bar, done, total)

        yield on_progress


@dataclass(frozen=True, kw_only=True)
class TrainingBars:
    """The callbacks that move the bars."""

    on_progress: OnProgress
    on_step: "Callable[[TrainProgress], None]"


@contextmanager
def training_bars(*, quiet: bool) -> Generator[TrainingBars]:
    """The callbacks of two bars, of the degraded shards and the training steps, each shown at its first progress.

    Where stderr is no terminal they print a line per minute.
    """
    report, shown = progress_lines(quiet=quiet), shows_bars(quiet=quiet)
    with ExitStack() as stack, log_above_bars(shown=shown):
        bars: dict[str, tqdm[None]] = {}

        def bar(name: str, unit: str, *, begin: int, total: int | None) -> "tqdm[None]":
            if name not in bars:
                bars[name] = stack.enter_context(make_bar(desc=name, unit=unit, initial=begin, total=total))
            return bars[name]

        def on_progress(done: int, total: int | None) -> None:
            report("degrading", done, total, "shards")
            if shown:
                own = bar("degrading", " shards", begin=done, total=total)
                own.update(done - own.n)

        def on_step(progress: "TrainProgress") -> None:  # steps of an earlier run do not count for the time left
            score = {} if progress.psnr is None else {"psnr": f"{progress.psnr:.3f} dB"}
            report("training", progress.step, progress.steps, ", ".join(["steps", *map(str, score.values())]))
            if shown:
                own = bar("training", " steps", begin=progress.step - 1, total=progress.steps)
                own.set_postfix({"loss": f"{progress.loss:.5f}", **score}, refresh=False)
                own.update(progress.step - own.n)

        yield TrainingBars(on_progress=on_progress, on_step=on_step)
