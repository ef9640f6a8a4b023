"""A path that cannot be looked at, in a shut folder or of too long a name, is refused as one that is missing."""

import codecs
from pathlib import Path

import pytest
from commands import SOURCE, TARGET, USAGE, Command, few_rights

from vidsr.cli import build_parser
from vidsr.training.finetune import finetune_data
from vidsr.versions import package_versions
from vidsr.watch import WatchLog

# With few rights even Python's own modules may be out of reach.
build_parser()
codecs.lookup("cp437")  # of zipfile
package_versions()
assert finetune_data


@pytest.fixture
def shut(open_folder: Path) -> Path:
    """A folder that only root may enter, beside `open` ones, with what there is in it."""
    folder = open_folder / "shut"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.mp4").write_bytes(b"")
    folder.chmod(0o700)
    (open_folder / "open").mkdir()
    return folder


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("upscale shut/a.mp4 out.mp4", SOURCE),
        ("upscale --segments shut/a.mp4 out.mp4", SOURCE),
        ("upscale --estimate shut/a.mp4 out.mp4", SOURCE),
        ("upscale shut out", SOURCE),
        ("evaluate shut/inner", SOURCE),
        ("dataset shut/a.mp4 --output out", SOURCE),
        ("finetune shut/a.mp4 --output out", SOURCE),
        ("finetune shut/a.mp4 --output shut/inner", SOURCE),
        ("watch shut/inner open", USAGE),
        ("watch open shut/inner", USAGE),
        ("learn status shut", SOURCE),
        ("recordings list shut/inner", SOURCE),
        ("stream --check --realtime shut/a.mp4 out", SOURCE),
        ("stream --check rtsp://127.0.0.1/ shut/inner", TARGET),
        ("stream --check rtsp://127.0.0.1/ shut/a.mp4", TARGET),
    ],
)
def test_a_path_in_a_folder_that_is_shut(vidsr: Command, shut: Path, words: str, code: int) -> None:
    command = [str(shut.parent / word) if word.startswith(("shut", "open", "out")) else word for word in words.split()]
    with few_rights():
        ended = vidsr(*command)
    assert (ended.code, ended.out) == (code, "")
    assert "Permission denied" in ended.err or f"{shut} is not writable" in ended.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("upscale NAME.mp4 out.mp4", SOURCE),
        ("upscale none.mp4 NAME/", TARGET),
        ("evaluate NAME", SOURCE),
        ("watch NAME out", USAGE),
        ("stream --check --realtime NAME.mp4 out", SOURCE),
    ],
)
def test_a_name_that_is_too_long(
    vidsr: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = vidsr(*words.replace("NAME", "a" * 300).split())
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
    assert "File name too long" in ended.err


def test_files_in_a_folder_that_is_shut_cost_only_themselves(
    vidsr: Command, clip: Path, shut: Path, open_folder: Path
) -> None:
    (open_folder / "clip.mp4").write_bytes(clip.read_bytes())
    (open_folder / "out").mkdir(mode=0o777)
    (open_folder / "out").chmod(0o777)
    with few_rights():
        ended = vidsr("upscale", "-q", "--workers", "0", open_folder / "clip.mp4", shut / "a.mp4", open_folder / "out")
    assert "a.mp4: Permission denied" in ended.err
    assert (open_folder / "out" / "clip.mp4").exists()


def test_recordings_and_learning_beside_a_folder_that_is_shut(vidsr: Command, shut: Path, open_folder: Path) -> None:
    (open_folder / "door" / "2026-11-30").mkdir(parents=True)
    (open_folder / "door" / "learn" / "moments").mkdir(parents=True)
    with few_rights():
        listed, status = vidsr("recordings", "list", open_folder), vidsr("learn", "status", open_folder)
    assert (listed.code, status.code) == (0, 0)
    assert f"{shut}: Permission denied; what is in it is left out" in listed.err
    assert status.out.startswith("door: the general network is in use")
    shut.rename(open_folder / "lost+found")
    with few_rights():
        assert vidsr("recordings", "list", open_folder).err == ""


def test_a_watched_target_that_shuts_is_gone_for_a_while(shut: Path) -> None:
    shut.chmod(0o777)
    with WatchLog(shut / "inner") as log:
        assert log.is_there()
        shut.chmod(0o700)
        with few_rights():
            assert not log.is_there()
