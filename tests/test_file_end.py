"""Files that are cut off shortly before their end, which FFmpeg does not say."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from footage import make_video, scene_frames, upscale

from vidsr.media.reader import Reader

FORMATS = {
    "avi": ("mpeg4", "yuv420p", {}),
    "dv": ("dvvideo", "yuv411p", {}),
    "flv": ("flv", "yuv420p", {}),
    "ivf": ("libvpx", "yuv420p", {}),
    "mjpeg": ("mjpeg", "yuvj420p", {}),
    "mkv": ("mpeg4", "yuv420p", {}),
    "mov": ("mpeg4", "yuv420p", {"movflags": "+frag_keyframe+empty_moov", "frag_duration": "200000"}),
    "mxf": ("mpeg2video", "yuv420p", {}),
    "nut": ("mpeg4", "yuv420p", {}),
    "ogg": ("libvpx", "yuv420p", {}),
    "webm": ("libvpx", "yuv420p", {}),
    "wmv": ("wmv2", "yuv420p", {}),
    "y4m": ("wrapped_avframe", "yuv420p", {}),
}


def video(path: Path, count: int = 20) -> Path:
    codec, pixel_format, muxer = FORMATS[path.suffix[1:]]
    size = (720, 480) if codec == "dvvideo" else (64, 48)
    base = Fraction(1001, 30000) if codec == "dvvideo" else Fraction(1, 25)
    options = {"g": "5"} if codec.startswith(("mpeg", "flv", "wmv")) else {}
    frames = scene_frames(count, pixel_format, size=size)
    pts = list(range(count))
    rate = {"time_base": base, "pts": pts, "rate": 1 / base, "thread_count": 1}  # the same bytes on every machine
    return make_video(path, frames, codec=codec, muxer=muxer, options=options, **rate)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_is_cut_off_in_its_last_frames_is_damaged(suffix: str, tmp_path: Path) -> None:
    whole, cut = video(tmp_path / f"whole.{suffix}"), tmp_path / f"cut.{suffix}"
    with Reader(whole) as reader:
        assert len(list(reader)) == 20
        assert reader.truncation is None
    data = whole.read_bytes()
    for share in (0.955, 0.82, 0.73):
        cut.write_bytes(data[: int(len(data) * share)])
        with Reader(cut) as reader:
            assert 0 < len(list(reader)) <= 20
            assert reader.truncation, share


def test_the_sentence_says_what_is_missing(tiny_model: str, tmp_path: Path) -> None:
    size = video(tmp_path / "in.mkv").stat().st_size
    (tmp_path / "in.mkv").write_bytes((tmp_path / "in.mkv").read_bytes()[:-100])
    report = upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model)
    assert report.damage == [f"the file is cut off: it should have {size} bytes, not {size - 100}"]


def test_a_part_that_is_missing_in_the_middle_of_an_flv_is_damage(tmp_path: Path) -> None:
    data = video(tmp_path / "whole.flv").read_bytes()
    (tmp_path / "in.flv").write_bytes(data[: len(data) // 2] + data[len(data) // 2 + 200 :])
    with Reader(tmp_path / "in.flv") as reader:
        list(reader)
        assert reader.truncation == "a part of the file is missing or damaged"


@pytest.mark.parametrize(
    ("format_name", "codec"),
    [("avi", "mpeg4"), ("ivf", "libvpx"), ("flv", "flv"), ("matroska", "mpeg4"), ("nut", "mpeg4"), ("ogg", "libvpx")],
)
def test_a_file_that_was_written_into_a_pipe_is_whole(format_name: str, codec: str, tmp_path: Path) -> None:
    """Its header could not be completed."""
    with (tmp_path / "in").open("wb") as file:
        pipe = SimpleNamespace(write=file.write)
        with av.open(pipe, "w", format=format_name) as output:
            stream = output.add_stream(codec, rate=25, width=64, height=48, pix_fmt="yuv420p")
            for number, frame in enumerate(scene_frames(10, size=(64, 48))):
                frame.pts, frame.time_base = number, Fraction(1, 25)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    with Reader(tmp_path / "in") as reader:
        assert len(list(reader)) == 10
        assert reader.truncation is None


@pytest.mark.parametrize(("suffix", "muxer"), [("mkv", {"live": "1"}), ("nut", {}), ("mov", {})])
def test_a_file_without_a_stated_size_or_with_more_behind_it_is_whole(
    suffix: str, muxer: dict[str, str], tmp_path: Path
) -> None:
    path = make_video(tmp_path / f"in.{suffix}", scene_frames(10), codec="mpeg4", muxer=muxer)
    if suffix == "mov":
        with path.open("ab") as file:
            file.write(b"TAG" + bytes(125))
    with Reader(path) as reader:
        assert len(list(reader)) == 10
        assert reader.truncation is None
