"""`vidsr dataset` makes what `vidsr train --dataset` learns from."""

import json
from pathlib import Path

import av
import pytest
from commands import USAGE, Command
from made import scene

SMALL = ("--clips", "32", "--crop", "32", "--frames", "2-3", "--codecs", "mjpeg:1", "--processes", "1")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(3):
        av.VideoFrame.from_ndarray(scene(index, (96, 80)), format="rgb24").save(folder / f"{index}.png")
    return folder


def test_it_says_what_it_made_and_made_again_nothing_is_new(vidsr: Command, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    ended = vidsr("dataset", pictures, "--output", folder, "--sizes", "1", *SMALL)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{folder}: 32 clips in 1 of 1 shards\n"
    again = vidsr("dataset", pictures, "--output", folder, "--sizes", "1", *SMALL, "--json")
    told = json.loads(again.out)
    assert (told["clips"], told["shards"], told["fresh"]) == (32, 1, 0)


def test_a_training_learns_from_it(vidsr: Command, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    assert vidsr("dataset", pictures, "--output", folder, "--sizes", "1", *SMALL).code == 0
    brief = ("--steps", "2", "--finish-steps", "0", "--patch", "8", "--batch", "2", "--threads", "1")
    small = ("--d", "8", "--s", "4", "--m", "1", "--output", tmp_path / "run", "--dataset", folder)
    ended = vidsr("train", pictures, *small, *brief, "--held-out", pictures / "0.png")
    assert (ended.code, ended.out) == (0, f"{tmp_path / 'run' / 'model.npz'}\n")
    assert "4 clean frames, 32 degraded frames" in ended.err


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--crop", "8"), USAGE, "--crop must be from 32 to 1024, not 8"),
        (("--codecs", "cinepak:1"), USAGE, "--codecs"),
        (("--sizes", "9"), USAGE, "--sizes: invalid sizes value"),
        (("--max-gb", "0.0001"), USAGE, "max_gb must be 0.001 or more"),
    ],
)
def test_nonsense_is_refused(
    vidsr: Command, pictures: Path, tmp_path: Path, options: tuple[str, ...], code: int, sentence: str
) -> None:
    ended = vidsr("dataset", pictures, "--output", tmp_path / "dataset", *options)
    assert ended.code == code
    assert sentence in ended.err
    assert not (tmp_path / "dataset").exists()


def test_a_folder_that_is_not_there_is_a_source_fault(vidsr: Command, tmp_path: Path) -> None:
    ended = vidsr("dataset", tmp_path / "none.mp4", "--output", tmp_path / "dataset", *SMALL)
    assert (ended.code, ended.out) == (3, "")
    assert "nothing to degrade" in ended.err
