"""The moments of a recording that are worth learning from are found, and the others are not taken."""

from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from films import SHAPE, Luma, lit, place, with_car, write_film
from made import make_long

from vidsr.errors import SourceError
from vidsr.training.data.degradation import blur
from vidsr.training.data.sources import TimeRange
from vidsr.training.finetune.frame_selection import select_frame_times

TRAFFIC = Path(__file__).resolve().parents[3] / "shared" / "data" / "video" / "surveillance" / "traffic-vfr.mp4"
ROAD = place(0)


def road(index: int) -> Luma:
    """A car comes by from 8 to 10 s and from 18 to 20 s."""
    return with_car(ROAD, 8 * (index % 100 - 80)) if index % 100 >= 80 else ROAD


def write_video(folder: Path, picture: Callable[[int], Luma], numbers: Iterable[int] = range(240)) -> Path:
    return write_film(folder / "film.mp4", map(picture, numbers))


def share(start_times: list[float], *ranges: tuple[float, float]) -> float:
    """The share of the moments that lie in one of the spans."""
    return float(np.mean([any(start <= start_s < end for start, end in ranges) for start_s in start_times]))


def test_what_moves_is_taken_and_not_the_empty_road(tmp_path: Path) -> None:
    film = write_video(tmp_path, road)
    start_times = select_frame_times(film, 6, on_warning=pytest.fail)
    assert len(set(start_times)) == 6
    assert start_times == sorted(start_times) == select_frame_times(film, 6)
    assert share(start_times, (7.5, 10), (17.5, 20)) >= 5 / 6
    assert 0 < share(start_times, (7.5, 10)) < 1


def test_blurred_frames_are_not_taken(tmp_path: Path) -> None:
    def picture(index: int) -> Luma:
        shown = with_car(ROAD, index * 5 % 128)
        return np.round(blur(shown, 2)).astype(np.uint8) if 100 <= index < 180 else shown

    assert share(select_frame_times(write_video(tmp_path, picture), 8), (9.9, 17.9)) == 0


def test_of_a_dark_and_a_light_place_both_are_sharp_enough(tmp_path: Path) -> None:
    def picture(index: int) -> Luma:
        return lit(with_car(ROAD, index * 5 % 128), 0.4 if index >= 120 else 1)

    assert 0.25 <= share(select_frame_times(write_video(tmp_path, picture), 8), (12, 24)) <= 0.75


def test_black_and_blown_out_frames_are_not_taken(tmp_path: Path) -> None:
    def picture(index: int) -> Luma:
        level = {0: 16, 1: 235}.get(index // 80)
        return with_car(ROAD, index * 5 % 128) if level is None else np.full(SHAPE, level, np.uint8)

    warnings: list[str] = []
    film = write_video(tmp_path, picture)
    start_times = select_frame_times(film, 100, on_warning=warnings.append)
    assert share(start_times, (16, 22.6)) == 1
    assert warnings == [f"{film}: gives {len(start_times)} frames, not 100"]


def test_where_nothing_moves_the_most_different_are_taken_with_a_warning(tmp_path: Path) -> None:
    warnings: list[str] = []
    film = write_video(tmp_path, lambda index: with_car(ROAD, 60) if 120 <= index < 140 else ROAD, range(20, 220))
    still = write_film(tmp_path / "still.mp4", [ROAD] * 200)
    assert 0 < share(select_frame_times(film, 6), (10, 12)) < 1
    assert len(select_frame_times(still, 6, on_warning=warnings.append)) == 6
    assert warnings == [f"{still}: nothing moves; the sharpest and most different frames are selected"]


def test_only_the_ranges_are_searched_with_room_for_a_clip(tmp_path: Path) -> None:
    ranges = (TimeRange(1, 6), TimeRange(12, 19))
    start_times = select_frame_times(write_video(tmp_path, road), 12, ranges=ranges)
    assert share(start_times, (1, 4.51), (12, 17.51)) == 1


def test_of_a_long_recording_the_key_frames_are_taken_within_the_ranges(tmp_path: Path) -> None:
    pictures = [with_car(ROAD, 8 * (index % 16)) for index in range(160)]
    short = write_film(tmp_path / "short.mp4", pictures, rate=1, options={"g": "8", "sc_threshold": "0"})
    film = make_long(tmp_path / "film.mp4", short, 5)
    start_times = select_frame_times(
        film, 8, ranges=(TimeRange(100, 400), TimeRange(500, 750)), on_warning=pytest.fail
    )
    assert len(start_times) == 8
    assert {start_s % 8 for start_s in start_times} == {0}
    assert share(start_times, (100, 400), (500, 750)) == 1


def test_what_cannot_be_searched_is_refused_by_name(tmp_path: Path) -> None:
    black = write_film(tmp_path / "black.mp4", [lit(ROAD, 0)] * 40)
    with pytest.raises(SourceError, match=f"^{black}: shows nothing"):
        select_frame_times(black, 4)
    short = write_film(tmp_path / "short.mp4", [ROAD] * 10)
    with pytest.raises(SourceError, match=rf"^{short}: too short: 1\.0 s, and a clip takes 1.5 s"):
        select_frame_times(short, 4)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(SourceError, match=f"^{broken}: "):
        select_frame_times(broken, 4)


def test_it_stops_when_asked(tmp_path: Path) -> None:
    asked = count(1)
    film = write_video(tmp_path, road)
    start_times = select_frame_times(film, 3, should_stop=lambda: next(asked) == 10)
    assert next(asked) == 11
    assert max(start_times) < 10
    assert len(select_frame_times(film, 3, should_stop=lambda: True)) == 1
    black = write_film(tmp_path / "black.mp4", [lit(ROAD, 0)] * 40)
    assert select_frame_times(black, 3, should_stop=lambda: True) == []


@pytest.mark.skipif(not TRAFFIC.exists(), reason="the public clips are not beside the project")
def test_times_of_a_camera_of_varying_rate_are_those_of_its_frames() -> None:
    start_times = select_frame_times(TRAFFIC, 6, on_warning=pytest.fail)
    assert len(set(start_times)) == 6
    assert share(start_times, (46, 57)) >= 1 / 6  # a bus
