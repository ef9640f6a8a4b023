"""Parts in which tuning shows: they are found where something was gained, and show what the measures measured."""

from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from made import make_clip, tiny_weights
from numpy.typing import NDArray
from oracles import read_with_av, samples
from PIL import Image

from vidsr.engine import Engine
from vidsr.errors import SourceError
from vidsr.media.codec_trip import through_codec
from vidsr.media.reader import Reader
from vidsr.metrics import psnr
from vidsr.quality.crops import Crop, most_gained
from vidsr.quality.imresize import imresize
from vidsr.quality.methods import in_bytes, methods
from vidsr.quality.tuned_crops import tuned_crops
from vidsr.settings import EncodeSettings


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


@pytest.mark.parametrize("encode", [None, EncodeSettings(crf=30)], ids=["none", "crf 30"])
def test_columns_show_the_21st_frame_as_it_is_measured(
    clip: Path, engines: dict[str, Engine], encode: EncodeSettings | None
) -> None:
    lumas = [samples(picture)[0].astype(np.uint8) for picture in read_with_av(clip).pictures][:21]
    smalls = [in_bytes(imresize(luma, 1 / 2)) for luma in lumas]
    with Reader(clip) as reader:
        assert reader.info.rate
        small = list(through_codec(smalls, encode, reader.info.rate))[20] if encode else smalls[20]
    large = {name: enlarge(small) for name, enlarge in methods(engines, 2).items()}
    expected = {"input": small.repeat(2, axis=0).repeat(2, axis=1), "Lanczos": large["lanczos"]}
    expected |= {"start": large["start"], "tuned": large["tuned"], "original": lumas[20]}
    rows = tuned_crops(clip, engines, encode=encode)
    assert len(rows) == 3
    for row in rows:
        assert [part.label for part in row] == list(expected)
        for part in row:
            shown = expected[part.label][part.crop.area]
            assert np.array_equal(part.image, grey(shown))
            true = lumas[20][part.crop.area]
            assert part.psnr == (None if part.label == "original" else pytest.approx(psnr(true, shown)))


def grey(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(plane).convert("RGB"))


def test_it_begins_where_it_is_told_and_of_a_short_clip_the_last_frame_is_shown(
    tmp_path: Path, engines: dict[str, Engine]
) -> None:
    short = make_clip(tmp_path / "short.mkv", codec="ffv1", pts=[512 * i for i in range(5)])
    last = samples(read_with_av(short).pictures[-1])[0]
    for start_s in (0.0, 0.1):
        original = tuned_crops(short, engines, encode=None, start_s=start_s)[0][-1]
        assert np.array_equal(original.image[..., 0], last[original.crop.area])


def test_a_clip_that_is_not_there_is_said(tmp_path: Path, engines: dict[str, Engine]) -> None:
    with pytest.raises(SourceError, match=r"none.mp4: No such file"):
        tuned_crops(tmp_path / "none.mp4", engines, encode=None)


def test_a_sheet_has_a_tile_for_each_part(clip: Path, engines: dict[str, Engine]) -> None:
    pytest.importorskip("matplotlib")
    from vidsr.quality.sheet import sheet_of

    rows = tuned_crops(clip, engines, encode=None)
    with Image.open(BytesIO(sheet_of(rows))) as picture:
        assert picture.format == "PNG"
        assert picture.width == 5 * (320 + 10) + 10
