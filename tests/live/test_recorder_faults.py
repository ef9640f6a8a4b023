"""A target that fails does not affect the others, reports it once, and recovers."""

import itertools
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from commands import full_disk
from kit.servers import silent
from recorder_feed import RATE, SECOND, camera_clip, play, read_recording, recorder, segments

_MIB = 1 << 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return camera_clip(tmp_path_factory.mktemp("camera") / "camera.mp4", seconds=14)


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes."""
    if os.geteuid():
        pytest.skip("mounting a small disk takes root")
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def test_a_folder_that_is_gone_is_reported_once_and_the_others_go_on(tmp_path: Path) -> None:
    clip, warnings = camera_clip(tmp_path / "camera.mp4"), list[str]()
    gone = tmp_path / "gone"

    def each(number: int) -> None:
        if number == RATE // 2:
            shutil.rmtree(gone)

    with recorder(gone, tmp_path / "cam", warnings=warnings) as made:
        play(made, clip, on_frame=each)
        assert made.target_states == {str(gone): "No such file or directory", str(tmp_path / "cam"): "ok"}
    assert warnings == [f"{gone}: No such file or directory; retrying until it works"]
    assert sum(len(read_recording(path).pts) for path in segments(tmp_path / "cam")) == made.frames_written


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "cam"])
def test_a_disk_that_is_full_at_the_end_is_reported(name: str, tmp_path: Path) -> None:
    clip, warnings = camera_clip(tmp_path / "camera.mp4", seconds=2), list[str]()
    recording = recorder(tmp_path / name, warnings=warnings, segment_s=60)
    play(recording.__enter__(), clip)
    with full_disk(100):
        recording.__exit__(None, None, None)
    assert warnings == [f"{tmp_path / name}: File too large; the end of its last file may be lost"]


def test_files_that_may_not_grow_keep_what_was_written(tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "camera.mp4", seconds=8)
    code = f"""
import resource, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parent.parent)]}
from pathlib import Path
from recorder_feed import play, recorder
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with recorder({str(tmp_path / "cam")!r}, segment_s=60) as made:
    play(made, Path({str(clip)!r}))
    print(made.target_states)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    (kept,) = segments(tmp_path / "cam")
    assert len(read_recording(kept).pts) % RATE in (0, 1, RATE - 1)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.fault
@pytest.mark.slow
def test_a_folder_that_comes_back_is_recorded_to_again(clip: Path, tmp_path: Path) -> None:
    warnings, gone = list[str](), tmp_path / "gone"

    def each(number: int) -> None:
        if number == 1 * RATE:
            shutil.rmtree(gone)
        if number == 3 * RATE:
            gone.mkdir()

    with recorder(gone, tmp_path / "cam", warnings=warnings) as made:
        play(made, clip, live=True, on_frame=each)
        assert set(made.target_states.values()) == {"ok"}
    assert [note.partition(": ")[2] for note in warnings] == [
        "No such file or directory; retrying until it works",
        "is written again",
    ]
    assert sum(len(read_recording(path).pts) for path in segments(gone)) > 3 * RATE
    assert sum(len(read_recording(path).pts) for path in segments(tmp_path / "cam")) == made.frames_written


@pytest.mark.fault
@pytest.mark.slow
def test_a_full_disk_ends_the_segment_and_is_recorded_to_again_when_there_is_room(clip: Path, tmp_path: Path) -> None:
    warnings = list[str]()
    with small_disk(tmp_path / "disk", 2 * _MIB) as disk:
        ballast = disk / "ballast"

        def each(number: int) -> None:
            if number == 2 * RATE:
                ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 8192))
            if number == 5 * RATE:
                ballast.unlink()

        with recorder(disk / "cam", tmp_path / "cam", warnings=warnings) as made:
            play(made, clip, live=True, on_frame=each)
            assert set(made.target_states.values()) == {"ok"}
        assert "No space left on device" in warnings[0]
        assert [note.partition(": ")[2] for note in warnings[1:]] == ["is written again"]
        lengths = [len(read_recording(path).pts) for path in segments(disk / "cam")]
        assert sum(lengths) > 5 * RATE
        assert not list(disk.rglob("*.part"))
    assert sum(len(read_recording(path).pts) for path in segments(tmp_path / "cam")) == made.frames_written


@pytest.mark.fault
@pytest.mark.slow
def test_the_oldest_segments_make_room_before_a_disk_is_full(clip: Path, tmp_path: Path) -> None:
    warnings = list[str]()
    with small_disk(tmp_path / "disk", _MIB // 2) as disk:
        with recorder(disk, warnings=warnings, min_free_gb=250e-6) as made:
            play(made, clip, live=True, size=(192, 144))
            assert made.target_states == {str(disk): "ok"}
        assert warnings == []
        assert 1 < len(segments(disk)) < made.segments
        assert {len(read_recording(path).pts) for path in segments(disk)} <= {RATE, RATE - 1, RATE + 1}


@contextmanager
def ticking() -> Iterator[list[float]]:
    """How far apart another thread's looks at the clock are; the longest is the last of the list when it is over."""
    gaps, done = [0.0], threading.Event()

    def tick() -> None:
        last = time.monotonic()
        while not done.wait(0.01):
            now = time.monotonic()
            gaps[0], last = max(gaps[0], now - last), now

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield gaps
    finally:
        done.set()
        thread.join()


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_a_silent_server_holds_nothing_up(scheme: str, clip: Path, tmp_path: Path) -> None:
    warnings = list[str]()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        ticking() as gaps,
    ):  # connections are taken, and nobody answers
        address = f"{scheme}://user:geheim@127.0.0.1:{server.getsockname()[1]}/live/geheim"
        with recorder(address, tmp_path / "cam", warnings=warnings) as made:
            fed = play(made, clip, live=True)
            assert gaps[0] < 0.5
            assert fed.worst_s < 0.5
            state = next(words for shown, words in made.target_states.items() if shown.startswith(scheme))
            assert "rejects the stream" in state
            began = time.monotonic()
        assert time.monotonic() - began < 5
    assert "geheim" not in " ".join([*warnings, *made.target_states])
    assert sum(len(read_recording(path).pts) for path in segments(tmp_path / "cam")) == made.frames_written


def test_a_port_where_nobody_listens_is_reported_and_holds_nothing_up(tmp_path: Path) -> None:
    clip, warnings = camera_clip(tmp_path / "camera.mp4", seconds=2), list[str]()
    with recorder("rtmp://127.0.0.1:1/live", tmp_path / "cam", warnings=warnings) as made:
        play(made, clip, live=True)
        assert made.target_states["rtmp://127.0.0.1:1"] == "the server rejects the stream (Connection refused)"
        assert made.target_states[str(tmp_path / "cam")] == "ok"
    refused = "rtmp://127.0.0.1:1: the server rejects the stream (Connection refused)"
    assert warnings == [f"{refused}; retrying until it works"]
    assert made.frames_written == 2 * RATE


def test_a_server_that_hangs_up_is_asked_less_and_less_often(tmp_path: Path) -> None:
    clip, calls = camera_clip(tmp_path / "camera.mp4", seconds=5), []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    server.accept()[0].close()
                    calls.append(time.monotonic())

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        with recorder(f"rtmp://127.0.0.1:{server.getsockname()[1]}/live/geheim", tmp_path / "cam") as made:
            play(made, clip, live=True)
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert 3 <= len(calls) <= 4
    assert all(b - a > 0.8 * 2**number for number, (a, b) in enumerate(itertools.pairwise(calls)))


SINK = """
import sys, av
options = {"listen": "1"} if sys.argv[1].startswith("rtmp") else {"rtsp_flags": "listen", "listen_timeout": "15"}
with av.open(sys.argv[1], options=options, timeout=(20, 5)) as container:
    frames = packets = 0
    for packet in container.demux():
        if packet.stream.type == "video":
            frames += len(packet.decode())
        else:
            packets += 1
        if frames == int(sys.argv[2]):
            print(frames, packets, flush=True)
            break
import os
os._exit(0)
"""


def sink(url: str, frames: int) -> "subprocess.Popen[str]":
    """A server that ends after so many frames, and says how many packets of audio came with them."""
    return subprocess.Popen([sys.executable, "-c", SINK, url, str(frames)], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_a_server_that_dies_and_comes_back_is_sent_to_again(scheme: str, tmp_path: Path, port: int) -> None:
    clip = camera_clip(tmp_path / "long.mp4", seconds=15)
    warnings, url, heard = list[str](), f"{scheme}://127.0.0.1:{port}/live", list[str]()
    with recorder(url, warnings=warnings) as made:
        for number in range(2):
            with sink(url, 90) as server:
                play(made, clip, start=20 * number * SECOND, live=True)
                heard.append(server.communicate(timeout=20)[0])
    counts = [tuple(map(int, line.split())) for line in heard]
    assert [frames for frames, _ in counts] == [90, 90]
    assert all(packets > 20 for _, packets in counts)
    assert warnings[0].startswith(f"{scheme}://127.0.0.1:{port}: the server rejects the stream (Connection refused)")
    assert f"{scheme}://127.0.0.1:{port}: is written again" in warnings


def test_frames_count_as_written_once_a_target_has_them(tmp_path: Path) -> None:
    clip, counts = camera_clip(tmp_path / "camera.mp4", seconds=7), list[tuple[int, int]]()
    with silent() as server, recorder(f"rtmp://127.0.0.1:{server.port}/live/key") as made:
        play(made, clip, live=True, on_frame=lambda _number: counts.append((made.frames_written, made.bytes_written)))
    assert counts[-1][0] == 0
    with recorder(tmp_path / "cam", tmp_path / "live.m3u8", original=True) as made:
        fed = play(made, clip)
    assert made.frames_written == fed.frames
