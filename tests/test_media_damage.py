"""Damaged sources: reading continues, and the losses are counted."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import SMALL, make_video, scene_frames, upscale
from made import make_clip
from oracles import read_with_av

from vidsr.media.reader import Reader

Change = Callable[[int, av.Packet, bytes], bytes]


def rewrite(source: Path, target: Path, change: Change) -> Path:
    """A copy of the source with each video packet replaced by `change(index, packet, data)`."""
    with av.open(source) as container, av.open(target, "w") as output:
        video = container.streams.video[0]
        copy = output.add_stream_from_template(video)
        for index, packet in enumerate(p for p in container.demux(video) if p.size):
            data = change(index, packet, bytes(packet))
            again = av.Packet(data)
            again.pts, again.dts, again.duration = packet.pts, packet.dts, packet.duration
            again.time_base, again.is_keyframe, again.stream = packet.time_base, packet.is_keyframe, copy
            output.mux(again)
    return target


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make_video(tmp_path / "good.mkv", scene_frames(40, size=(64, 48)), options={"g": "10", "bf": "2"})


def noise(index: int, packet: av.Packet, data: bytes) -> bytes:
    """Four packets of noise after a valid length."""
    if index not in (12, 13, 25, 26):
        return data
    rubbish = np.random.default_rng(index).integers(0, 256, len(data) - 4, dtype=np.uint8).tobytes()
    return (len(data) - 4).to_bytes(4, "big") + rubbish


def test_reading_continues_after_damaged_packets(good: Path, tiny_model: str, tmp_path: Path) -> None:
    bad = rewrite(good, tmp_path / "bad.mkv", noise)
    with Reader(bad) as reader:
        times = [frame.av_frame.pts for frame in reader]
        assert (reader.packets, reader.truncation) == (40, None)
        assert reader.corrupt >= 4
    assert times[-1] == max(int(time * 1000) for time in read_with_av(good).times)
    report = upscale(bad, tmp_path / "out.mkv", tiny_model)
    assert report.frames_written == len(times) >= 30
    assert report.damage == [f"{reader.corrupt} frames or packets of the source are damaged"]


def test_a_truncated_mp4_is_recognised_by_its_packet_count(tiny_model: str, tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mp4", scene_frames(40, size=(64, 48)), muxer={"movflags": "+faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with Reader(cut) as reader:
        found = len(list(reader))
        assert reader.info.frames == 40
        assert reader.truncation or reader.packets < 40
        assert 3 < found < 40
    report = upscale(cut, tmp_path / "out.mp4", tiny_model)
    assert report.damage
    assert report.frames_written == found


def test_a_truncated_matroska_file_is_read_to_its_end(tiny_model: str, tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mkv", scene_frames(40, size=(64, 48)), pts=[2048 * i for i in range(40)])
    assert upscale(whole, tmp_path / "one.mkv", tiny_model).damage == []
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 10])
    report = upscale(tmp_path / "cut.mkv", tmp_path / "two.mkv", tiny_model)
    assert 3 < report.frames_written < 40
    assert [sentence.partition(",")[0] for sentence in report.damage] == [
        "reading ended early: the file should last 5.2 s"
    ]


def test_a_slow_matroska_file_with_reordered_frames_is_complete(tiny_model: str, tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "slow.mkv", size=(32, 24), pts=[15360 * i for i in range(20)])  # one per second
    assert upscale(whole, tmp_path / "out.mkv", tiny_model).damage == []


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_missing_and_duplicate_times_are_repaired(suffix: str, tiny_model: str, tmp_path: Path) -> None:
    plain = make_video(tmp_path / "plain.mkv", scene_frames(20), codec="mpeg4", time_base=Fraction(1, 30))

    def stuck(index: int, packet: av.Packet, data: bytes) -> bytes:
        if index in (5, 6, 7):  # shown when the one before them is
            packet.pts = packet.dts = round(4 / 30 / packet.time_base)
        return data

    bad = rewrite(plain, tmp_path / "bad.mkv", stuck)
    assert len(set(read_with_av(bad).times)) == 17
    with Reader(bad) as reader:
        times = [frame.av_frame.pts for frame in reader]
        assert (len(times), reader.retimed) == (20, 3)
    assert (np.diff(times) > 0).all()
    report = upscale(bad, tmp_path / f"out.{suffix}", tiny_model)
    assert "3 frames had no usable time stamp and received one" in report.warnings
    assert report.frames_written == 20
    assert report.damage == []


def test_parts_after_a_discontinuity_stay_in_sync_with_their_audio(tiny_model: str, tmp_path: Path) -> None:
    part = make_clip(tmp_path / "part.ts", size=SMALL, pts=[512 * i for i in range(30)], audio=1, options={"bf": "2"})
    (tmp_path / "in.ts").write_bytes(part.read_bytes() * 3)
    report = upscale(tmp_path / "in.ts", tmp_path / "out.mp4", tiny_model)
    assert (report.frames_written, report.damage) == (90, [])
    read = read_with_av(tmp_path / "out.mp4")
    steps = np.diff(read.times)
    assert sum(steps == Fraction(1, 30)) >= 85
    assert 0 < min(steps) <= max(steps) < 0.1
    with av.open(tmp_path / "out.mp4") as container:
        heard = [float(p.pts * p.time_base) for p in container.demux(audio=0) if p.size]
    assert (np.diff(heard) > 0).all()
    assert abs(heard[-1] - read.pts[-1]) < 0.15
    assert np.diff(heard).max() < 0.15


def test_a_stream_that_appears_late_is_ignored(tmp_path: Path) -> None:
    silent = make_clip(tmp_path / "silent.ts", size=SMALL, pts=[512 * i for i in range(30)]).read_bytes()
    loud = make_clip(tmp_path / "loud.ts", size=SMALL, pts=[512 * i for i in range(30)], audio=1).read_bytes()
    (tmp_path / "in.ts").write_bytes(silent * 40 + loud + silent * 40)  # further in than FFmpeg looks, from both ends
    with Reader(tmp_path / "in.ts") as reader:
        assert reader.others == []
        assert len(list(reader)) == 81 * 30
        assert (reader.corrupt, reader.truncation) == (0, None)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_avi_without_times_is_read_at_its_frame_rate(codec: str, tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "in.avi", scene_frames(20), codec=codec, options={"bf": "2"}, time_base=Fraction(1, 30))
    with Reader(tmp_path / "in.avi") as reader:
        assert len(list(reader)) == 20
        assert reader.retimed <= 2  # the last frames of the decoder have no time
    report = upscale(tmp_path / "in.avi", tmp_path / "out.mp4", tiny_model)
    times = read_with_av(tmp_path / "out.mp4").times
    assert (report.frames_written, set(np.diff(times))) == (20, {Fraction(1, 30)})
    assert report.damage == []
