"""Parts in which tuning shows: they are found where something was gained, and show what the measures measured."""

from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
from made import scene, tiny_weights
from numpy.typing import NDArray
from PIL import Image

from vidsr.engine import Engine
from vidsr.metrics import psnr
from vidsr.quality.crops import Crop, most_gained
from vidsr.quality.imresize import imresize
from vidsr.quality.tuned_crops import tuned_crops
from vidsr.quality.upscalers import in_bytes, methods


@pytest.fixture
def engines() -> dict[str, Engine]:
    return {"start": Engine(tiny_weights(), threads=1), "tuned": Engine(tiny_weights(seed=1), threads=1)}


def apart(one: Crop, other: Crop) -> bool:
    return abs(one.left - other.left) >= one.width or abs(one.top - other.top) >= one.height


def test_parts_lie_where_most_was_gained_but_not_where_all_is_flat() -> None:
    random = np.random.default_rng(0)
    original = random.integers(0, 256, (120, 180)).astype(np.uint8)
    original[:, 120:] = 90
    before, after = original // 2, original // 2
    for area in (np.s_[5:30, 10:50], np.s_[80:110, 60:100], np.s_[10:110, 125:175]):
        after[area] = original[area]
    crops = most_gained(original, before, after)
    assert [(crop.width, crop.height) for crop in crops] == [(60, 40)] * 3
    assert all(apart(*pair) for pair in combinations(crops, 2))
    gained = [(after[crop.area] == original[crop.area]).sum() for crop in crops]
    assert min(gained[:2]) >= 25 * 40  # all that is good in either place
    assert all(crop.left + crop.width // 2 <= 120 for crop in crops)


def test_where_nothing_was_gained_the_least_lost_is_shown() -> None:
    original = np.random.default_rng(0).integers(0, 200, (60, 90)).astype(np.uint8)
    assert len(most_gained(original, original, original + np.uint8(9))) == 3


def test_columns_show_what_each_method_makes_of_it(engines: dict[str, Engine]) -> None:
    original = scene(0, (120, 90))[..., 1]
    small = in_bytes(imresize(original, 1 / 2))
    large = {name: enlarge(small) for name, enlarge in methods(engines, 2).items()}
    expected = {"input": small.repeat(2, axis=0).repeat(2, axis=1), "Lanczos": large["lanczos"]}
    expected |= {"start": large["start"], "tuned": large["tuned"], "original": original}
    rows = tuned_crops(original, small, engines)
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


def test_a_sheet_has_a_tile_for_each_part(engines: dict[str, Engine]) -> None:
    pytest.importorskip("matplotlib")
    from vidsr.quality.sheet import sheet_of

    original = scene(0, (120, 90))[..., 1]
    rows = tuned_crops(original, in_bytes(imresize(original, 1 / 2)), engines)
    with Image.open(BytesIO(sheet_of(rows))) as picture:
        assert picture.format == "PNG"
        assert picture.width == 5 * (320 + 10) + 10
