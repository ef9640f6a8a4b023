"""What judges: frames of what is held out, as a codec left them, and the scores of every method on them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from films import place, write_film
from made import make_clip
from numpy.typing import NDArray

from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import psnr
from vidsr.quality.upscalers import make_upscalers, to_uint8
from vidsr.training.data.pairs import floats_of
from vidsr.training.data.sources import Footage, TimeRange
from vidsr.training.data.validation_set import CRFS, ValidationSample, moving_areas, score_methods, validation_samples
from vidsr.training.finetune.acceptance import assess


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    times = [512 * i for i in range(100)]
    return make_clip(tmp_path_factory.mktemp("clip") / "street.mp4", size=(102, 90), pts=times)


def whole(path: Path, *ranges: TimeRange) -> Footage:
    return Footage(path=path, sizes=(1.0,), ranges=ranges)


def fit_db(samples: list[ValidationSample], shift: int) -> float:
    """How well the small pictures, enlarged, fit the large ones when these are shifted."""
    inner = slice(4, -4)
    guesses = [to_uint8(imresize(255.0 * floats_of(sample.pair.lr), 2))[inner, inner] for sample in samples]
    hr = [np.roll(sample.pair.hr, shift, axis=1)[inner, inner] for sample in samples]
    return float(np.mean([psnr(*both) for both in zip(hr, guesses, strict=True)]))


def test_frames_of_two_positions_come_back_at_every_quality_and_lie_on_what_they_were(clip: Path) -> None:
    samples = validation_samples([whole(clip)], 2, on_warning=pytest.fail)
    assert [sample.input for sample in samples] == 2 * [f"crf {crf}" for crf in CRFS for _ in range(2)]
    assert {sample.pair.hr.shape for sample in samples} == {(90, 102)}
    assert fit_db(samples, shift=0) > 0.5 + max(fit_db(samples, shift=-1), fit_db(samples, shift=1))


def test_the_worse_the_quality_the_lower_the_score_and_lanczos_is_the_measure(clip: Path) -> None:
    rows = score_methods(validation_samples([whole(clip)], 2, on_warning=pytest.fail), make_upscalers({}, 2), 2)
    lanczos = [row for row in rows if row.method == "lanczos"]
    assert [row.input for row in lanczos] == [f"crf {crf}" for crf in CRFS]
    assert sorted((row.psnr for row in lanczos), reverse=True) == [row.psnr for row in lanczos]
    assert {(row.name, row.gain, row.worst, row.frames) for row in lanczos} == {("street", 0.0, 0.0, 4)}
    bicubic = {row.input: row.gain for row in rows if row.method == "bicubic"}
    verdict = assess(rows, start="lanczos", tuned="bicubic")
    assert verdict.whole_over_start == verdict.whole_over_lanczos == bicubic
    assert not verdict.accepted
    other = assess(rows, start="bicubic", tuned="lanczos")
    assert other.whole_over_start == {name: -gain for name, gain in bicubic.items()}


def test_only_the_ranges_of_a_video_validate(tmp_path: Path) -> None:
    black = np.full(place(0).shape, 16, np.uint8)
    film = write_film(tmp_path / "film.mp4", [*[black] * 60, *[place(1)] * 60])
    judged = validation_samples([whole(film, TimeRange(6.5, 12.0))], 2, on_warning=pytest.fail)
    assert min(sample.pair.hr.std() for sample in judged) > 20
    assert min(sample.pair.hr.std() for sample in validation_samples([whole(film)], 2, on_warning=pytest.fail)) < 1


def test_files_of_one_name_are_distinguished(clip: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(clip, tmp_path))
    found = validation_samples([whole(clip), whole(other)], 2, on_warning=pytest.fail)
    assert {sample.name for sample in found} == {str(clip), str(other)}


def test_what_cannot_be_read_is_skipped_with_a_warning(clip: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    found = validation_samples([whole(tmp_path / "none.mp4"), whole(clip)], 2, on_warning=warnings.append)
    assert {sample.name for sample in found} == {"street"}
    assert warnings == [f"{tmp_path / 'none.mp4'}: No such file or directory"]


def test_the_gain_where_things_move_decides_and_not_what_stands_still(tmp_path: Path) -> None:
    """A caption that never changes, and a car before a wall: a network that knows the caption alone is no better."""
    wall = np.full(place(0).shape, 90, np.uint8)
    wall[8:24, 16:112] = np.where(np.random.default_rng(0).random((16, 96)) < 0.5, 16, 235)
    film = write_film(tmp_path / "film.mp4", [moved(wall, number) for number in range(60)])
    (*_, last) = samples = validation_samples([whole(film)], 2, on_warning=pytest.fail)
    moving, hr = last.pair.moving, last.pair.hr
    assert moving is not None
    assert not moving[:32].any()
    assert moving[48:64, 40:80].all()
    caption = np.zeros_like(moving)
    caption[8:24, 16:112] = True
    half = make_upscalers({}, 2)["bicubic"]
    known = {id(sample.pair.lr): np.where(caption, sample.pair.hr, half(sample.pair.lr)) for sample in samples}
    methods = {**make_upscalers({}, 2), "start": half, "tuned": lambda lr: known[id(lr)]}
    verdict = assess(score_methods(samples, methods, 2), start="start", tuned="tuned")
    assert hr.shape == moving.shape
    assert set(verdict.over_start.values()) == {0.0}
    assert min(verdict.whole_over_start.values()) > 3
    assert not verdict.accepted
    assert "+0.00 dB over start" in str(verdict)
    assert "on the whole picture" in str(verdict)


def moved(wall: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """The wall with a textured car that drives by."""
    shown = wall.copy()
    shown[44:68, number + 8 : number + 40] = place(3)[44:68, :32]
    return shown


def test_where_nothing_moves_everything_counts() -> None:
    still = [place(0)] * 5
    assert moving_areas(still).all()
    passing = [*still, moved(place(0), 20)]
    assert 0.01 < moving_areas(passing).mean() < 0.2
