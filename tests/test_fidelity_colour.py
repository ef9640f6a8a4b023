"""Colour range, colorspace, primaries, transfer and HDR metadata are kept, and the pixels match them."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import make_video, scene_frame, scene_frames, upscale
from made import scene
from oracles import read_with_av, samples

from vidsr.engine import Engine
from vidsr.media.reader import Reader

MPEG, JPEG = 1, 2
BT709, UNKNOWN, BT601_625, BT601, BT2020 = 1, 2, 5, 6, 9
PQ, HLG = 16, 18
MASTERING = [(34000, 16000), (13250, 34500), (7500, 3000), (15635, 16450)]  # red, green, blue, white
LIGHT = (1000, 400)


def tags(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """Colour range, colorspace, primaries and transfer."""
    return tuple(map(int, (frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc)))


def tagged_video(
    path: Path, words: tuple[int, int, int, int], *, pixel_format: str = "yuv420p", **more: object
) -> Path:
    names = ("color_range", "colorspace", "color_primaries", "color_trc")
    return make_video(path, scene_frames(3, pixel_format), **dict(zip(names, words, strict=True)), **more)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "ffv1"])
@pytest.mark.parametrize(
    ("words", "pixel_format"),
    [
        ((MPEG, BT709, BT709, BT709), "yuv420p"),
        ((JPEG, BT709, BT709, BT709), "yuv420p"),
        ((MPEG, BT601, BT601, BT601), "yuv420p"),
        ((MPEG, BT601_625, BT601_625, BT601), "yuv420p"),
        ((MPEG, BT2020, BT2020, PQ), "yuv420p10le"),
        ((MPEG, BT2020, BT2020, HLG), "yuv420p10le"),
        ((JPEG, BT2020, BT2020, PQ), "yuv420p10le"),
    ],
)
def test_colour_tags_are_kept(
    codec: str, words: tuple[int, int, int, int], pixel_format: str, tiny_model: str, tmp_path: Path
) -> None:
    tagged_video(tmp_path / "in.mp4", words, pixel_format=pixel_format)
    (before, *_), target = read_with_av(tmp_path / "in.mp4").pictures, tmp_path / "out.mkv"
    assert tags(before) == words
    upscale(tmp_path / "in.mp4", target, tiny_model, codec=codec)
    after = read_with_av(target).pictures
    assert {tags(frame) for frame in after} == {words}


def test_vp9_in_webm_keeps_colour_tags(tiny_model: str, tmp_path: Path) -> None:
    tagged_video(tmp_path / "in.mp4", (MPEG, BT709, BT709, BT709))
    upscale(tmp_path / "in.mp4", tmp_path / "out.webm", tiny_model, codec="libvpx-vp9")
    assert tags(read_with_av(tmp_path / "out.webm").pictures[0])[:2] == (MPEG, BT709)  # VP9 has words for no more


def test_full_range_h264_keeps_every_level(tiny_model: str, tmp_path: Path) -> None:
    before = scene_frame("yuvj420p")
    samples(before)[0][:] = np.arange(32 * 24).reshape(24, 32) % 256  # 0 and 255, too
    make_video(tmp_path / "in.mkv", [before], options={"crf": "0"}, color_range=JPEG)
    with Reader(tmp_path / "in.mkv") as reader:
        worked = reader.first.av_frame
        assert (reader.info.pixel_format, worked.format.name, int(worked.color_range)) == ("yuvj420p", "yuv420p", JPEG)
        assert all(np.array_equal(a, b) for a, b in zip(samples(before), samples(worked), strict=True))
    upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model, codec="libx264")
    (after,) = read_with_av(tmp_path / "out.mkv").pictures
    assert (after.format.name, int(after.color_range)) == ("yuvj420p", JPEG)
    assert np.array_equal(samples(after)[0], Engine(tiny_model)(samples(before)[0]))


def test_frames_are_converted_to_the_colour_range_of_the_first(tiny_model: str, tmp_path: Path) -> None:
    parts = []
    for name, levels in (("yuv420p", MPEG), ("yuvj420p", JPEG)):
        frames = [frame.reformat(format=name, dst_color_range=levels) for frame in scene_frames(4, "rgb24")]
        part = make_video(
            tmp_path / f"{name}.h264", frames, options={"crf": "0"}, color_range=levels, colorspace=BT709
        )
        parts.append(part.read_bytes())
    (tmp_path / "in.h264").write_bytes(b"".join(parts))
    upscale(tmp_path / "in.h264", tmp_path / "out.mkv", tiny_model, codec="ffv1")
    after = read_with_av(tmp_path / "out.mkv").pictures
    assert {int(frame.color_range) for frame in after} == {MPEG}
    one, other = (np.stack([samples(frame)[0] for frame in part]).astype(int) for part in (after[:4], after[4:]))
    assert np.abs(one - other).mean() < 1.5


@pytest.mark.parametrize(
    ("size", "words", "matrix"),
    [
        ((32, 300), (0, UNKNOWN, UNKNOWN, UNKNOWN), BT601),  # grown from SD: players would take it for BT.709
        ((32, 200), (0, UNKNOWN, UNKNOWN, UNKNOWN), UNKNOWN),  # still SD
        ((32, 600), (0, UNKNOWN, UNKNOWN, UNKNOWN), UNKNOWN),  # was none
        ((32, 300), (MPEG, BT709, BT709, BT709), BT709),
    ],
)
def test_untagged_frames_upscaled_beyond_sd_are_tagged(
    size: tuple[int, int], words: tuple[int, int, int, int], matrix: int, tiny_model: str, tmp_path: Path
) -> None:
    names = ("color_range", "colorspace", "color_primaries", "color_trc")
    make_video(tmp_path / "in.mkv", scene_frames(1, size=size), **dict(zip(names, words, strict=True)))
    upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model)
    assert int(read_with_av(tmp_path / "out.mkv").pictures[0].colorspace) == matrix


def test_the_matrix_of_jpegs_stays_5(tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "in.avi", scene_frames(2, "yuvj420p"), codec="mjpeg", time_base=Fraction(1, 30))
    assert read_with_av(tmp_path / "in.avi").pictures[0].colorspace == 5
    upscale(tmp_path / "in.avi", tmp_path / "out.mkv", tiny_model)
    assert read_with_av(tmp_path / "out.mkv").pictures[0].colorspace == 5


def hdr_video(path: Path) -> Path:
    """A video with HDR10 metadata."""
    red, green, blue, white = (f"({x},{y})" for x, y in MASTERING)
    told = f"master-display=G{green}B{blue}R{red}WP{white}L(10000000,1):max-cll={LIGHT[0]},{LIGHT[1]}"
    options = {"x265-params": f"log-level=none:hdr10=1:{told}"}
    return tagged_video(path, (MPEG, BT2020, BT2020, PQ), pixel_format="yuv420p10le", codec="libx265", options=options)


def hdr_metadata(frame: av.VideoFrame) -> tuple[list[Fraction], tuple[int, int]]:
    """The mastering display (red to white, lowest and highest luminance) and the light levels."""
    numbers = struct.unpack("22i", bytes(frame.side_data["MASTERING_DISPLAY_METADATA"])[:88])
    assert numbers[20:] == (1, 1)
    levels = struct.unpack("2I", bytes(frame.side_data["CONTENT_LIGHT_LEVEL"])[:8])
    return [Fraction(*numbers[i : i + 2]) for i in range(0, 20, 2)], levels


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_hdr_metadata_is_in_the_stream(codec: str, suffix: str, tiny_model: str, tmp_path: Path) -> None:
    source = hdr_video(tmp_path / "in.mp4")
    wanted = hdr_metadata(read_with_av(source).pictures[0])
    assert (wanted[0][:2], wanted[0][8:]) == ([Fraction(17, 25), Fraction(8, 25)], [Fraction(1, 10000), 1000])
    report = upscale(source, tmp_path / f"out.{suffix}", tiny_model, codec=codec)
    found = hdr_metadata(read_with_av(tmp_path / f"out.{suffix}").pictures[0])
    assert np.allclose([float(a - b) for a, b in zip(wanted[0][:8], found[0][:8], strict=True)], 0, atol=2e-5)
    assert np.allclose([float(a) for a in found[0][8:]], [0.0001, 1000], rtol=0.4)  # AV1 counts by 1/16384
    assert found[1] == wanted[1] == LIGHT
    assert report.left_out == []


def test_a_codec_without_hdr_metadata_leaves_it_to_the_container(tiny_model: str, tmp_path: Path) -> None:
    source = hdr_video(tmp_path / "in.mp4")
    assert upscale(source, tmp_path / "out.mkv", tiny_model, codec="ffv1").left_out == []
    found, wanted = (hdr_metadata(read_with_av(tmp_path / name).pictures[0]) for name in ("out.mkv", "in.mp4"))
    assert np.allclose([float(a - b) for a, b in zip(found[0], wanted[0], strict=True)], 0, atol=1e-6)
    assert found[1] == wanted[1]
    report = upscale(source, tmp_path / "out.nut", tiny_model, codec="ffv1")
    assert report.left_out == ["Mastering display metadata", "Content light level metadata"]


def rgb_frames(pixel_format: str) -> list[av.VideoFrame]:
    size = (64, 48)
    images = [scene(index, size) for index in range(2)]
    return [av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixel_format) for image in images]


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("libx264rgb", "bgr24", "mkv"),
        ("libx264rgb", "rgb24", "mp4"),
        ("rawvideo", "bgr24", "nut"),
        ("rawvideo", "rgb24", "avi"),
        ("ffv1", "bgr0", "mkv"),
        ("ffv1", "gbrp10le", "mkv"),
        ("png", "rgb24", "mov"),
        ("gif", "rgb8", "gif"),
        ("png", "rgba", "mov"),
    ],
)
def test_rgb_becomes_tagged_444_with_the_right_colours(
    codec: str, pixel_format: str, suffix: str, tiny_model: str, tmp_path: Path
) -> None:
    source = tmp_path / f"in.{suffix}"
    options = {"crf": "0"} if codec == "libx264rgb" else {}
    make_video(source, rgb_frames(pixel_format), codec=codec, options=options, time_base=Fraction(1, 30))
    with Reader(source) as reader:
        worked = reader.first.av_frame
        assert worked.format.name == ("yuv444p10le" if "10" in pixel_format else "yuv444p")
    report = upscale(source, tmp_path / "out.mkv", tiny_model, codec="ffv1")
    before, after = read_with_av(source).pictures[0], read_with_av(tmp_path / "out.mkv").pictures[0]
    assert (after.format.name, report.damage) == (worked.format.name, [])
    assert tags(after)[:2] == (MPEG, BT709)
    shown = after.reformat(format="rgb24", src_colorspace=1, src_color_range=MPEG).to_ndarray()
    wanted = before.reformat(format="rgb24").to_ndarray()
    assert np.abs(shown.mean(axis=(0, 1)) - wanted.mean(axis=(0, 1))).max() < 6  # the network is a random one
    back = worked.reformat(format="rgb24", src_colorspace=1, src_color_range=MPEG).to_ndarray()
    assert np.abs(back.astype(int) - wanted).mean() < 1.5
