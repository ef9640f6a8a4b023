"""A USB camera by V4L2: FFmpeg's own reader of devices, and a stand-in for the device (kit/v4l2_camera.c)."""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from footage import make_video, scene_frames
from kit.networks import need_root
from kit.pattern import luma
from kit.recordings import decode_all, frame_numbers
from kit.runs import BUSY_S, running_stream

from vidsr.errors import SourceError, SourceLost
from vidsr.media.source.live_source import LiveSource
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import StreamUrl

DEVICE, CAMERA, SIZE = "/dev/video77", 7, (160, 128)


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The frames of a camera that every process started from here finds at DEVICE."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("needs a C compiler: the Debian package gcc")
    library, path = tmp_path / "camera.so", tmp_path / "frames"
    source = Path(__file__).parent / "kit/v4l2_camera.c"
    subprocess.run(
        [compiler, "-Wall", "-Werror", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True
    )
    gray = bytes([128]) * (SIZE[0] * SIZE[1] // 2)
    path.write_bytes(b"".join(luma(SIZE, camera=CAMERA, number=number) + gray for number in range(600)))
    for name, value in (("WIDTH", SIZE[0]), ("HEIGHT", SIZE[1]), ("FRAMES", path)):
        monkeypatch.setenv(f"V4L2_{name}", str(value))
    monkeypatch.setenv("LD_PRELOAD", str(library))
    return path


def test_a_usb_camera_is_recorded_and_back_when_it_was_pulled_out(quick: list[str], place: Path, frames: Path) -> None:
    away = frames.with_suffix(".away")
    with running_stream(DEVICE, place, [*quick, "--original"]) as run:
        run.wait_for_text("no file holds the packets of rawvideo, so the original is not recorded")
        run.wait_for_frames(more=20)
        away.touch()
        run.wait_for_text(f"{DEVICE}: no such device", within_s=15)
        away.unlink()
        run.wait_for_frames(within_s=10 + BUSY_S)
        assert run.end() == 0
    files = decode_all(place)
    assert {file.size for file in files} == {(2 * SIZE[0], 2 * SIZE[1])}
    numbers = [mark.number for file in files for mark in file.marks if mark and mark.camera == CAMERA]
    assert len(numbers) == sum(len(file.marks) for file in files)
    backs = [index for index in range(1, len(numbers)) if numbers[index] <= numbers[index - 1]]
    assert len(backs) == 1, "it counts anew at each connection"
    assert numbers[: backs[0]] == list(range(numbers[0], numbers[0] + backs[0]))


@pytest.mark.slow
def test_a_usb_camera_that_hangs_is_noticed_and_opened_anew(quick: list[str], place: Path, frames: Path) -> None:
    frozen = frames.with_suffix(".frozen")
    with running_stream(DEVICE, place, quick) as run:
        run.wait_for_frames(more=5)
        frozen.touch()
        run.wait_until(lambda: not run.healthy(), within_s=30, what="it is noticed")
        frozen.unlink()
        run.wait_for_frames(within_s=30 + BUSY_S)
        assert run.end() == 0
    assert len(frame_numbers(decode_all(place)[:1], camera=CAMERA)) >= 5


def test_a_device_that_is_not_there_may_come_and_one_of_another_kind_is_refused() -> None:
    path = Path(f"/dev/video-{os.getpid()}")
    with pytest.raises(SourceLost, match=f"^{path}: no such device$"):
        LiveSource(StreamUrl(str(path)), StreamSettings())
    need_root()
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    try:
        with pytest.raises(SourceError, match=f"^{path}: is not a device of V4L2$"):
            LiveSource(StreamUrl(str(path)), StreamSettings())
    finally:
        path.unlink()


def test_a_file_in_the_memory_of_the_machine_is_a_file() -> None:
    with NamedTemporaryFile(dir="/dev/shm", suffix=".mp4") as file:
        make_video(Path(file.name), scene_frames(3, size=(64, 48)))
        with LiveSource(StreamUrl(file.name), StreamSettings(realtime=True)) as source:
            assert source.info.codec == "h264"
