"""What moments show: motion, detail, captions; what masks cover is not looked at."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from training.films import SHAPE, lit, place, with_car, write_film

from vidsr.errors import SourceError
from vidsr.learn_dir import Moment
from vidsr.learning.moment_survey import find_captions, parse_areas, read_thumbnail, survey_video, write_survey
from vidsr.training.data.degradation import blur

RATE = 10
STREET = place(1)


def driven(seconds: int = 6) -> list[NDArray[np.uint8]]:
    return [with_car(STREET, 3 * number) for number in range(seconds * RATE)]


def test_a_street_with_a_car_moves_and_an_empty_one_does_not(tmp_path: Path) -> None:
    moving = survey_video(write_film(tmp_path / "car.mkv", driven()))
    still = survey_video(write_film(tmp_path / "empty.mkv", [STREET] * 60))
    assert moving.shape == SHAPE
    assert moving.moves
    assert len(moving.changes) == 5
    assert moving.motion > 10 * still.motion
    assert not still.moves
    assert still.is_shown


def test_light_that_changes_is_no_motion(tmp_path: Path) -> None:
    cloudy = [lit(STREET, 1 - number / 800) for number in range(60)]
    assert not survey_video(write_film(tmp_path / "clouds.mkv", cloudy)).moves


def test_what_is_black_shows_nothing(tmp_path: Path) -> None:
    black = survey_video(write_film(tmp_path / "black.mkv", [np.full(SHAPE, 16, np.uint8)] * 30))
    assert not black.is_shown


def test_a_sharp_picture_has_more_detail(tmp_path: Path) -> None:
    soft = blur(STREET.astype(np.float64), 2.0).round().astype(np.uint8)
    found = [survey_video(write_film(tmp_path / f"{n}.mkv", [each] * 20)) for n, each in enumerate((STREET, soft))]
    assert found[0].detail > 1.5 * found[1].detail


def test_what_moves_under_a_mask_does_not_count(tmp_path: Path) -> None:
    film = write_film(tmp_path / "car.mkv", driven())
    masked = survey_video(film, parse_areas(["0,32,128,48"]))
    assert not masked.moves
    assert masked.is_shown
    assert survey_video(film, parse_areas(["0,0,128,30"])).moves
    assert not survey_video(film, parse_areas(["0,0,9999,9999"])).is_shown


def test_captions_are_found_in_the_moments_of_a_camera(tmp_path: Path) -> None:
    moments = []
    for number, light in enumerate((0.5, 0.8, 1.0, 1.2)):
        frames = [lit(frame, light) for frame in driven()]
        for frame in frames:
            frame[4:12, 8:72] = np.where(np.indices((8, 64)).sum(axis=0) // 2 % 2, 235, 16)
        folder = tmp_path / str(number)
        folder.mkdir()
        write_survey(folder, survey_video(write_film(folder / "source.mkv", frames)))
        moments.append(Moment(folder=folder, time_s=0.0, has_main=False, motion=1.0, detail=1.0, size=1))
    captions = find_captions(moments, SHAPE)
    assert captions[5:12, 16:64].all()
    assert not captions[32:].any()
    assert read_thumbnail(moments[0].folder).shape == (48, 64)


def test_a_survey_that_is_damaged_is_none(tmp_path: Path) -> None:
    (tmp_path / "survey.npz").write_bytes(b"PK damaged")
    moment = Moment(folder=tmp_path, time_s=0.0, has_main=False, motion=1.0, detail=1.0, size=1)
    assert not find_captions([moment, moment], SHAPE).any()
    assert not read_thumbnail(tmp_path).any()
    assert not find_captions([], SHAPE).any()


def test_a_video_that_is_none_is_an_error_of_the_world(tmp_path: Path) -> None:
    (tmp_path / "source.mkv").write_bytes(bytes(2000))
    with pytest.raises(SourceError, match=r"source\.mkv"):
        survey_video(tmp_path / "source.mkv")


def test_whatever_is_damaged_in_a_survey_it_is_a_missing_one(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (2, 40, 60), np.uint8)
    np.savez_compressed(tmp_path / "survey.npz", thumbnail=np.full((48, 64), 9, np.uint8), levels=levels)
    whole, random = (tmp_path / "survey.npz").read_bytes(), np.random.default_rng(1)
    missing = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for index in random.integers(0, 200, 4):
            damaged[index] = random.integers(256)
        (tmp_path / "survey.npz").write_bytes(damaged)
        missing += not read_thumbnail(tmp_path).any()
    assert missing > 100
