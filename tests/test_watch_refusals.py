"""What `vidsr watch` refuses at its start: options with which every file would fail, and folders that hold it."""

import os
from pathlib import Path

import pytest
from commands import MODEL, USAGE, Command


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The watched folder, and that of the targets."""
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    target.mkdir()
    return source, target


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--codec", "nosuch"], USAGE, "no encoder named 'nosuch'"),
        (["--codec", "ffv1", "--crf", "20"], USAGE, "ffv1 has no --crf"),
        (["--preset", "nosuch"], USAGE, "libx264 takes a --preset of ultrafast, superfast, "),
        (["--codec", "libx264", "--preset", "nosuch"], USAGE, "libx264 takes a --preset of ultrafast, superfast, "),
        (["--encoder-option", "nosuch=1"], USAGE, "libx264 has no option 'nosuch'"),
        (["--pixel-format", "nosuch"], USAGE, "no pixel format named 'nosuch'"),
        (["--model", "nosuch"], MODEL, "no model named 'nosuch'"),
        (["--output-format", "nut"], USAGE, "--output-format is for a target of -, not for files"),
        (["--input-format", "nosuch"], USAGE, "--input-format: no format is named 'nosuch'"),
    ],
)
def test_wrong_options_are_refused_before_any_file_is_touched(
    options: list[str], code: int, said: str, vidsr: Command, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    source, target = folders
    failed = tmp_path / "failed"
    failed.mkdir()
    ended = vidsr("watch", *options, "--failed", failed, source, target)
    assert (ended.code, ended.err.count("\n")) == (code, 1), ended.err
    assert said in ended.err
    assert os.listdir(target) == os.listdir(failed) == []


@pytest.mark.parametrize("option", ["target", "--done", "--failed"])
def test_a_folder_that_holds_the_watched_one_is_not_written_into(
    option: str, vidsr: Command, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    source, target = folders
    ended = (
        vidsr("watch", source, tmp_path) if option == "target" else vidsr("watch", option, tmp_path, source, target)
    )
    assert (ended.code, ended.err.count("\n")) == (USAGE, 1)
    assert f"{tmp_path}: is the watched folder itself, or holds it" in ended.err


def test_a_folder_that_is_not_there_is_not_made_as_a_share_may_be_mounted_there(
    vidsr: Command, folders: tuple[Path, Path]
) -> None:
    source, target = folders
    ended = vidsr("watch", source, target / "new")
    sentence = f"vidsr: {target / 'new'}: there is no such folder; make it, or mount the share that it is on\n"
    assert (ended.code, ended.err) == (USAGE, sentence)
    assert not (target / "new").exists()
