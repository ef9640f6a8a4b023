"""Pictures drawn by code: always the same, unlike each other, and none of those that teach judges."""

from pathlib import Path

import numpy as np
import pytest

from vidsr.engine import Engine
from vidsr.learning.general_set import general_set, mean_psnr, write_pictures
from vidsr.model.zoo import load_model
from vidsr.settings.training import LARGEST_CROP
from vidsr.training.data.drawn_pictures import draw_picture
from vidsr.training.data.sources import image_luma
from vidsr.training.data.validation_set import ValidationSample


@pytest.fixture(scope="module")
def samples() -> list[ValidationSample]:
    """The general set."""
    return list(general_set(2))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The pictures that teach."""
    folder = tmp_path_factory.mktemp("taught") / "pictures"
    write_pictures(folder, 2)
    return sorted(folder.iterdir())


def test_a_picture_is_that_of_its_seed() -> None:
    first, again, other = draw_picture(3, 200), draw_picture(3, 200), draw_picture(4, 200)
    assert (first.shape, first.dtype) == ((200, 200), np.uint8)
    assert np.array_equal(first, again)
    assert first.std() > 30
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.2


def test_a_network_for_video_is_better_on_the_general_set_than_half_of_it(
    samples: list[ValidationSample],
) -> None:
    assert {sample.input for sample in samples} == {"crf 18", "crf 23", "crf 28", "crf 33"}
    assert {sample.pair.moving is None for sample in samples} == {True}
    whole, half = (Engine(load_model("fsrcnn-fast-x2-video"), strength=strength) for strength in (1.0, 0.5))
    assert mean_psnr(samples, whole) > mean_psnr(samples, half) + 0.02


def test_the_pictures_that_teach_are_written_once_and_hold_the_largest_clip(taught: list[Path]) -> None:
    before = [path.stat().st_mtime_ns for path in taught]
    write_pictures(taught[0].parent, 2)
    assert [path.stat().st_mtime_ns for path in taught] == before
    assert {min(image_luma(path).shape) >= 2 * LARGEST_CROP for path in taught} == {True}


def test_the_pictures_of_the_general_set_are_none_of_those_that_teach(
    taught: list[Path], samples: list[ValidationSample]
) -> None:
    lumas = [image_luma(path)[:200, :200].ravel() for path in taught[:6]]
    for sample in samples[::4]:
        judge = sample.pair.hr[:200, :200].ravel()
        assert all(abs(np.corrcoef(judge, luma)[0, 1]) < 0.3 for luma in lumas)
