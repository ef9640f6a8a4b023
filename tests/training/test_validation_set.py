"""What judges: frames of what is held out, as a codec left them, and the scores of every method on them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from films import place, write_film
from made import make_clip

from vidsr.metrics import psnr
from vidsr.quality.imresize import imresize
from vidsr.quality.upscalers import in_bytes, methods
from vidsr.training.data.scenes import Span
from vidsr.training.data.sources import Footage
from vidsr.training.finetune.acceptance import verdict_on
from vidsr.training.finetune.validation_set import CRFS, Trial, scored, trials_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    times = [512 * i for i in range(100)]
    return make_clip(tmp_path_factory.mktemp("clip") / "street.mp4", size=(102, 90), pts=times)


def whole(path: Path, *spans: Span) -> Footage:
    return Footage(path=path, sizes=(1.0,), spans=spans)


def fit_db(trials: list[Trial], shift: int) -> float:
    """How well the small pictures, enlarged, fit the large ones when these are shifted."""
    inner = slice(4, -4)
    guesses = [in_bytes(imresize(255.0 * trial.pair.small_floats, 2))[inner, inner] for trial in trials]
    large = [np.roll(trial.pair.large, shift, axis=1)[inner, inner] for trial in trials]
    return float(np.mean([psnr(*both) for both in zip(large, guesses, strict=True)]))


def test_frames_of_two_places_come_back_at_every_quality_and_lie_on_what_they_were(clip: Path) -> None:
    trials = trials_of([whole(clip)], 2, note=pytest.fail)
    assert [trial.input for trial in trials] == 2 * [f"crf {crf}" for crf in CRFS for _ in range(2)]
    assert {trial.pair.large.shape for trial in trials} == {(90, 102)}
    assert fit_db(trials, shift=0) > 0.5 + max(fit_db(trials, shift=-1), fit_db(trials, shift=1))


def test_the_worse_the_quality_the_lower_the_score_and_lanczos_is_the_measure(clip: Path) -> None:
    rows = scored(trials_of([whole(clip)], 2, note=pytest.fail), methods({}, 2), 2)
    lanczos = [row for row in rows if row.method == "lanczos"]
    assert [row.input for row in lanczos] == [f"crf {crf}" for crf in CRFS]
    assert sorted((row.psnr for row in lanczos), reverse=True) == [row.psnr for row in lanczos]
    assert {(row.name, row.gain, row.worst, row.frames) for row in lanczos} == {("street", 0.0, 0.0, 4)}
    bicubic = {row.input: row.gain for row in rows if row.method == "bicubic"}
    verdict = verdict_on(rows, start="lanczos", tuned="bicubic")
    assert verdict.over_start == verdict.over_lanczos == bicubic
    assert not verdict.pays
    other = verdict_on(rows, start="bicubic", tuned="lanczos")
    assert other.over_start == {name: -gain for name, gain in bicubic.items()}


def test_only_the_spans_of_a_film_judge(tmp_path: Path) -> None:
    black = np.full(place(0).shape, 16, np.uint8)
    film = write_film(tmp_path / "film.mp4", [*[black] * 60, *[place(1)] * 60])
    judged = trials_of([whole(film, Span(6.5, 12.0))], 2, note=pytest.fail)
    assert min(trial.pair.large.std() for trial in judged) > 20
    assert min(trial.pair.large.std() for trial in trials_of([whole(film)], 2, note=pytest.fail)) < 1


def test_files_of_one_name_are_told_apart(clip: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(clip, tmp_path))
    found = trials_of([whole(clip), whole(other)], 2, note=pytest.fail)
    assert {trial.name for trial in found} == {str(clip), str(other)}


def test_what_cannot_be_read_is_noted_and_passed_over(clip: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    found = trials_of([whole(tmp_path / "none.mp4"), whole(clip)], 2, note=notes.append)
    assert {trial.name for trial in found} == {"street"}
    assert notes == [f"{tmp_path / 'none.mp4'}: No such file or directory"]
