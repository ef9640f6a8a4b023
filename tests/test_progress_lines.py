"""Without a terminal a long job says now and then how far it is."""

import pytest

from vidsr.cli import output
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
