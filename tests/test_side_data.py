"""Side data: every kind of FFmpeg has a treatment; what a target holds arrives, what it cannot hold is named."""

import struct
import subprocess
import sys
from itertools import count, takewhile
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from footage import make_video, scene_frames, upscale
from oracles import samples
from PIL import Image, ImageCms

from vidsr.media.libav import (
    add_stream_side_data,
    copy_parameters,
    frame_side_data,
    frame_side_data_name,
    packet_side_data_name,
    set_frame_side_data,
    stream_side_data,
)
from vidsr.media.reader import Reader
from vidsr.media.side_data import FRAME_SIDE_DATA, STREAM_SIDE_DATA, FrameKind, StreamKind

ALL_AROUND = struct.pack("=9I", 0, 5 << 16, 0, 0, 0, 0, 0, 0, 0)  # equirectangular, turned by five degrees
CUBE = struct.pack("=9I", 1, 0, 0, 0, 0, 0, 0, 0, 4)  # a cube map with edges of four pixels
TOP_BOTTOM = struct.pack("=9i", 2, 0, 3, 0, 0, 0, 1, 0, 1)  # FFmpeg writes MP4 with that only for view 3, any
SIDE_BY_SIDE = struct.pack("=9i", 1, 0, 3, 0, 0, 0, 1, 0, 1)


def ffmpegs_kinds(name_of: object) -> list[int]:
    """The numbers of all kinds in the FFmpeg that is installed."""
    return list(takewhile(name_of, count()))


def test_every_kind_of_ffmpeg_has_a_treatment() -> None:
    assert sorted(map(int, FRAME_SIDE_DATA)) == ffmpegs_kinds(frame_side_data_name)
    assert sorted(map(int, STREAM_SIDE_DATA)) == ffmpegs_kinds(packet_side_data_name)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (FrameKind.PANSCAN, "PanScan"),
        (FrameKind.DISPLAYMATRIX, "displaymatrix"),
        (FrameKind.SPHERICAL, "Spherical"),
        (FrameKind.DYNAMIC_HDR_PLUS, "HDR10+"),
        (FrameKind.DOVI_METADATA, "Dolby Vision Metadata"),
        (FrameKind.VIEW_ID, "View ID"),
        (FrameKind.EXIF, "EXIF"),
        (StreamKind.PALETTE, "Palette"),
        (StreamKind.STEREO3D, "Stereo 3D"),
        (StreamKind.SPHERICAL, "Spherical"),
        (StreamKind.DOVI_CONF, "DOVI"),
        (StreamKind.FRAME_CROPPING, "Cropping"),
        (StreamKind.EXIF, "EXIF"),
    ],
)
def test_kinds_have_the_numbers_of_ffmpeg(kind: FrameKind | StreamKind, word: str) -> None:
    name = frame_side_data_name(kind) if isinstance(kind, FrameKind) else packet_side_data_name(kind)
    assert name
    assert word in name


def with_side_data(path: Path, side_data: dict[StreamKind, bytes]) -> Path:
    """A video whose container states side data."""
    plain = make_video(path.with_name("plain.mkv"), scene_frames(3))
    options = {"strict": "unofficial"} if path.suffix == ".mp4" else {}
    with av.open(plain) as source, av.open(path, "w", container_options=options) as output:
        stream = source.streams.video[0]
        copy = output.add_mux_stream("h264", time_base=stream.time_base)
        assert isinstance(copy, VideoStream)
        copy_parameters(stream, copy)
        for kind, data in side_data.items():
            add_stream_side_data(copy, kind, data)
        output.start_encoding()
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    return path


def stored(path: Path) -> dict[StreamKind, bytes]:
    with av.open(path) as container:
        return {StreamKind(kind): data for kind, data in stream_side_data(container.streams.video[0])}


@pytest.mark.parametrize("source", ["mp4", "mkv"])
@pytest.mark.parametrize("target", ["mp4", "mkv"])
@pytest.mark.parametrize("stereo", [TOP_BOTTOM, SIDE_BY_SIDE], ids=["top-bottom", "side-by-side"])
def test_360_degrees_and_stereo_are_kept(
    source: str, target: str, stereo: bytes, tiny_model: str, tmp_path: Path
) -> None:
    facts = {StreamKind.SPHERICAL: ALL_AROUND, StreamKind.STEREO3D: stereo}
    before = with_side_data(tmp_path / f"in.{source}", facts)
    report = upscale(before, tmp_path / f"out.{target}", tiny_model)
    assert (report.left_out, report.damage) == ([], [])
    after = stored(tmp_path / f"out.{target}")
    assert after[StreamKind.SPHERICAL][:4] == ALL_AROUND[:4]
    assert after[StreamKind.STEREO3D][:4] == stereo[:4]
    if source == "mkv":  # FFmpeg reads no angles from MP4
        if target == "mp4":
            assert b"prhd\0\0\0\0\0\5\0\0" in (tmp_path / "out.mp4").read_bytes()
        else:
            assert after[StreamKind.SPHERICAL] == ALL_AROUND


def test_the_edges_of_a_cube_map_are_scaled(tiny_model: str, tmp_path: Path) -> None:
    before = with_side_data(tmp_path / "in.mp4", {StreamKind.SPHERICAL: CUBE})
    upscale(before, tmp_path / "out.mp4", tiny_model)
    assert struct.unpack("=9I", stored(tmp_path / "out.mp4")[StreamKind.SPHERICAL]) == (1, *[0] * 7, 8)


def test_what_the_target_cannot_hold_is_named_before_work_begins(tiny_model: str, tmp_path: Path) -> None:
    before = with_side_data(tmp_path / "in.mkv", {StreamKind.SPHERICAL: ALL_AROUND})
    report = upscale(before, tmp_path / "out.ts", tiny_model)
    assert report.left_out == ["Spherical Mapping"]
    assert report.warnings == ["out.ts cannot hold Spherical Mapping; it is dropped"]


CAPTIONS = (FrameKind.A53_CC, b"\xfc\x94\x2c\xfc\x41\x42")
USER_DATA = (FrameKind.SEI_UNREGISTERED, bytes(range(16)) + b"MISP: a time")


def with_frame_data(path: Path, *side_data: tuple[FrameKind, bytes]) -> Path:
    """A video by x264, which adds its own user data, whose frames have side data."""
    frames = scene_frames(3)
    for frame in frames:
        for kind, data in side_data:
            set_frame_side_data(frame, kind, data)
    return make_video(path, frames, options={"udu_sei": "1"})


@pytest.mark.parametrize(
    ("codec", "kept"),
    [("libx264", [CAPTIONS, USER_DATA]), ("libx265", [CAPTIONS]), ("ffv1", []), ("libsvtav1", [])],
)
def test_captions_and_user_data_arrive_or_are_named(
    codec: str, kept: list[tuple[FrameKind, bytes]], tiny_model: str, tmp_path: Path
) -> None:
    names = {CAPTIONS: "ATSC A53 Part 4 Closed Captions", USER_DATA: "H.26[45] User Data Unregistered SEI message"}
    before = with_frame_data(tmp_path / "in.mkv", CAPTIONS, USER_DATA)
    report = upscale(before, tmp_path / "out.mkv", tiny_model, codec=codec)
    assert sorted(report.left_out) == sorted(name for data, name in names.items() if data not in kept)
    with av.open(tmp_path / "out.mkv") as container:
        for frame in container.decode(video=0):
            found = frame_side_data(frame)
            assert [found.count(data) for data in kept] == [1] * len(kept)
    with Reader(before) as reader:
        assert all(set(frame_side_data(frame.av_frame)) == {CAPTIONS, USER_DATA} for frame in reader)


def test_side_data_of_a_later_frame_is_named_once(tiny_model: str, tmp_path: Path) -> None:
    frames = scene_frames(4)
    for frame in frames[2:]:
        set_frame_side_data(frame, FrameKind.A53_CC, b"\xfc\x94\x2c")
    report = upscale(make_video(tmp_path / "in.mkv", frames), tmp_path / "out.mkv", tiny_model, codec="ffv1")
    assert report.left_out == ["ATSC A53 Part 4 Closed Captions"]


def test_a_named_profile_does_no_harm(tiny_model: str, tmp_path: Path) -> None:
    """In a process of its own: PyAV's side data would end it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (48, 32), (200, 90, 30)).save(tmp_path / "in.png", icc_profile=profile)
    code = (
        "import sys, vidsr; from vidsr import PoolSettings, UpscaleSettings\n"
        "source, target, model = sys.argv[1:]\n"
        "vidsr.upscale(source, target, settings=UpscaleSettings(model=model), pool=PoolSettings(workers=0))"
    )
    for target in ("out.png", "out.mkv"):
        command = [sys.executable, "-c", code, tmp_path / "in.png", tmp_path / target, tiny_model]
        subprocess.run(command, check=True, timeout=100)
    with Image.open(tmp_path / "out.png") as after:
        assert after.info["icc_profile"] == profile
    assert b"iCCPICC Profile\0" in (tmp_path / "out.png").read_bytes()


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_frames_are_cropped_as_the_container_says(suffix: str, tiny_model: str, tmp_path: Path) -> None:
    top, bottom, left, right = 2, 4, 6, 8
    cropping = {StreamKind.FRAME_CROPPING: struct.pack("=4I", top, bottom, left, right)}
    before = with_side_data(tmp_path / f"in.{suffix}", cropping)
    report = upscale(before, tmp_path / "out.mkv", tiny_model, codec="ffv1")
    assert (report.size, report.left_out, report.damage) == ((36, 36), [], [])
    with av.open(before) as container:
        whole = samples(next(container.decode(video=0)))[0]
    with Reader(before) as reader:
        assert np.array_equal(reader.first.luma, whole[top:-bottom, left:-right])
    assert StreamKind.FRAME_CROPPING not in stored(tmp_path / "out.mkv")


def test_side_data_of_a_copied_stream_is_copied_or_named(tiny_model: str, tmp_path: Path) -> None:
    turned = struct.pack("=9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    facts = {StreamKind.SPHERICAL: ALL_AROUND, StreamKind.DISPLAYMATRIX: turned}
    second = with_side_data(tmp_path / "second.mp4", facts)
    with (
        av.open(tmp_path / "plain.mkv") as first,
        av.open(second) as other,
        av.open(tmp_path / "in.mp4", "w", container_options={"strict": "unofficial"}) as output,
    ):
        for source in (first, other):
            copy = output.add_mux_stream("h264", time_base=source.streams.video[0].time_base)
            copy_parameters(source.streams.video[0], copy)
        output.start_encoding()
        for number, source in enumerate((first, other)):
            for packet in source.demux():
                if packet.size:
                    packet.stream = output.streams[number]
                    output.mux(packet)
    for suffix, lost in (("mp4", []), ("mkv", ["Display Matrix of #1 video"])):
        report = upscale(tmp_path / "in.mp4", tmp_path / f"out.{suffix}", tiny_model)
        assert (report.left_out, report.damage) == (lost, [])
        with av.open(tmp_path / f"out.{suffix}") as container:
            kinds = {kind for kind, _ in stream_side_data(container.streams.video[1])}
        assert kinds == set(facts) - ({StreamKind.DISPLAYMATRIX} if lost else set())
