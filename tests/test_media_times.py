"""Time stamps and durations of the frames are kept."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import make_video, scene_frames, upscale
from made import TIME_BASE
from oracles import read_with_av

import vidsr
from vidsr.media.reader import Reader
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

VARYING = np.cumsum(np.random.default_rng(2).integers(200, 2000, 12)).tolist()
B_FRAMES = {"bf": "3", "g": "12"}


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


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("count", [9, 30])
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
        assert len(list(reader)) == reader.retimed == 6
