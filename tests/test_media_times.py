"""Time stamps and durations of the frames are kept."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import SMALL, make_video, scene_frames, upscale
from made import TIME_BASE, make_clip
from oracles import read_with_av
from pairwise import half_of_product

import vidsr
from vidsr.media.reader import Reader
from vidsr.media.writer import Writer
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

VARYING = np.cumsum(np.random.default_rng(2).integers(200, 2000, 12)).tolist()
B_FRAMES = {"bf": "3", "g": "12"}


def retimed(source: Path, target: Path, shift_s: float, *, durations: bool = True) -> Path:
    """A copy of the source in another container, all streams later by so much; without `durations` of its packets."""
    with av.open(source) as container, av.open(target, "w") as output:
        copies = [output.add_stream_from_template(stream) for stream in container.streams]
        for packet in container.demux():
            if packet.size:
                ticks = round(shift_s / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.duration = packet.duration if durations else 0
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    return target


def audio_start(path: Path) -> float:
    with av.open(path) as container:
        stream = container.streams.audio[0]
        return float(min(packet.pts for packet in container.demux(stream) if packet.size) * stream.time_base)


def durations(path: Path) -> list[Fraction]:
    return [picture.duration * picture.time_base for picture in read_with_av(path).pictures]


@pytest.mark.parametrize("target", ["mp4", "mov"])
@pytest.mark.parametrize("source", ["mp4", "mov", "mkv", "ts"])
def test_times_are_kept_to_the_tick(source: str, target: str, tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / f"in.{source}", scene_frames(12), pts=VARYING, options=B_FRAMES)
    report = upscale(tmp_path / f"in.{source}", tmp_path / f"out.{target}", tiny_model)
    assert read_with_av(tmp_path / f"out.{target}").times == read_with_av(tmp_path / f"in.{source}").times
    assert (report.damage, report.frames_written) == ([], 12)


@pytest.mark.parametrize(("target", "tick"), [("mkv", 1 / 1000), ("nut", 0), ("ts", 1 / 90000)])
def test_times_are_kept_to_the_time_base_of_the_container(
    target: str, tick: float, tiny_model: str, tmp_path: Path
) -> None:
    make_video(tmp_path / "in.mp4", scene_frames(12), pts=VARYING, options=B_FRAMES)
    upscale(tmp_path / "in.mp4", tmp_path / f"out.{target}", tiny_model)
    before, after = (np.array(read_with_av(tmp_path / name).pts) for name in ("in.mp4", f"out.{target}"))
    assert np.abs(after - before).max() <= tick / 2 + 1e-9


def test_a_slow_film_keeps_its_times_however_its_frames_are_reordered(tiny_model: str, tmp_path: Path) -> None:
    """A frame in some 20 s, at varying distances: a frame may be stored a minute before it is shown."""
    pts = [15360 * second for second in (0, 20, 37, 60, 85, 100, 121, 140)]
    make_video(tmp_path / "in.mp4", scene_frames(8), pts=pts, options={"bf": "3"})
    report = upscale(tmp_path / "in.mp4", tmp_path / "out.mp4", tiny_model)
    assert read_with_av(tmp_path / "out.mp4").times == [time * TIME_BASE for time in pts]
    assert (report.damage, report.warnings) == ([], [])


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_a_frame_per_quarter_of_an_hour_keeps_its_time(codec: str, suffix: str, count: int, tmp_path: Path) -> None:
    """With B-frames: a frame may be stored hours before it is shown."""
    pts = [15360 * 1001 * i for i in range(count)]
    size, target, encode = (64, 48), tmp_path / f"out.{suffix}", EncodeSettings(codec=codec)
    make_video(tmp_path / "in.mp4", scene_frames(count, size=size), pts=pts)
    with Reader(tmp_path / "in.mp4") as reader, Writer(target, reader.template, size=size, encode=encode) as writer:
        for frame in reader:
            writer.write(frame.av_frame)
        writer.finish(())
    assert read_with_av(target).times == [time * TIME_BASE for time in pts]


@pytest.mark.parametrize("first", [1, 100, 7681, 15360 * 8 + 5115])
def test_a_late_first_frame_keeps_its_time(first: int, tiny_model: str, tmp_path: Path) -> None:
    pts = [first + 512 * i for i in range(5)]
    make_video(tmp_path / "in.mp4", scene_frames(5), pts=pts, muxer={"movie_timescale": str(TIME_BASE.denominator)})
    upscale(tmp_path / "in.mp4", tmp_path / "out.mp4", tiny_model)
    assert read_with_av(tmp_path / "out.mp4").times == [time * TIME_BASE for time in pts]


def test_frames_before_the_edit_list_are_skipped(tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "whole.mp4", scene_frames(12), options=B_FRAMES)
    with av.open(tmp_path / "whole.mp4") as whole, av.open(tmp_path / "in.mp4", "w") as cut:
        video = whole.streams.video[0]
        copy = cut.add_stream_from_template(video)
        for packet in whole.demux(video):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - 4 * 512, packet.dts - 4 * 512, copy
                cut.mux(packet)  # packets before zero become an edit list
    times = read_with_av(tmp_path / "in.mp4").times
    assert len(times) == 8
    report = upscale(tmp_path / "in.mp4", tmp_path / "out.mp4", tiny_model)
    assert read_with_av(tmp_path / "out.mp4").times == times
    assert report.damage == []


@pytest.mark.parametrize("last", [100, 5000])
def test_the_last_frame_keeps_its_duration(last: int, tiny_model: str, tmp_path: Path) -> None:
    frames = scene_frames(4)
    frames[-1].duration = last
    make_video(tmp_path / "in.mp4", frames, options={"flags": "+frame_duration"})
    upscale(tmp_path / "in.mp4", tmp_path / "out.mp4", tiny_model)
    assert durations(tmp_path / "in.mp4")[-1] == last * TIME_BASE
    assert durations(tmp_path / "out.mp4") == durations(tmp_path / "in.mp4")


@pytest.mark.parametrize(
    ("count", "suffix", "codec"), half_of_product([9, 30], ["mp4", "mkv"], ["libx264", "libx265", "libsvtav1"])
)
def test_a_video_keeps_its_duration(count: int, codec: str, suffix: str, tiny_model: str, tmp_path: Path) -> None:
    """In MP4 a frame lasts until the next one in decoding order, which may be another one in display order."""
    frames = scene_frames(count, size=(64, 64))
    frames[-1].duration = 5000
    make_video(tmp_path / "in.mp4", frames, options={"flags": "+frame_duration", "bf": "0"})
    target = tmp_path / f"out.{suffix}"
    vidsr.upscale(
        tmp_path / "in.mp4",
        target,
        settings=UpscaleSettings(model=tiny_model),
        encode=EncodeSettings(codec=codec),
        pool=PoolSettings(workers=0),
    )
    with av.open(tmp_path / "in.mp4") as before, av.open(target) as after:
        assert abs(before.duration - after.duration) <= 1000  # microseconds
        assert before.duration == pytest.approx(1e6 * float(((count - 1) * 512 + 5000) * TIME_BASE), abs=1)


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "libvpx-vp9", "ffv1"])
def test_other_encoders_keep_times_too(codec: str, tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "in.mp4", scene_frames(12, size=(64, 64)), pts=VARYING, options=B_FRAMES)
    report = upscale(tmp_path / "in.mp4", tmp_path / "out.nut", tiny_model, codec=codec)
    assert read_with_av(tmp_path / "out.nut").times == read_with_av(tmp_path / "in.mp4").times
    assert report.damage == []


def test_a_raw_stream_is_read_at_its_frame_rate(tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "in.h264", scene_frames(6), options=B_FRAMES)
    upscale(tmp_path / "in.h264", tmp_path / "out.mp4", tiny_model)
    times = read_with_av(tmp_path / "out.mp4").times
    assert len(set(np.diff(times))) == 1
    with Reader(tmp_path / "in.h264") as reader:
        assert len(list(reader)) == reader.repair.retimed == 6


HOURS_S = 39_912.39


@pytest.mark.parametrize("target", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("source", ["ts", "mkv", "flv", "mp4"])
def test_a_file_that_counts_by_a_clock_begins_at_0(source: str, target: str, tiny_model: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=SMALL, audio=1, options=B_FRAMES)
    path = retimed(clip, tmp_path / f"in.{source}", HOURS_S)
    report = upscale(path, tmp_path / f"out.{target}", tiny_model)
    before, after = read_with_av(path).pts, read_with_av(tmp_path / f"out.{target}").pts
    assert before[0] > HOURS_S - 1
    start = min(after[0], audio_start(tmp_path / f"out.{target}"))
    assert start == pytest.approx(1.4 if target == "ts" else 0, abs=0.002) or 0 <= start < 0.002
    assert np.allclose(np.diff(after), np.diff(before), atol=0.0011)
    before_s, after_s = before[0] - audio_start(path), after[0] - audio_start(tmp_path / f"out.{target}")
    assert after_s == pytest.approx(before_s, abs=0.0011)
    assert (report.damage, len(report.copied)) == ([], 1)


def test_the_clock_of_a_file_is_kept_on_request(tiny_model: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=SMALL, audio=1)
    path = retimed(clip, tmp_path / "in.ts", HOURS_S)
    upscale(path, tmp_path / "out.mkv", tiny_model, keep_start=True)
    assert np.allclose(read_with_av(tmp_path / "out.mkv").pts, read_with_av(path).pts, atol=0.0011)
    assert audio_start(tmp_path / "out.mkv") == pytest.approx(audio_start(path), abs=0.0011)


@pytest.mark.parametrize("start_s", [None, 0.5])
def test_positions_in_a_file_with_a_clock_count_from_its_first_frame(start_s: float | None, tmp_path: Path) -> None:
    path = retimed(make_clip(tmp_path / "clip.mp4", size=SMALL, audio=1), tmp_path / "in.mkv", HOURS_S)
    with Reader(path, start_s=start_s, end_s=0.7) as reader:
        times = [float(frame.av_frame.pts * reader.time_base) for frame in reader]
        assert float((reader.first.av_frame.pts - reader.start_pts) * reader.time_base) == pytest.approx(0, abs=0.03)
    assert len(times) == round((0.7 - (start_s or 0)) * 30)


@pytest.mark.parametrize(("source", "codec"), [("wmv", "wmv2"), ("asf", "mpeg4"), ("flv", "flv"), ("mkv", "libx264")])
def test_a_variable_rate_needs_no_durations(source: str, codec: str, tiny_model: str, tmp_path: Path) -> None:
    """Frames 40 ms apart, with a pause after every fifth."""
    times = [40 * i + 320 * (i // 5) for i in range(60)]
    pts = [round(time / 1000 / TIME_BASE) for time in times]
    film = tmp_path / "film.nut"
    make_video(film, scene_frames(60, size=(64, 48)), codec=codec, pts=pts, options={"g": "20", "bf": "0"})
    retimed(film, tmp_path / f"in.{source}", 0, durations=False)
    report = upscale(tmp_path / f"in.{source}", tmp_path / "out.mkv", tiny_model)
    assert np.allclose(read_with_av(tmp_path / "out.mkv").pts, np.array(times) / 1000, atol=0.0011)
    assert (report.frames_written, report.damage, report.warnings) == (60, [], [])


@pytest.mark.parametrize("late", [{40: 3000}, {40: 3000, 41: 3000}, {60: -1500}, {20: 500, 60: 9000}])
def test_a_frame_with_a_wrong_time_moves_no_other(late: dict[int, int], tiny_model: str, tmp_path: Path) -> None:
    clip = tmp_path / "clip.flv"
    make_clip(clip, size=SMALL, pts=[512 * i for i in range(100)], options={"bf": "0"}, audio=1)
    right, data, at, number = read_with_av(clip).pts, bytearray(clip.read_bytes()), 13, 0
    while at < len(data):  # FLV stores each packet with a byte of type, three of size, four of time in ms
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if data[at] == 9 and size > 5 and data[at + 12] == 1:  # a frame
            time = int.from_bytes(data[at + 4 : at + 7], "big") + late.get(number, 0)
            data[at + 4 : at + 7] = time.to_bytes(3, "big")
            number += 1
        at += 15 + size
    (tmp_path / "in.flv").write_bytes(data)
    report = upscale(tmp_path / "in.flv", tmp_path / "out.mkv", tiny_model)
    assert number == report.frames_written == 100
    assert np.allclose(read_with_av(tmp_path / "out.mkv").pts, right, atol=0.0021)
    assert f"{len(late)} frames had no usable time stamp and received one" in report.warnings
    assert report.damage == []


@pytest.mark.parametrize("target", ["mp4", "mkv"])
def test_frames_before_the_edit_list_of_fragments_are_skipped(target: str, tiny_model: str, tmp_path: Path) -> None:
    """FFmpeg decodes them, with times below 0."""
    muxer = {"movflags": "+frag_keyframe+delay_moov", "use_editlist": "1"}
    make_video(tmp_path / "in.mp4", scene_frames(40), pts=[512 * (i - 10) for i in range(40)], muxer=muxer)
    assert len(read_with_av(tmp_path / "in.mp4").times) == 40
    report = upscale(tmp_path / "in.mp4", tmp_path / f"out.{target}", tiny_model)
    times = read_with_av(tmp_path / f"out.{target}").pts
    assert np.allclose(times, np.arange(30) / 30, atol=0.0006)
    assert (report.frames_read, report.frames_written, report.damage) == (30, 30, [])
    with Reader(tmp_path / "in.mp4", start_s=0.5) as reader:
        assert len(list(reader)) == 15
