"""The files of a folder: which are sources, and what is said of the others."""

import os
from pathlib import Path
from shutil import copy

import pytest
from commands import TARGET, Command, shown
from made import make_clip


@pytest.mark.parametrize("recursive", [False, True])
def test_what_a_folder_holds_beside_sources_is_counted_in_one_line(
    recursive: bool, upscale: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    make_clip(old / "a.mp4", pts=[0, 512])
    for name in (".b.mp4", "._c.mp4", ".DS_Store", "notes.txt", "film.NFO", "license"):
        (old / name).write_text("text")
    os.mkfifo(old / "pipe.mp4")
    (tmp_path / "elsewhere").mkdir()
    (old / "linked").symlink_to(tmp_path / "elsewhere")
    assert upscale(*["--recursive"][: int(recursive)], old, tmp_path / "new").code == 0
    parts = ["hidden files (2)", "files of other kinds (3: .nfo .txt license)", "pipes and devices (1)"]
    parts = ["linked folders (1)", *parts] if recursive else parts
    told = [message for message in caplog.messages if "passed over: " in message]
    assert told == [f"{old}: passed over: {', '.join(parts)}"]
    assert shown(tmp_path / "new") == ["a.mp4"]


def test_a_folder_of_sources_alone_has_no_such_line(
    upscale: Command, clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "old").mkdir()
    copy(clip, tmp_path / "old" / "a.mp4")
    for _ in range(2):
        assert upscale("--recursive", "--overwrite", tmp_path / "old", tmp_path / "old" / "new").code == 0
    assert not any("passed over" in message for message in caplog.messages)


def test_a_target_with_a_slash_is_a_folder_also_for_the_only_file_that_a_pattern_has_found(
    upscale: Command, clip: Path, tmp_path: Path
) -> None:
    assert upscale(clip, f"{tmp_path / 'new'}/").code == 0
    assert shown(tmp_path / "new") == [clip.name]
    (tmp_path / "file").write_text("")
    assert "is no folder" in upscale(clip, f"{tmp_path / 'file'}/").err
    assert upscale(clip, tmp_path / "other").code == TARGET  # the name of a file without a suffix
    assert not (tmp_path / "other").exists()
