"""Crops of the fine-tuning report: they lie where the gain is largest, and their PSNR is that of their pixels."""

from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
from made import scene, tiny_weights
from numpy.typing import NDArray
from PIL import Image

from vidsr.engine import Engine
from vidsr.quality.crops import Crop, crops_png, finetune_crops, largest_gain
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import psnr
from vidsr.quality.upscalers import make_upscalers, to_uint8


@pytest.fixture
def engines() -> dict[str, Engine]:
    return {"start": Engine(tiny_weights(), threads=1), "tuned": Engine(tiny_weights(seed=1), threads=1)}


def disjoint(one: Crop, other: Crop) -> bool:
    return abs(one.left - other.left) >= one.width or abs(one.top - other.top) >= one.height


def test_crops_lie_where_the_gain_is_largest_but_not_where_the_frame_is_flat() -> None:
    random = np.random.default_rng(0)
    original = random.integers(0, 256, (120, 180)).astype(np.uint8)
    original[:, 120:] = 90
    before, after = original // 2, original // 2
    for area in (np.s_[5:30, 10:50], np.s_[80:110, 60:100], np.s_[10:110, 125:175]):
        after[area] = original[area]
    crops = largest_gain(original, before, after, moving=np.ones(original.shape, bool))
    assert [(crop.width, crop.height) for crop in crops] == [(60, 40)] * 3
    assert all(disjoint(*pair) for pair in combinations(crops, 2))
    gained = [(after[crop.area] == original[crop.area]).sum() for crop in crops]
    assert min(gained[:2]) >= 25 * 40  # all improved pixels of either rectangle
    assert all(crop.left + crop.width // 2 <= 120 for crop in crops)


def test_without_gain_the_smallest_loss_is_shown() -> None:
    original = np.random.default_rng(0).integers(0, 200, (60, 90)).astype(np.uint8)
    assert len(largest_gain(original, original, original + np.uint8(9), moving=np.ones((60, 90), bool))) == 3


def test_crops_show_what_moves_and_not_a_caption_that_gains_more() -> None:
    original = np.random.default_rng(0).integers(0, 256, (120, 180)).astype(np.uint8)
    before, after = original // 2, original // 2
    after[:30] = original[:30]  # the caption
    after[60:110, 20:160] = original[60:110, 20:160] - original[60:110, 20:160] // 4
    moving = np.zeros(original.shape, bool)
    moving[64:112, 24:160] = True
    crops = largest_gain(original, before, after, moving=moving)
    assert crops
    assert min(moving[crop.area].mean() for crop in crops) > 0.4
    assert largest_gain(original, before, after, moving=np.ones_like(moving))[0].top < 30


def test_columns_show_each_method(engines: dict[str, Engine]) -> None:
    original = scene(0, (120, 90))[..., 1]
    small = to_uint8(imresize(original, 1 / 2))
    large = {name: enlarge(small) for name, enlarge in make_upscalers(engines, 2).items()}
    expected = {"input": small.repeat(2, axis=0).repeat(2, axis=1), "Lanczos": large["lanczos"]}
    expected |= {"start": large["start"], "tuned": large["tuned"], "original": original}
    rows = finetune_crops(original, small, engines, moving=np.ones(original.shape, bool))
    assert len(rows) == 3
    for row in rows:
        assert [part.label for part in row] == list(expected)
        for part in row:
            shown = expected[part.label][part.crop.area]
            assert np.array_equal(part.image, grey(shown))
            true = original[part.crop.area]
            assert part.psnr == (None if part.label == "original" else pytest.approx(psnr(true, shown)))


def grey(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(plane).convert("RGB"))


def test_the_png_has_a_cell_per_crop_image(engines: dict[str, Engine]) -> None:
    pytest.importorskip("matplotlib")
    original = scene(0, (120, 90))[..., 1]
    small = to_uint8(imresize(original, 1 / 2))
    rows = finetune_crops(original, small, engines, moving=np.ones(original.shape, bool))
    with Image.open(BytesIO(crops_png(rows))) as picture:
        assert picture.format == "PNG"
        assert picture.width == 5 * (320 + 10) + 10
