"""Cuts are found, and nothing else is taken for one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from films import SHAPE, Luma, lit, place, with_car, write_film
from made import make_long

from vidsr.errors import SourceError
from vidsr.training.data.sources import TimeRange
from vidsr.training.data.split import find_scenes

VIDEOS = Path(__file__).resolve().parents[3] / "shared" / "data" / "video"
BLACK = np.full(SHAPE, 16, np.uint8)


def shaken(index: int) -> Luma:
    top, left = np.random.default_rng(index).integers(0, 40, 2)
    return np.tile(np.roll(place(0), (top, left), (0, 1)), (2, 2))[: SHAPE[0], : SHAPE[1]]


def test_a_video_falls_apart_at_its_cuts(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [place(index // 20) for index in range(60)])
    assert find_scenes(film) == [TimeRange(0.0, 1.9), TimeRange(2.0, 3.9), TimeRange(4.0, 5.9)]


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(lambda index: lit(place(0), 0.4 if 15 <= index < 30 else 1), id="less light"),
        pytest.param(lambda index: lit(place(0), 1.6 if index > 20 else 1), id="more light"),
        pytest.param(lambda index: BLACK if 15 <= index < 30 else place(0), id="no light"),
        pytest.param(lambda index: np.full(SHAPE, 235, np.uint8) if index == 20 else place(0), id="a flash"),
        pytest.param(lambda index: place(1) if index == 20 else place(0), id="a single picture of something else"),
        pytest.param(lambda index: with_car(place(0), 12 * index - 100), id="a bright car"),
        pytest.param(shaken, id="a camera that shakes"),
    ],
)
def test_what_is_no_cut_parts_nothing(tmp_path: Path, picture: Callable[[int], Luma]) -> None:
    film = write_film(tmp_path / "film.mp4", map(picture, range(50)))
    assert find_scenes(film) == [TimeRange(0.0, 4.9)]


def test_a_cut_through_black_is_one_cut_and_the_black_belongs_to_no_scene(tmp_path: Path) -> None:
    pictures = [place(0)] * 20 + [BLACK] * 10 + [place(1)] * 20
    assert find_scenes(write_film(tmp_path / "film.mp4", pictures)) == [TimeRange(0.0, 1.9), TimeRange(3.0, 4.9)]


def test_a_video_that_shows_nothing_has_no_scene(tmp_path: Path) -> None:
    assert find_scenes(write_film(tmp_path / "film.mp4", [BLACK] * 20)) == []


def test_scenes_of_less_than_a_second_are_left_out_unless_there_is_no_other(tmp_path: Path) -> None:
    pictures = [place(0)] * 20 + [place(1)] * 6 + [place(2)] * 20
    assert find_scenes(write_film(tmp_path / "film.mp4", pictures)) == [TimeRange(0.0, 1.9), TimeRange(2.6, 4.5)]
    assert find_scenes(write_film(tmp_path / "short.mp4", [place(0)] * 5)) == [TimeRange(0.0, 0.4)]


def test_a_long_video_is_looked_at_by_its_key_frames_alone(tmp_path: Path) -> None:
    pictures = [place(index // 100) for index in range(200)]
    short = write_film(tmp_path / "short.mp4", pictures, rate=1, options={"g": "4", "sc_threshold": "0"})
    film = make_long(tmp_path / "film.mp4", short, 5)
    starts = [0.0, *np.arange(100.0, 1000.0, 100.0)]
    assert find_scenes(film) == [TimeRange(start, start + 96) for start in starts]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(SourceError, match=f"^{broken}: "):
        find_scenes(broken)


@pytest.mark.skipif(not VIDEOS.exists(), reason="the public clips are not beside the project")
@pytest.mark.parametrize(
    "name", ["general/chaplin.mp4", "general/carphone_pristine.mp4", "surveillance/person-bicycle-car-detection.mp4"]
)
def test_a_real_clip_without_cuts_is_one_scene(name: str) -> None:
    assert len(find_scenes(VIDEOS / name)) == 1


@pytest.mark.skipif(not VIDEOS.exists(), reason="the public clips are not beside the project")
def test_the_cut_of_a_real_clip_is_found() -> None:
    assert [round(scene.start_s, 2) for scene in find_scenes(VIDEOS / "formats" / "nasa_13013.mp4")] == [0.0, 8.08]
