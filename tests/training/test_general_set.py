"""Pictures drawn by code: always the same, unlike each other, and none of those that teach judges."""

from pathlib import Path

import numpy as np

from vidsr.engine import Engine
from vidsr.learning.general_set import general_set, mean_psnr, write_pictures
from vidsr.model.zoo import load_model
from vidsr.training.data.drawn_pictures import SIDE, draw_picture
from vidsr.training.data.sources import image_luma


def test_a_picture_is_that_of_its_seed() -> None:
    first, again, other = draw_picture(3), draw_picture(3), draw_picture(4)
    assert (first.shape, first.dtype) == ((SIDE, SIDE), np.uint8)
    assert np.array_equal(first, again)
    assert first.std() > 30
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.2


def test_a_network_for_video_is_better_on_the_general_set_than_half_of_it() -> None:
    samples = list(general_set(2))
    assert {sample.input for sample in samples} == {"crf 18", "crf 23", "crf 28", "crf 33"}
    assert {sample.pair.moving is None for sample in samples} == {True}
    whole, half = (Engine(load_model("fsrcnn-fast-x2-video"), strength=strength) for strength in (1.0, 0.5))
    assert mean_psnr(samples, whole) > mean_psnr(samples, half) + 0.02


def test_the_pictures_that_teach_are_written_once_and_are_others(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures")
    paths = sorted((tmp_path / "pictures").iterdir())
    before = [path.stat().st_mtime_ns for path in paths]
    write_pictures(tmp_path / "pictures")
    assert [path.stat().st_mtime_ns for path in paths] == before
    judges = [draw_picture(seed) for seed in range(1000, 1008)]
    for path in paths[:4]:
        luma = image_luma(path)
        assert all(abs(np.corrcoef(luma.ravel(), judge.ravel())[0, 1]) < 0.3 for judge in judges)
