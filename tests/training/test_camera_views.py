"""What a camera burns into its picture is found from clips of several days; a clip of another scene is named."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from films import SHAPE, Luma, lit, place, with_car, write_film

from vidsr.errors import Stopped
from vidsr.media.probe import probe
from vidsr.quality.crops import Crop
from vidsr.settings import DatasetSettings, DegradeSettings, FinetuneSettings
from vidsr.training.data.clips import video_clip
from vidsr.training.data.dataset_builder import build_dataset
from vidsr.training.data.pairs import read_pairs
from vidsr.training.data.sources import Footage
from vidsr.training.data.validation_set import validation_samples
from vidsr.training.finetune.camera_views import camera_window, read_views, with_windows
from vidsr.training.finetune.finetune_data import from_footage

CAPTION = (slice(4, 20), slice(8, 72))
LIGHTS = (0.7, 1.0, 1.5)


def captioned(picture: Luma, second: int, rows: slice) -> Luma:
    """The picture with a line of text, the end of which is other text every second."""
    text = np.random.default_rng(7).random((8, 32)) < 0.5
    text[:, 20:] = np.random.default_rng(second).random((8, 12)) < 0.5
    shown = picture.copy()
    shown[rows, CAPTION[1]] = np.where(text.repeat(2, axis=0).repeat(2, axis=1), 235, 30)
    return shown


def street(seed: int, light: float, *, text: bool = True, rows: slice = CAPTION[0]) -> Iterator[Luma]:
    """Four seconds of a street with a car, in some light; the camera was turned back a little differently."""
    view = np.roll(lit(np.where(place(seed) > 110, 140, 30), light), round(4 * light), axis=1)
    for number in range(40):
        picture = with_car(view, 3 * number)
        yield captioned(picture, int(10 * light) + number // 10, rows) if text else picture


def footage(folder: Path, **films: Iterator[Luma]) -> list[Footage]:
    made = [write_film(folder / f"{name}.mp4", pictures) for name, pictures in films.items()]
    return [Footage(path=path, sizes=(1.0,)) for path in made]


def three_days(folder: Path, *, text: bool = True, rows: slice = CAPTION[0]) -> list[Footage]:
    streets = {f"day{number}": street(1, light, text=text, rows=rows) for number, light in enumerate(LIGHTS)}
    return footage(folder, **streets)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Footage]:
    return with_windows(three_days(tmp_path_factory.mktemp("days")), on_warning=pytest.fail)


def test_a_caption_with_a_clock_is_outside_the_window_and_the_scene_inside(days: list[Footage]) -> None:
    (window,) = {file.window for file in days}
    assert window is not None
    assert CAPTION[0].stop - 4 <= window.top <= CAPTION[0].stop + 12
    assert (window.left, window.width, window.top + window.height) == (0, SHAPE[1], SHAPE[0])


def test_without_captions_the_whole_picture_is_used(tmp_path: Path) -> None:
    plain = three_days(tmp_path, text=False)
    assert with_windows(plain, on_warning=pytest.fail) == plain


def test_a_single_clip_of_a_scene_at_rest_is_used_whole_with_its_caption(tmp_path: Path) -> None:
    files = footage(tmp_path, one=street(1, 1.0))
    assert with_windows(files, on_warning=pytest.fail) == files


def test_footage_of_many_scenes_is_used_as_it_is(tmp_path: Path) -> None:
    files = footage(tmp_path, **{f"film{seed}": street(seed, 1.0) for seed in (1, 2, 3)})
    assert with_windows(files, on_warning=pytest.fail) == files


def test_a_clip_of_another_scene_is_named_once_and_used_whole(days: list[Footage], tmp_path: Path) -> None:
    other = footage(tmp_path, other=street(5, 1.0))
    warnings: list[str] = []
    plain = [replace(file, window=None) for file in days]
    found = with_windows([*plain, *other], on_warning=warnings.append)
    (sentence,) = warnings
    assert sentence.startswith(f"{other[0].path}: shows another scene than the other clips")
    assert [file.window for file in found] == [days[0].window] * 3 + [None]


def test_captions_that_divide_the_picture_are_trained_on_with_a_warning(tmp_path: Path) -> None:
    files = three_days(tmp_path, rows=slice(40, 56))
    warnings: list[str] = []
    assert with_windows(files, on_warning=warnings.append) == files
    assert "divide the picture" in warnings[0]


def test_masks_are_outside_the_window_with_the_captions_however_little_they_leave(days: list[Footage]) -> None:
    plain = [replace(file, window=None) for file in days]
    views = list(read_views(plain, on_skip=pytest.fail, should_stop=lambda: False))
    masked = camera_window(views, masks=[Crop(width=30, height=200, left=100, top=0)], on_warning=pytest.fail)
    assert masked is not None
    assert days[0].window is not None
    assert (masked.left, masked.top) == (0, days[0].window.top)
    assert 80 <= masked.width <= 100
    divided: list[str] = []
    low = camera_window(views, masks=[Crop(width=128, height=60, left=0, top=36)], on_warning=divided.append)
    assert low == Crop(width=128, height=32, left=0, top=0)
    assert "divide the picture" in divided[0]
    none = camera_window(views, masks=[Crop(width=500, height=500, left=0, top=0)], on_warning=pytest.fail)
    assert none is not None
    assert none.width * none.height == 0


def test_what_moves_in_a_clip_is_seen(tmp_path: Path) -> None:
    still, moving = footage(tmp_path, still=iter([place(1)] * 40), moving=street(1, 1.0))
    views = list(read_views([still, moving], on_skip=pytest.fail, should_stop=lambda: False))
    assert views[0].moving < 0.001
    assert views[1].moving > 0.1


def test_a_survey_can_be_stopped(days: list[Footage]) -> None:
    with pytest.raises(Stopped, match=f"stopped during the survey of {days[0].path}"):
        with_windows(days, on_warning=pytest.fail, should_stop=lambda: True)


def test_only_the_window_of_a_file_is_trained_on(days: list[Footage], tmp_path: Path) -> None:
    file = Footage(path=days[0].path, sizes=(1.0,), window=Crop(width=100, height=70, left=20, top=24))
    whole = Footage(path=days[0].path, sizes=(1.0,))
    outline = probe(file.path)
    both = [video_clip(each, outline, position=0.0, frames=8).planes[3] for each in (whole, file)]
    assert np.array_equal(both[1], both[0][24:94, 20:120])
    assert {pair.hr.shape for pair in read_pairs([file], 2, frames=3, on_warning=pytest.fail)} == {(70, 100)}
    small = DatasetSettings(clips=32, crop=32)
    build_dataset([file], tmp_path / "set", DegradeSettings(frames="8-8"), small, on_warning=pytest.fail)
    assert "100x70+20+24" in (tmp_path / "set" / "dataset.json").read_text()


def test_a_fine_tuning_of_several_days_trains_on_the_window(days: list[Footage]) -> None:
    data = from_footage([file.path for file in days], [], [], FinetuneSettings(), on_warning=pytest.fail)
    assert data.window == days[0].window
    assert [file.window for file in data.clean] == [days[0].window] * 2


def test_what_lies_outside_the_window_does_not_count_as_moving(days: list[Footage]) -> None:
    samples = validation_samples(days[:1], 2, on_warning=pytest.fail)
    assert days[0].window is not None
    for sample in samples:
        assert sample.pair.hr.shape == SHAPE
        assert sample.pair.moving is not None
        assert not sample.pair.moving[: days[0].window.top].any()
        assert sample.pair.moving.any()
