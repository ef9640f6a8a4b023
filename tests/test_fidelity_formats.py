"""Depth, subsampling, size and alpha are kept; the pixels equal those of the network and swscale."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.format import names
from footage import SMALL, make_video, scene_frame, scene_frames, upscale
from numpy.typing import NDArray
from oracles import read_with_av, samples

from vidsr.engine import Engine
from vidsr.errors import SourceError, TargetError
from vidsr.media.pixel_format_converter import PixelFormatConverter, find_working_format
from vidsr.media.reader import Reader

PLANAR = [
    f"yuv{alpha}{sampling}p{depth}"
    for alpha, sampling, depth in [
        ("", "420", ""), ("", "422", ""), ("", "444", ""), ("", "440", ""), ("", "411", ""), ("", "410", ""),
        ("", "420", "10le"), ("", "422", "10le"), ("", "444", "10le"), ("", "420", "12le"), ("", "444", "12le"),
        ("a", "420", ""), ("a", "422", "10le"), ("a", "444", "12le"),
    ]
]  # fmt: skip
GREY = ["gray", "gray10le", "gray12le", "gray16le"]
PACKED = {
    "nv12": "yuv420p",
    "nv16": "yuv422p",
    "p010le": "yuv420p10le",
    "p210le": "yuv422p10le",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "gray10be": "gray10le",
}


def stored(path: Path, frame: av.VideoFrame) -> Path:
    return make_video(path, [frame], codec="ffv1")


def with_alpha(pixel_format: str, size: tuple[int, int]) -> av.VideoFrame:
    """A frame that fades to transparent from left to right."""
    frame = scene_frame(pixel_format, size=size)
    alpha = samples(frame)[3]
    alpha[:] = np.linspace(0, 2 ** frame.format.components[3].bits - 1, alpha.shape[1])
    return frame


def reference(frame: av.VideoFrame, model: str) -> NDArray[np.generic]:
    return Engine(model)(samples(frame)[0], frame.format.components[0].bits)


@pytest.mark.parametrize("size", [(32, 24), (33, 25)])
@pytest.mark.parametrize("pixel_format", PLANAR + GREY)
def test_format_and_luma_are_exact(pixel_format: str, size: tuple[int, int], tiny_model: str, tmp_path: Path) -> None:
    frame = with_alpha(pixel_format, size) if "yuva" in pixel_format else scene_frame(pixel_format, size=size)
    upscale(stored(tmp_path / "in.mkv", frame), tmp_path / "out.mkv", tiny_model, codec="ffv1")
    (after,) = read_with_av(tmp_path / "out.mkv").pictures
    assert (after.format.name, after.width, after.height) == (pixel_format, 2 * size[0], 2 * size[1])
    assert np.array_equal(samples(after)[0], reference(frame, tiny_model))
    top = 2 ** frame.format.components[0].bits - 1
    for before, enlarged in zip(samples(frame)[1:], samples(after)[1:], strict=True):
        plain = bilinear(before, enlarged.shape)
        assert np.abs(enlarged - plain).mean() < 0.02 * top  # no more than a siting's shift


def bilinear(plane: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.float64]:
    """The plane resized to a shape by bilinear interpolation."""
    rows, columns = ((np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(shape, plane.shape, strict=True))
    wide = np.stack([np.interp(columns, np.arange(plane.shape[1]), row) for row in plane.astype(float)])
    return np.stack([np.interp(rows, np.arange(plane.shape[0]), column) for column in wide.T]).T


@pytest.mark.parametrize(("transparent", "pixel_format"), [(True, "yuva444p"), (False, "yuv444p")])
def test_rgb_keeps_alpha_if_any_pixel_is_transparent(
    transparent: bool, pixel_format: str, tiny_model: str, tmp_path: Path
) -> None:
    image = scene_frame("rgba").to_ndarray()
    if transparent:
        image[..., 3] = np.linspace(0, 255, image.shape[1]).astype(np.uint8)
    make_video(tmp_path / "in.mov", [av.VideoFrame.from_ndarray(image, format="rgba")], codec="png")
    upscale(tmp_path / "in.mov", tmp_path / "out.mkv", tiny_model, codec="ffv1")
    (after,) = read_with_av(tmp_path / "out.mkv").pictures
    assert after.format.name == pixel_format
    if transparent:
        assert np.abs(samples(after)[3] - bilinear(image[..., 3], (48, 64))).mean() < 2


@pytest.mark.parametrize("pixel_format", PACKED)
def test_packed_formats_become_planar(pixel_format: str) -> None:
    frame = scene_frame(pixel_format)
    worked = PixelFormatConverter(find_working_format(frame, still=False))(frame)
    planar = frame.reformat(format=PACKED[pixel_format], threads=1)
    assert worked.format.name == PACKED[pixel_format]
    assert all(np.array_equal(a, b) for a, b in zip(samples(worked), samples(planar), strict=True))


def test_every_format_of_ffmpeg_is_converted_or_refused() -> None:
    refused = set()
    for name in names:
        try:
            frame = av.VideoFrame(*SMALL, name)
        except (ValueError, av.FFmpegError):  # of hardware
            continue
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        try:
            find_working_format(frame, still=True)
        except ValueError:
            refused.add(name)
    assert {"grayf32le", "gbrpf16le", "yaf32le", "rgba128le"} < refused
    assert not refused & {*PLANAR, *GREY, *PACKED, "rgb24", "rgba64be", "gbrap16le", "pal8", "monob", "ya16be"}
    assert len(refused) < 50


@pytest.mark.parametrize("suffix", ["pfm", "exr"])
def test_an_image_of_floating_point_is_refused(suffix: str, tmp_path: Path) -> None:
    frame = scene_frame("grayf32le" if suffix == "pfm" else "gbrpf32le")
    encoder = av.CodecContext.create(suffix, "w")
    encoder.width, encoder.height, encoder.pix_fmt = *SMALL, frame.format.name
    encoder.time_base = Fraction(1)
    encoder.options = {"format": "half"} if suffix == "exr" else {}
    (tmp_path / f"in.{suffix}").write_bytes(b"".join(map(bytes, [*encoder.encode(frame), *encoder.encode(None)])))
    with pytest.raises(SourceError, match="is not supported"):
        Reader(tmp_path / f"in.{suffix}")


@pytest.mark.parametrize("pixel_format", ["nv12", "yuyv422", "uyvy422"])
def test_packed_uncompressed_video_is_read(pixel_format: str, tiny_model: str, tmp_path: Path) -> None:
    frame = scene_frame(pixel_format)
    make_video(tmp_path / "in.nut", [frame], codec="rawvideo")
    with Reader(tmp_path / "in.nut") as reader:
        assert (reader.info.pixel_format, reader.info.working_format) == (pixel_format, PACKED[pixel_format])
    upscale(tmp_path / "in.nut", tmp_path / "out.mkv", tiny_model, codec="ffv1")
    (after,) = read_with_av(tmp_path / "out.mkv").pictures
    assert after.format.name == PACKED[pixel_format]
    assert np.array_equal(samples(after)[0], reference(frame.reformat(format=after.format.name), tiny_model))


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [(codec, f"yuv{sampling}p{depth}") for codec in ("libx264", "libx265") for sampling in (420, 422, 444)
     for depth in ("", "10le")] + [("libx265", "yuv420p12le"), ("libx265", "yuv444p12le")]
    + [("libx265", "gray"), ("libx265", "gray12le")],
)  # fmt: skip
def test_h264_and_hevc_hold_the_same_pixels(codec: str, pixel_format: str, tiny_model: str, tmp_path: Path) -> None:
    stored(tmp_path / "in.mkv", scene_frame(pixel_format, size=(48, 32)))
    upscale(tmp_path / "in.mkv", tmp_path / "ffv1.mkv", tiny_model, codec="ffv1")
    upscale(tmp_path / "in.mkv", tmp_path / "out.mp4", tiny_model, codec=codec)
    (exact,), (after,) = (read_with_av(tmp_path / name).pictures for name in ("ffv1.mkv", "out.mp4"))
    assert after.format.name == pixel_format
    lossless = codec == "libx264" and "10le" not in pixel_format
    level = 2 ** (exact.format.components[0].bits - 8)
    for one, other in zip(samples(exact), samples(after), strict=True):
        assert np.abs(one.astype(int) - other).mean() <= (0 if lossless else level)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "size", "instead"),
    [
        ("libx264", "yuv420p12le", (32, 24), "libx265"),
        ("libx264", "yuva420p", (32, 24), "libvpx-vp9"),
        ("libx264", "yuv411p", (32, 24), "ffv1"),
        ("libx265", "gray16le", (32, 24), "ffv1"),
        ("libsvtav1", "yuv422p", (32, 24), "libx264"),
        ("libsvtav1", "yuv444p10le", (32, 24), "libx264"),
    ],
)
def test_an_encoder_without_the_format_is_refused_and_another_named(
    codec: str, pixel_format: str, size: tuple[int, int], instead: str, tiny_model: str, tmp_path: Path
) -> None:
    frame = with_alpha(pixel_format, size) if "yuva" in pixel_format else scene_frame(pixel_format, size=size)
    stored(tmp_path / "in.mkv", frame)
    with pytest.raises(TargetError, match=f"^{codec} cannot hold {pixel_format}; use --codec {instead}$"):
        upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model, codec=codec)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
    upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model, codec=instead)


def test_grey_h264_is_read_as_neutral_colour(tiny_model: str, tmp_path: Path) -> None:
    frame = scene_frame("gray")
    upscale(stored(tmp_path / "in.mkv", frame), tmp_path / "out.mp4", tiny_model, codec="libx264")
    (after,) = read_with_av(tmp_path / "out.mp4").pictures
    luma, *chroma = samples(after)
    assert np.array_equal(luma, reference(frame, tiny_model))
    assert all((plane == 128).all() for plane in chroma)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_an_odd_size_is_refused_and_another_encoder_named(codec: str, tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "in.mkv", scene_frames(2, size=(64, 64)), codec="ffv1")
    with pytest.raises(TargetError, match=rf"^{codec} refuses 101x75 in yuv420p \(.+\); use --codec libsvtav1$"):
        upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model, codec=codec, to="101x75")
    upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model, codec="libsvtav1", to="101x75")
    first = read_with_av(tmp_path / "out.mkv").pictures[0]
    assert (first.width, first.height) == (101, 75)


def test_a_codec_the_container_cannot_hold_is_refused(tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "in.mkv", scene_frames(2), codec="ffv1")
    with pytest.raises(TargetError, match=r"out\.webm: webm cannot hold libx264; use \.mkv$"):
        upscale(tmp_path / "in.mkv", tmp_path / "out.webm", tiny_model, codec="libx264")
    make_video(tmp_path / "in.mp4", scene_frames(2, size=(64, 64)))
    with pytest.raises(TargetError, match=r"out\.mov: mov cannot hold libsvtav1; use \.mkv$"):
        upscale(tmp_path / "in.mp4", tmp_path / "out.mov", tiny_model, codec="libsvtav1")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="x264 has nothing to share out on one core")
def test_x264_writes_one_slice_per_frame(tiny_model: str, tmp_path: Path) -> None:
    source, target = make_video(tmp_path / "in.mp4", scene_frames(3, size=(160, 128))), tmp_path / "out.mp4"
    upscale(source, target, tiny_model)
    assert b"sliced_threads=0" in target.read_bytes()  # x264 writes its settings into the stream
