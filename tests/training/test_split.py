"""What judges has nothing in common with what was learnt from."""

from pathlib import Path

import av
import numpy as np
import pytest
from films import lit, place, write_film
from recordings import scene

from vidsr.errors import SourceError
from vidsr.settings import FinetuneSettings, TrainSettings
from vidsr.training.data.dataset import read_dataset
from vidsr.training.data.sources import Footage, Source, TimeRange, find_footage
from vidsr.training.data.split import split_footage
from vidsr.training.finetune.finetune_data import from_footage


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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of four photos, and a link to the last."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        av.VideoFrame.from_ndarray(scene(1, seed=number)[0], format="gray").save(folder / f"{number}.png")
    (folder / "latest.png").symlink_to("3.png")
    return folder


def test_a_file_that_is_named_twice_is_used_once(photos: Path) -> None:
    sources = [Source(path=path) for path in (photos, photos / "1.png", photos / ".." / "photos")]
    assert [file.path.name for file in find_footage(sources)] == ["0.png", "1.png", "2.png", "3.png"]


def test_what_is_held_out_is_not_trained_on_although_it_is_in_a_folder_of_sources(photos: Path) -> None:
    held_out = [Source(path=photos / name, sizes=(1.0,)) for name in ("1.png", "latest.png")]
    dataset = read_dataset([Source(path=photos, sizes=(1.0,))], held_out, TrainSettings(), pytest.fail)
    assert (len(dataset.clean), len(dataset.validation)) == (2, 2)
    assert not any(np.array_equal(pair.hr, other.hr) for pair in dataset.clean for other in dataset.validation)
    with pytest.raises(SourceError, match="nothing to train on: all files are held out"):
        read_dataset([Source(path=photos / "1.png")], held_out, TrainSettings(), pytest.fail)


def test_a_fine_tuning_is_validated_on_no_file_that_it_trains_on(photos: Path) -> None:
    for seed in range(4):
        settings, paths = FinetuneSettings(seed=seed), [photos / f"{number}.png" for number in range(4)]
        data = from_footage([photos, *paths], [], [photos], settings, on_warning=lambda sentence: None)
        assert len(data.clean) == 6  # three as footage, and once more as images
        assert len({file.path for file in data.clean}) == 3
