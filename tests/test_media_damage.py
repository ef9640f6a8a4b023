"""Damaged sources: reading continues, and the losses are counted."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from field_coding import field_coded
from footage import SMALL, make_video, scene_frames, upscale
from made import make_clip
from oracles import read_with_av
from test_stream_copy import muxed

from vidsr.media.h264 import may_have_fields
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
        assert (reader.truncation_check.packets[0], reader.truncation) == (40, None)
        assert reader.corrupt >= 4
    assert times[-1] == max(int(time * 1000) for time in read_with_av(good).times)
    report = upscale(bad, tmp_path / "out.mkv", tiny_model)
    assert report.frames_written == len(times) >= 30
    assert report.damage == [f"{reader.corrupt} frames or packets of the source are damaged"]


@pytest.mark.parametrize(("first", "hidden"), [(0, 0), (4, 6), (9, 1)])
def test_frames_before_the_first_key_frame_are_missed_and_said(
    first: int, hidden: int, tiny_model: str, tmp_path: Path
) -> None:
    whole = make_video(tmp_path / "whole.mkv", scene_frames(30, size=(64, 48)), options={"g": "10", "bf": "0"})
    cut = tmp_path / "cut.mp4"
    with av.open(whole) as container, av.open(cut, "w") as output:
        copy = output.add_stream_from_template(container.streams.video[0])
        for packet in list(container.demux(video=0))[first:-1]:
            packet.stream = copy
            output.mux(packet)
    report = upscale(cut, tmp_path / "out.mp4", tiny_model)
    assert report.frames_written == 30 - first - hidden
    told = f"the first {hidden} frames cannot be decoded, because the video does not begin with a key frame"
    assert report.warnings == ([told] if hidden else [])


def test_a_truncated_mp4_is_recognised_by_its_packet_count(tiny_model: str, tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mp4", scene_frames(40, size=(64, 48)), muxer={"movflags": "+faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with Reader(cut) as reader:
        found = len(list(reader))
        assert reader.info.frames == 40
        assert reader.truncation or reader.truncation_check.packets[0] < 40
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


def test_subtitles_after_the_last_frame_belong_to_a_complete_file(tiny_model: str, tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", size=SMALL)
    (tmp_path / "in.srt").write_text("1\n00:00:05,000 --> 00:00:20,000\nThe End\n")
    muxed(tmp_path / "in.mkv", [film, tmp_path / "in.srt"])
    with av.open(tmp_path / "in.mkv") as container:
        assert container.duration == 20_000_000
    assert upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model).damage == []


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
        assert (len(times), reader.repair.retimed) == (20, 3)
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
        assert reader.repair.retimed <= 2  # the last frames of the decoder have no time
    report = upscale(tmp_path / "in.avi", tmp_path / "out.mp4", tiny_model)
    times = read_with_av(tmp_path / "out.mp4").times
    assert (report.frames_written, set(np.diff(times))) == (20, {Fraction(1, 30)})
    assert report.damage == []


@pytest.mark.parametrize(
    ("suffix", "codec", "muxer"),
    [
        ("flv", "flv", {}),
        ("wmv", "wmv2", {}),
        ("avi", "mpeg4", {}),
        ("mxf", "mpeg2video", {}),
        ("ivf", "libvpx-vp9", {}),
        ("mkv", "mpeg4", {}),
        ("mp4", "mpeg4", {"movflags": "+faststart"}),
        ("mov", "mpeg4", {"movflags": "+frag_keyframe+empty_moov", "frag_duration": "500000"}),
    ],
)
def test_a_file_that_is_shorter_than_its_header_says_is_damaged(
    suffix: str, codec: str, muxer: dict[str, str], tiny_model: str, tmp_path: Path
) -> None:
    frames, base = scene_frames(100, size=(64, 48)), Fraction(1, 30 if codec == "mpeg4" else 25)
    pts = list(range(100))
    whole = tmp_path / f"whole.{suffix}"
    make_video(whole, frames, codec=codec, time_base=base, pts=pts, muxer=muxer, options={"g": "10"}, rate=1 / base)
    report = upscale(whole, tmp_path / "out.mkv", tiny_model)
    assert (report.frames_written, report.damage) == (100, [])
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 55 // 100])
    report = upscale(cut, tmp_path / "rest.mkv", tiny_model)
    assert 5 < report.frames_written < 70
    assert any(words in sentence for sentence in report.damage for words in ("should", "the source lists"))


def test_sound_that_is_cut_off_behind_the_frames_is_damage(tiny_model: str, tmp_path: Path) -> None:
    """A file whose sound lies behind all its frames."""
    clip = make_clip(tmp_path / "clip.mp4", size=SMALL, audio=1)
    with av.open(clip) as source, av.open(tmp_path / "whole.mov", "w", options={"movflags": "+faststart"}) as output:
        copies = [output.add_stream_from_template(stream) for stream in source.streams]
        packets = sorted((p for p in source.demux() if p.size), key=lambda packet: packet.stream.index)
        for packet in packets:
            packet.stream = copies[packet.stream.index]
            output.mux_one(packet)
    data = (tmp_path / "whole.mov").read_bytes()
    assert upscale(tmp_path / "whole.mov", tmp_path / "out.mkv", tiny_model).damage == []
    (tmp_path / "cut.mov").write_bytes(data[: -len(bytes(packets[-1])) - 10])
    report = upscale(tmp_path / "cut.mov", tmp_path / "cut.mkv", tiny_model)
    assert report.damage


def test_frames_of_two_fields_are_not_damaged(tiny_model: str, tmp_path: Path) -> None:
    (tmp_path / "in.h264").write_bytes(field_coded())
    report = upscale(tmp_path / "in.h264", tmp_path / "out.mkv", tiny_model)
    assert (report.frames_written, report.damage) == (40, [])


def test_damage_of_frames_of_two_fields_is_counted(tmp_path: Path) -> None:
    data = field_coded()
    begin = data.index(b"\0\0\0\1\x61", len(data) // 2)
    (tmp_path / "in.h264").write_bytes(data[: begin + 40] + data[begin + 200 :])
    with Reader(tmp_path / "in.h264") as reader:
        assert len(list(reader)) == 40
        assert reader.corrupt > 0


@pytest.mark.parametrize("flags", ["", "+ilme+ildct"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "h264", "ts"])
@pytest.mark.parametrize(
    ("pixel_format", "options"),
    [("yuv420p", {}), ("yuv444p", {}), ("yuv420p", {"x264-params": "cqm=jvt"}), ("yuv420p", {"profile": "baseline"})],
)
def test_whether_h264_may_have_fields_is_read_from_its_parameters(
    pixel_format: str, options: dict[str, str], suffix: str, flags: str, tmp_path: Path
) -> None:
    if flags and "profile" in options:
        return  # baseline has none
    path = tmp_path / f"in.{suffix}"
    make_video(
        path, scene_frames(4, pixel_format, size=(64, 48)), options=options | ({"flags": flags} if flags else {})
    )
    with av.open(path) as container:
        assert may_have_fields(bytes(container.streams.video[0].codec_context.extradata)) == bool(flags)


def test_parameters_of_h264_that_cannot_be_read_may_have_fields() -> None:
    assert may_have_fields(b"")
    assert may_have_fields(b"\0\0\0\1\x67\x42")
