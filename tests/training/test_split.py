"""What judges has nothing in common with what was learnt from."""

from pathlib import Path

import av
import pytest
from films import lit, place, write_film

from vidsr.errors import SourceError
from vidsr.training.data.sources import Footage, TimeRange
from vidsr.training.data.split import split_footage


def footage(*paths: Path) -> list[Footage]:
    return [Footage(path=path, sizes=(1.0, 0.7)) for path in paths]


def test_of_several_files_whole_ones_are_held_out() -> None:
    files = footage(*(Path(f"{number}.mp4") for number in range(10)))
    training, validation = split_footage(files, share=0.2, seed=1, on_warning=pytest.fail)
    assert (len(training), len(validation)) == (8, 2)
    assert {file.path for file in training + validation} == {file.path for file in files}
    assert len({split_footage(files, seed=seed)[1][0].path for seed in range(8)}) > 1


def test_of_several_scenes_whole_ones_are_held_out_by_their_time(tmp_path: Path) -> None:
    lengths = [20, 60, 20, 50, 20, 30]
    film = write_film(tmp_path / "film.mp4", [place(n) for n, length in enumerate(lengths) for _ in range(length)])
    found = set()
    for seed in range(5):
        ((training,), (validation,)) = split_footage(footage(film), share=0.2, seed=seed, on_warning=pytest.fail)
        assert 1.5 < sum(time_range.seconds for time_range in validation.ranges) < 4.1
        assert len(training.ranges) + len(validation.ranges) == 6
        assert not set(training.ranges) & set(validation.ranges)
        assert training.sizes == validation.sizes == (1.0, 0.7)
        found.add(validation.ranges)
    assert len(found) > 1


def test_of_scenes_that_are_all_longer_than_the_share_it_is_the_shortest(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [place(0)] * 30 + [place(1)] * 20)
    (_, (validation,)) = split_footage(footage(film), on_warning=pytest.fail)
    assert validation.ranges == (TimeRange(3.0, 4.9),)


def test_of_a_camera_that_stands_still_the_end_is_held_out_with_a_warning(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [lit(place(0), 1 + n / 400) for n in range(81)], rate=2)
    warnings: list[str] = []
    ((training,), (validation,)) = split_footage(footage(film), on_warning=warnings.append)
    assert (training.ranges, validation.ranges) == ((TimeRange(0.0, 30.0),), (TimeRange(32.0, 40.0),))
    assert warnings == [
        f"{film}: is a single scene; its last 8 s are held out, "
        "which are more similar to the training set than another scene"
    ]


def test_what_cannot_be_parted_is_refused_by_name(tmp_path: Path) -> None:
    short = write_film(tmp_path / "short.mp4", [place(0)] * 40, rate=2)
    with pytest.raises(
        SourceError, match=rf"^{short}: is a single scene of 20 s, too short .* 30 s, or add a second file"
    ):
        split_footage(footage(short))
    black = write_film(tmp_path / "black.mp4", [lit(place(0), 0)] * 80, rate=2)
    with pytest.raises(SourceError, match=f"^{black}: shows nothing"):
        split_footage(footage(black))
    av.VideoFrame.from_ndarray(place(0), format="gray").save(tmp_path / "still.png")
    with pytest.raises(SourceError, match="is a single image"):
        split_footage(footage(tmp_path / "still.png"))
