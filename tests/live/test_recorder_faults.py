"""A target that breaks leaves the others alone, says so once, and is written again by itself."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from taping import RATE, SECOND, camera_clip, film, play, recorder, segments

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


def test_a_folder_that_is_gone_is_told_once_and_the_others_go_on(tmp_path: Path) -> None:
    clip, notes = camera_clip(tmp_path / "camera.mp4"), list[str]()
    gone = tmp_path / "gone"

    def each(number: int) -> None:
        if number == RATE // 2:
            shutil.rmtree(gone)

    with recorder(gone, tmp_path / "cam", notes=notes) as made:
        play(made, clip, each=each)
        assert made.states == {str(gone): "No such file or directory", str(tmp_path / "cam"): "ok"}
    assert notes == [f"{gone}: No such file or directory; it is tried again until it works"]
    assert sum(len(film(path).pts) for path in segments(tmp_path / "cam")) == made.written


def test_files_that_may_not_grow_keep_what_was_written(tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "camera.mp4", seconds=8)
    code = f"""
import resource, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parent.parent)]}
from pathlib import Path
from taping import play, recorder
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with recorder({str(tmp_path / "cam")!r}, segment_s=60) as made:
    play(made, Path({str(clip)!r}))
    print(made.states)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    (kept,) = segments(tmp_path / "cam")
    assert len(film(kept).pts) % RATE in (0, 1, RATE - 1)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.fault
@pytest.mark.slow
def test_a_folder_that_comes_back_is_recorded_to_again(clip: Path, tmp_path: Path) -> None:
    notes, gone = list[str](), tmp_path / "gone"

    def each(number: int) -> None:
        if number == 1 * RATE:
            shutil.rmtree(gone)
        if number == 3 * RATE:
            gone.mkdir()

    with recorder(gone, tmp_path / "cam", notes=notes) as made:
        play(made, clip, live=True, each=each)
        assert set(made.states.values()) == {"ok"}
    assert [note.partition(": ")[2] for note in notes] == [
        "No such file or directory; it is tried again until it works",
        "is written again",
    ]
    assert sum(len(film(path).pts) for path in segments(gone)) > 3 * RATE
    assert sum(len(film(path).pts) for path in segments(tmp_path / "cam")) == made.written


@pytest.mark.fault
@pytest.mark.slow
def test_a_full_disk_ends_the_segment_and_is_recorded_to_again_when_there_is_room(clip: Path, tmp_path: Path) -> None:
    notes = list[str]()
    with small_disk(tmp_path / "disk", 2 * _MIB) as disk:
        ballast = disk / "ballast"

        def each(number: int) -> None:
            if number == 2 * RATE:
                ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 8192))
            if number == 5 * RATE:
                ballast.unlink()

        with recorder(disk / "cam", tmp_path / "cam", notes=notes) as made:
            play(made, clip, live=True, each=each)
            assert set(made.states.values()) == {"ok"}
        assert "No space left on device" in notes[0]
        assert [note.partition(": ")[2] for note in notes[1:]] == ["is written again"]
        lengths = [len(film(path).pts) for path in segments(disk / "cam")]
        assert sum(lengths) > 5 * RATE
        assert not list(disk.rglob("*.part"))
    assert sum(len(film(path).pts) for path in segments(tmp_path / "cam")) == made.written


@pytest.mark.fault
@pytest.mark.slow
def test_the_oldest_segments_make_room_before_a_disk_is_full(clip: Path, tmp_path: Path) -> None:
    notes = list[str]()
    with small_disk(tmp_path / "disk", _MIB // 2) as disk:
        with recorder(disk, notes=notes, min_free_gb=250e-6) as made:
            play(made, clip, live=True, size=(192, 144))
            assert made.states == {str(disk): "ok"}
        assert notes == []
        assert 1 < len(segments(disk)) < made.segments
        assert {len(film(path).pts) for path in segments(disk)} <= {RATE, RATE - 1, RATE + 1}


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
    notes = list[str]()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        ticking() as gaps,
    ):  # connections are taken, and nobody answers
        address = f"{scheme}://user:geheim@127.0.0.1:{server.getsockname()[1]}/live/geheim"
        with recorder(address, tmp_path / "cam", notes=notes) as made:
            taken = play(made, clip, live=True)
            assert gaps[0] < 0.5
            assert taken.worst_s < 0.5
            state = next(words for shown, words in made.states.items() if shown.startswith(scheme))
            assert "does not take the stream" in state
            began = time.monotonic()
        assert time.monotonic() - began < 5
    assert "geheim" not in " ".join([*notes, *made.states])
    assert sum(len(film(path).pts) for path in segments(tmp_path / "cam")) == made.written


def test_a_port_where_nobody_listens_is_said_and_holds_nothing_up(tmp_path: Path) -> None:
    clip, notes = camera_clip(tmp_path / "camera.mp4", seconds=2), list[str]()
    with recorder("rtmp://127.0.0.1:1/live", tmp_path / "cam", notes=notes) as made:
        play(made, clip, live=True)
        assert made.states["rtmp://127.0.0.1:1"] == "the server does not take the stream (Connection refused)"
        assert made.states[str(tmp_path / "cam")] == "ok"
    assert notes == ["rtmp://127.0.0.1:1: the server does not take the stream (Connection refused)"]
    assert made.written == 2 * RATE


SINK = """
import sys, av
options = {"listen": "1"} if sys.argv[1].startswith("rtmp") else {"rtsp_flags": "listen", "listen_timeout": "15"}
with av.open(sys.argv[1], options=options, timeout=(20, 5)) as container:
    pictures = packets = 0
    for packet in container.demux():
        if packet.stream.type == "video":
            pictures += len(packet.decode())
        else:
            packets += 1
        if pictures == int(sys.argv[2]):
            print(pictures, packets, flush=True)
            break
import os
os._exit(0)
"""


def sink(url: str, pictures: int) -> "subprocess.Popen[str]":
    """A server that ends after so many pictures, and says how many packets of sound came with them."""
    return subprocess.Popen([sys.executable, "-c", SINK, url, str(pictures)], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_a_server_that_dies_and_comes_back_is_sent_to_again(scheme: str, clip: Path, port: int) -> None:
    notes, url, heard = list[str](), f"{scheme}://127.0.0.1:{port}/live", list[str]()
    with recorder(url, notes=notes) as made:
        for number in range(2):
            with sink(url, 40) as server:
                play(made, clip, start=20 * number * SECOND, live=True)
                heard.append(server.communicate(timeout=20)[0])
    counts = [tuple(map(int, line.split())) for line in heard]
    assert [pictures for pictures, _ in counts] == [40, 40]
    assert all(packets > 20 for _, packets in counts)
    assert notes[0] == f"{scheme}://127.0.0.1:{port}: the server does not take the stream (Connection refused)"
    assert f"{scheme}://127.0.0.1:{port}: is written again" in notes
