"""Without a terminal a long job says now and then how far it is; on one it shows bars."""

import logging
import os
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path

import pytest

from vidsr.cli import output
from vidsr.cli.batch_progress import BatchProgress
from vidsr.training.run import TrainProgress


def test_a_job_without_a_terminal_prints_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with output.progress_bar("film.mp4", "frames", quiet=False) as on_progress:
        on_progress(1, 40)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(output, "_LINE_INTERVAL_S", 0)
        on_progress(10, 40)
    assert capsys.readouterr().err == "vidsr: film.mp4: 10 of 40 frames, about 0 min left\n"
    with output.training_bars(quiet=False) as bars:
        bars.on_progress(2, 3)
        bars.on_step(TrainProgress(step=1, steps=90, loss=0.1, psnr=None))
        bars.on_step(TrainProgress(step=30, steps=90, loss=0.1, psnr=31.25))
    assert capsys.readouterr().err.splitlines() == [
        "vidsr: degrading: 2 of 3 shards",
        "vidsr: training: 1 of 90 steps",
        "vidsr: training: 30 of 90 steps, 31.250 dB, about 0 min left",
    ]
    with output.training_bars(quiet=True) as bars:
        bars.on_progress(2, 3)
    assert capsys.readouterr().err == ""


@contextmanager
def terminal() -> Iterator[Callable[[], str]]:
    """stderr is a terminal; yields a function that returns what it has shown since the last call."""
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    termios.tcsetwinsize(ours, (24, 100))

    def shown() -> str:
        data = b""
        with suppress(BlockingIOError):
            while True:
                data += os.read(ours, 1 << 16)
        return data.decode()

    with os.fdopen(theirs, "w") as file, redirect_stderr(file):
        yield shown
    os.close(ours)


def test_a_terminal_shows_a_bar_and_the_log_above_it() -> None:
    with terminal() as shown:
        handler = logging.StreamHandler(sys.stderr)
        logging.getLogger().addHandler(handler)
        with output.progress_bar("film.mp4", "frames", quiet=False) as on_progress:
            on_progress(10, 40)
            logging.getLogger("vidsr").warning("a warning")
        logging.getLogger().removeHandler(handler)
        text = shown()
    assert "film.mp4" in text
    assert "10/40" in text
    assert "\ra warning\r\n" in text  # where a line begins, which the bar was cleared from


def test_training_and_files_have_bars_of_their_own(tmp_path: Path) -> None:
    with terminal() as shown:
        with output.training_bars(quiet=False) as bars:
            bars.on_progress(2, 3)
            bars.on_step(TrainProgress(step=30, steps=90, loss=0.1, psnr=31.25))
        text = shown()
        assert all(part in text for part in ("degrading", "2/3", "training", "30/90", "psnr=31.250 dB"))
        with BatchProgress([], kind="bar", quiet=False) as progress, progress.file(tmp_path / "film.mp4") as move:
            move(10, 40)
        assert "film.mp4" in shown()


def test_a_quiet_command_shows_no_bar_on_a_terminal() -> None:
    with terminal() as shown:
        with output.progress_bar("film.mp4", "frames", quiet=True) as on_progress:
            on_progress(10, 40)
        print("nothing else", file=sys.stderr, flush=True)
        assert shown() == "nothing else\r\n"


def test_a_command_without_a_bar_loads_none() -> None:
    loaded = "import sys, vidsr.cli.upscale; print({'tqdm', 'asyncio', 'ssl'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout == "set()\n"
