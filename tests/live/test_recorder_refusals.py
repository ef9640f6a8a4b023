"""Targets that can never work are rejected before any camera is opened."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import few_rights
from recorder_feed import camera_clip, play, read_recording, recorder

from vidsr.errors import TargetError
from vidsr.settings import EncodeSettings


def refusal(*targets: Path | str, codec: str = "libx264") -> str:
    with pytest.raises(TargetError) as caught, recorder(*targets, codec=codec):
        pass
    return str(caught.value)


def test_a_file_that_is_there_stays_and_the_recording_goes_beside_it(tmp_path: Path) -> None:
    clip, path, warnings = camera_clip(tmp_path / "camera.mp4", seconds=1), tmp_path / "one.mp4", list[str]()
    path.write_text("mine")
    for _ in range(2):
        with recorder(path, warnings=warnings) as made:
            play(made, clip)
    assert path.read_text() == "mine"
    assert [len(read_recording(tmp_path / name).pts) for name in ("one_2.mp4", "one_3.mp4")] == [15, 15]
    assert warnings == [f"{path}: already exists; the recording goes to one_{number}.mp4" for number in (2, 3)]


def test_schemes_codecs_and_containers_that_cannot_be_are_named_without_secrets(tmp_path: Path) -> None:
    words = refusal("http://user:geheim@host/live?token=geheim")
    assert words == "http://host: cannot push to http://; supported are rtmp, rtmps, rtsp, rtsps"
    assert "no encoder named 'x264'" in refusal(tmp_path / "cam", codec="x264")
    assert refusal(tmp_path / "one.webm") == f"{tmp_path / 'one.webm'}: webm cannot hold libx264"
    assert "mpeg4 refuses a live stream" in refusal(tmp_path / "cam", codec="mpeg4")
    assert "must not contain %" in refusal(tmp_path / "50%" / "live.m3u8")


@pytest.mark.parametrize("wrong", ["motion-est=bad", "x264-params=foo=1"])
def test_an_option_that_the_encoder_would_leave_out_is_refused(wrong: str, tmp_path: Path) -> None:
    encode = EncodeSettings(encoder_option=(wrong,))
    with pytest.raises(TargetError, match="libx264 refuses a live stream"), recorder(tmp_path / "a", encode=encode):
        pass


def test_a_folder_that_cannot_be_written_is_refused(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o555)
    with few_rights():
        for path in (closed, closed / "cam", closed / "one.mp4", closed / "live.m3u8"):
            assert refusal(path) == f"{path}: Permission denied"


def test_a_folder_that_another_process_records_to_is_refused(tmp_path: Path) -> None:
    lock = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], 0), 2); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", lock, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        assert refusal(tmp_path) == f"{tmp_path}: another process records to it"
        other.communicate(b"\n")
    with recorder(tmp_path):
        pass
