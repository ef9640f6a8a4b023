"""Of a film, those parts are used that may be, from those moments on that were chosen."""

import json
from pathlib import Path

import numpy as np
import pytest
from made import make_clip
from oracles import read_with_av, samples

from vidsr.errors import SourceError, TrainingError
from vidsr.settings import DatasetSettings, DegradeSettings
from vidsr.training.data.dataset import read_degraded_pairs
from vidsr.training.data.dataset_builder import build_dataset
from vidsr.training.data.sources import Footage, TimeRange, clip_window, read_lumas

QUICK = DegradeSettings(frames="4-5", codecs="mjpeg:1", second_share=0, blur_share=0, noise="1", denoise_share=0)
PARTS = (TimeRange(0.5, 1.0), TimeRange(1.5, 2.5))
MOMENTS = (0.6, 1.5, 2.2)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 pictures in 3 seconds."""
    return make_clip(tmp_path_factory.mktemp("media") / "film.mp4", size=(64, 64), pts=[512 * i for i in range(90)])


def used(film: Path, ranges: tuple[TimeRange, ...] = (), start_times: tuple[float, ...] = ()) -> Footage:
    return Footage(path=film, sizes=(1.0,), ranges=ranges, start_times=start_times)


def numbers_in(film: Path, dataset: Path) -> set[int]:
    """Which pictures of the film are in the dataset."""
    frames = [samples(picture)[0].tobytes() for picture in read_with_av(film).pictures]
    return {frames.index(pair.hr.tobytes()) for pair in read_degraded_pairs(dataset, 2)}


def at(
    place: float, ranges: tuple[TimeRange, ...] = (), start_times: tuple[float, ...] = ()
) -> tuple[float, float | None]:
    return clip_window(place, ranges=ranges, start_times=start_times, seconds=3, clip_s=0.2)


def test_clips_begin_evenly_wherever_they_fit() -> None:
    assert (at(0), at(0.5), at(1)) == ((0, None), (pytest.approx(1.4), None), (pytest.approx(2.8), None))
    begins = np.array([at(place, PARTS)[0] for place in np.linspace(0, 1, 111)])
    assert np.histogram(begins, [0, 0.5, 0.81, 1.5, 2.31, 3])[0].tolist() == [0, 30, 0, 81, 0]
    assert (at(0, PARTS), at(1, PARTS)) == ((0.5, 1.0), (pytest.approx(2.3), 2.5))
    assert at(0.7, (TimeRange(0.5, 0.6), TimeRange(1, 1.08), TimeRange(2, 2.05))) == (0.5, 0.6)


def test_clips_begin_at_each_start_time_as_often_and_end_within_the_range() -> None:
    begins = [at(place, PARTS, MOMENTS) for place in np.linspace(0, 1, 9)]
    assert begins == [(0.6, 1.0)] * 3 + [(1.5, 2.5)] * 3 + [(2.2, 2.5)] * 3
    assert at(0, PARTS, (0.95,)) == (pytest.approx(0.8), 1.0)
    assert at(0, (), (2.95,)) == (pytest.approx(2.8), None)
    assert clip_window(0, ranges=(), start_times=(2.95,), seconds=0, clip_s=0.2) == (2.95, None)


def test_a_start_time_outside_the_ranges_is_a_mistake(film: Path) -> None:
    with pytest.raises(ValueError, match=r"start time 1\.2 s lies in none"):
        used(film, PARTS, (0.6, 1.2))


@pytest.mark.parametrize(
    ("ranges", "start_times", "allowed"),
    [
        (PARTS, (), {*range(15, 30), *range(45, 75)}),
        ((), MOMENTS, {*range(18, 23), *range(45, 50), *range(66, 71)}),
        (PARTS, (0.6, 0.98), {*range(18, 23), *range(24, 30)}),
    ],
)
def test_a_dataset_holds_nothing_but_what_may_be_used(
    film: Path, tmp_path: Path, ranges: tuple[TimeRange, ...], start_times: tuple[float, ...], allowed: set[int]
) -> None:
    build_dataset(
        [used(film, ranges, start_times)], tmp_path, QUICK, DatasetSettings(clips=64, crop=32), on_warning=pytest.fail
    )
    found = numbers_in(film, tmp_path)
    assert found <= allowed
    assert len(found) > len(allowed) / 3


@pytest.mark.parametrize(
    ("ranges", "start_times", "numbers"),
    [
        (PARTS, (), [15, 27, 53, 64]),  # 1.5 s in all: 0, 0.375, 0.75 and 1.125 s into them
        ((), MOMENTS, [18, 45, 66]),
        (PARTS, (1.5,), [45]),
    ],
)
def test_frames_are_taken_from_the_ranges_and_at_the_start_times(
    film: Path, ranges: tuple[TimeRange, ...], start_times: tuple[float, ...], numbers: list[int]
) -> None:
    exact = [samples(picture)[0] for picture in read_with_av(film).pictures]
    lumas = [luma for _, luma in read_lumas([used(film, ranges, start_times)], 4, pytest.fail)]
    assert len(lumas) == len(numbers)
    assert all(np.array_equal(luma, exact[number]) for luma, number in zip(lumas, numbers, strict=True))


def test_datasets_of_other_parts_are_distinguished_and_one_of_whole_videos_is_named_as_ever(
    film: Path, tmp_path: Path
) -> None:
    ways = {"whole": used(film), "parts": used(film, PARTS), "moments": used(film, PARTS, MOMENTS)}
    for name, footage in ways.items():
        build_dataset([footage], tmp_path / name, QUICK, DatasetSettings(crop=32), should_stop=lambda: True)
    for name, footage in ways.items():
        build_dataset([footage], tmp_path / name, QUICK, DatasetSettings(crop=32), should_stop=lambda: True)
        for other in ways.keys() - {name}:
            with pytest.raises(TrainingError, match="holds a dataset with other files"):
                build_dataset([footage], tmp_path / other, QUICK, DatasetSettings(crop=32), should_stop=lambda: True)
    assert json.loads((tmp_path / "whole" / "dataset.json").read_text())["files"] == [[str(film), 1.0, 64, 64]]


def test_parts_too_short_for_a_clip_are_named(film: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    with pytest.raises(SourceError, match="none of 1 files"):
        build_dataset(
            [used(film, (TimeRange(1, 1.1),))], tmp_path, QUICK, DatasetSettings(crop=32), on_warning=warnings.append
        )
    assert warnings == [f"{film}: has 3 frames, fewer than the 4 of a clip; skipped"]
