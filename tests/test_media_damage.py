"""Damage in a source: reading goes on, and what was lost is counted."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import SMALL, enlarge, film, pictures
from made import make_clip
from oracles import read_with_av

from vidsr.media.reader import Reader

Change = Callable[[int, av.Packet, bytes], bytes]


def rewritten(source: Path, target: Path, change: Change) -> Path:
    """The source with each packet of its video as `change(index, packet, data)` has it."""
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
    return film(tmp_path / "good.mkv", pictures(40, size=(64, 48)), options={"g": "10", "bf": "2"})


def noise(index: int, packet: av.Packet, data: bytes) -> bytes:
    """Four packets of rubbish, with a true length in front."""
    if index not in (12, 13, 25, 26):
        return data
    rubbish = np.random.default_rng(index).integers(0, 256, len(data) - 4, dtype=np.uint8).tobytes()
    return (len(data) - 4).to_bytes(4, "big") + rubbish


def test_reading_goes_on_behind_damaged_packets(good: Path, tiny_model: str, tmp_path: Path) -> None:
    bad = rewritten(good, tmp_path / "bad.mkv", noise)
    with Reader(bad) as reader:
        times = [frame.av_frame.pts for frame in reader]
        assert (reader.packets, reader.truncation) == (40, None)
        assert reader.corrupt >= 4
    assert times[-1] == max(int(time * 1000) for time in read_with_av(good).times)
    report = enlarge(bad, tmp_path / "out.mkv", tiny_model)
    assert report.frames_written == len(times) >= 30
    assert report.damage == [f"{reader.corrupt} frames or packets of the source are damaged"]


def test_an_mp4_cut_short_behind_its_index_is_known_by_its_packets(tiny_model: str, tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", pictures(40, size=(64, 48)), muxer={"movflags": "+faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with Reader(cut) as reader:
        found = len(list(reader))
        assert reader.info.frames == 40
        assert reader.truncation or reader.packets < 40
        assert 3 < found < 40
    report = enlarge(cut, tmp_path / "out.mp4", tiny_model)
    assert report.damage
    assert report.frames_written == found


def test_a_matroska_file_cut_short_is_read_to_its_end(tiny_model: str, tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mkv", pictures(40, size=(64, 48)), pts=[2048 * i for i in range(40)])
    assert enlarge(whole, tmp_path / "one.mkv", tiny_model).damage == []
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 10])
    report = enlarge(tmp_path / "cut.mkv", tmp_path / "two.mkv", tiny_model)
    assert 3 < report.frames_written < 40
    assert [sentence.partition(",")[0] for sentence in report.damage] == [
        "reading ended early: the file should last 5.2 s"
    ]


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_missing_and_double_times_are_repaired(suffix: str, tiny_model: str, tmp_path: Path) -> None:
    plain = film(tmp_path / "plain.mkv", pictures(20), codec="mpeg4", time_base=Fraction(1, 30))

    def stuck(index: int, packet: av.Packet, data: bytes) -> bytes:
        if index in (5, 6, 7):  # shown when the one before them is
            packet.pts = packet.dts = round(4 / 30 / packet.time_base)
        return data

    bad = rewritten(plain, tmp_path / "bad.mkv", stuck)
    assert len(set(read_with_av(bad).times)) == 17
    with Reader(bad) as reader:
        times = [frame.av_frame.pts for frame in reader]
        assert (len(times), reader.retimed) == (20, 3)
    assert (np.diff(times) > 0).all()
    report = enlarge(bad, tmp_path / f"out.{suffix}", tiny_model)
    assert "3 frames had no usable time and were given one" in report.warnings
    assert report.frames_written == 20
    assert report.damage == []


def test_parts_that_begin_anew_follow_each_other_with_their_sound(tiny_model: str, tmp_path: Path) -> None:
    part = make_clip(tmp_path / "part.ts", size=SMALL, pts=[512 * i for i in range(30)], audio=1, options={"bf": "2"})
    (tmp_path / "in.ts").write_bytes(part.read_bytes() * 3)
    report = enlarge(tmp_path / "in.ts", tmp_path / "out.mp4", tiny_model)
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


def test_a_stream_that_appears_on_the_way_is_passed_over(tmp_path: Path) -> None:
    silent = make_clip(tmp_path / "silent.ts", size=SMALL, pts=[512 * i for i in range(30)]).read_bytes()
    loud = make_clip(tmp_path / "loud.ts", size=SMALL, pts=[512 * i for i in range(30)], audio=1).read_bytes()
    (tmp_path / "in.ts").write_bytes(silent * 40 + loud + silent * 40)  # further in than FFmpeg looks, from both ends
    with Reader(tmp_path / "in.ts") as reader:
        assert reader.others == []
        assert len(list(reader)) == 81 * 30
        assert (reader.corrupt, reader.truncation) == (0, None)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_avi_without_times_is_shown_at_its_rate(codec: str, tiny_model: str, tmp_path: Path) -> None:
    film(tmp_path / "in.avi", pictures(20), codec=codec, options={"bf": "2"}, time_base=Fraction(1, 30))
    with Reader(tmp_path / "in.avi") as reader:
        assert len(list(reader)) == 20
        assert reader.retimed <= 2  # what the decoder still holds at the end has no time at all
    report = enlarge(tmp_path / "in.avi", tmp_path / "out.mp4", tiny_model)
    times = read_with_av(tmp_path / "out.mp4").times
    assert (report.frames_written, set(np.diff(times))) == (20, {Fraction(1, 30)})
    assert report.damage == []
