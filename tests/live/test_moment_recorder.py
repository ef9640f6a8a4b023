"""The recording of moments: both streams of a real camera at the same time, or a stretch of an original."""

import threading
import time
from pathlib import Path

import av
import pytest
from commands import full_disk
from kit.scene_cameras import SUB_SIZE, planes, source_and_main, stream
from training.recordings import SIZE, record, smaller

from vidsr.errors import SourceError, Stopped, TargetError
from vidsr.learning.moment_recorder import StreamFailed, cut_original, newest_original, record_streams
from vidsr.media.packet_file import copy_stretch
from vidsr.settings import StreamSettings
from vidsr.stream_url import StreamUrl
from vidsr.training.pairing import align

SETTINGS = StreamSettings(timeout_s=20.0)
RATE = 10  # of originals


def recorded(folder: Path, source: str, main: str, *, seconds: float = 4.0) -> tuple[Path, Path]:
    lr, hr = folder / "source.mkv", folder / "main.mkv"
    streams = {lr: StreamUrl(source), hr: StreamUrl(main)}
    record_streams(streams, SETTINGS, seconds=seconds, stop=threading.Event())
    return lr, hr


def shape_and_seconds(path: Path) -> tuple[tuple[int, int], float]:
    with av.open(path) as file:
        frames = list(file.decode(video=0))
    times = [frame.time for frame in frames if frame.time is not None]
    return (frames[0].width, frames[0].height), times[-1] - times[0]


def test_both_streams_are_recorded_at_the_same_time_from_a_key_frame(tmp_path: Path) -> None:
    with source_and_main(tmp_path) as (source, main):
        began = time.monotonic()
        lr, hr = recorded(tmp_path, source.url, main.url)
        passed = time.monotonic() - began
    for path, size in ((lr, SUB_SIZE), (hr, SIZE)):
        shape, seconds = shape_and_seconds(path)
        assert shape == size
        assert 3.8 <= seconds < passed
        with av.open(path) as file:
            assert next(file.demux(video=0)).is_keyframe
            assert not file.streams.audio
    found = align(hr, lr, 2, on_warning=pytest.fail)
    assert found.similarity > 0.9
    assert found.end_s - found.start_s > 3.5
    assert sorted(path.name for path in tmp_path.glob("*.mkv*")) == ["main.mkv", "source.mkv"]


def test_a_main_stream_that_is_gone_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with source_and_main(tmp_path) as (source, main):
        main.kill()
        with pytest.raises(StreamFailed, match="refuses the connection") as caught:
            recorded(tmp_path, source.url, main.url)
        assert caught.value.path.name == "main.mkv"
        main.start()
        killer = threading.Timer(3.0, main.kill)
        killer.start()
        with pytest.raises(StreamFailed) as caught:
            recorded(tmp_path, source.url, main.url, seconds=30)
        killer.join()
        assert caught.value.path.name == "main.mkv"
    assert not list(tmp_path.glob("*.mkv*"))


def test_a_camera_that_is_off_is_the_fault_of_the_source(tmp_path: Path) -> None:
    with source_and_main(tmp_path) as (source, main):
        source.kill()
        main.kill()
        with pytest.raises(StreamFailed) as caught:
            recorded(tmp_path, source.url, main.url)
    assert caught.value.path.name == "source.mkv"


def test_it_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    stop = threading.Event()
    with stream(tmp_path, "source", smaller(planes(), 2.0)) as source:
        threading.Timer(2.0, stop.set).start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            record_streams({tmp_path / "a.mkv": StreamUrl(source.url)}, SETTINGS, seconds=60, stop=stop)
    assert time.monotonic() - began < 6


def segment(folder: Path, name: str, *, count: int = 200) -> Path:
    day = folder / "2026-11-30"
    day.mkdir(parents=True, exist_ok=True)
    frames = smaller(planes()[:count], 2.0)
    return record(day / name, frames, [number / RATE for number in range(len(frames))], 28)


def test_an_original_is_cut_from_its_middle(tmp_path: Path) -> None:
    segment(tmp_path, "10-00-00.mp4")
    segment(tmp_path, "10-00-00.original.mkv")
    segment(tmp_path, "10-01-00.original.mkv", count=20)  # too short
    found = newest_original(tmp_path, since_s=0.0, until_s=time.time())
    assert found
    assert found.path.name == "10-00-00.original.mkv"
    began_s = cut_original(found, tmp_path / "moment.mkv", seconds=1.0)
    assert began_s - found.start_s == pytest.approx(5.0, abs=0.1)  # a key frame every 50 frames
    shape, seconds = shape_and_seconds(tmp_path / "moment.mkv")
    assert shape == SUB_SIZE
    assert seconds == pytest.approx(1.0, abs=0.15)
    assert newest_original(tmp_path, since_s=found.start_s, until_s=time.time()) is None


def test_a_stretch_counts_from_the_first_frame_of_a_file(tmp_path: Path) -> None:
    path, later = segment(tmp_path, "10-00-00.original.mkv"), tmp_path / "later.mkv"
    with av.open(path) as source, av.open(later, "w") as output:
        copy = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.dts = (time + round(3600 / packet.time_base) for time in (packet.pts, packet.dts))
                packet.stream = copy
                output.mux(packet)
    cuts = [copy_stretch(each, tmp_path / f"cut-{each.name}", start_s=5.5, seconds=1.0) for each in (path, later)]
    assert cuts[1] == pytest.approx(cuts[0], abs=0.01)
    assert cuts[0][0] == pytest.approx(5.0, abs=0.1)


def test_a_full_disk_leaves_nothing_of_a_stretch(tmp_path: Path) -> None:
    path, target = segment(tmp_path, "10-00-00.original.mkv"), tmp_path / "moment.mkv"
    copy_stretch(path, target, start_s=0.0, seconds=8.0)
    size = target.stat().st_size
    target.unlink()
    for limit in range(0, size, size // 20):
        with full_disk(limit), pytest.raises(TargetError, match="File too large"):
            copy_stretch(path, target, start_s=0.0, seconds=8.0)
        assert not list(tmp_path.glob("*.mkv*")), limit


def test_an_original_that_is_damaged_is_one_sentence(tmp_path: Path) -> None:
    path = segment(tmp_path, "10-00-00.original.mkv")
    data = path.read_bytes()
    path.write_bytes(data[:600] + bytes(len(data) - 600))
    with pytest.raises(SourceError, match="original"):
        copy_stretch(path, tmp_path / "moment.mkv", start_s=2.0, seconds=3.0)
    assert not list(tmp_path.glob("*.mkv*"))
