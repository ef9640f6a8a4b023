"""The run directory of a training: whose it is, and what is not of this version."""

from pathlib import Path

import pytest

from vidsr.errors import TrainingError
from vidsr.settings import NetworkSettings, TrainSettings
from vidsr.training.run import TrainRun, finished_result
from vidsr.training.run_dir import MODEL, write_log


@pytest.fixture
def train_run(tmp_path: Path) -> TrainRun:
    """A run whose model is there."""
    (tmp_path / MODEL).touch()
    return TrainRun(sources=(), output=tmp_path, network=NetworkSettings(), settings=TrainSettings())


def test_a_damaged_log_is_a_sentence(train_run: TrainRun) -> None:
    for text in ("{", "[]", '{"config": 5}'):
        (train_run.output / "log.json").write_text(text)
        with pytest.raises(TrainingError, match=r"log\.json: not a training log .*; choose another directory"):
            finished_result(train_run)


def test_a_result_with_other_fields_is_a_sentence(train_run: TrainRun) -> None:
    write_log(train_run.output, train_run.config, [], {"step": 5, "loss": 0.1})
    with pytest.raises(TrainingError, match=r"log\.json: is of another version .*; choose another directory"):
        finished_result(train_run)
