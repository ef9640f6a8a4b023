"""Chroma is not shifted: a ramp gives, for each pixel, its position in the source."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import make_video
from oracles import samples

from vidsr.media.chroma import FrameScaler, find_chroma_scaler
from vidsr.media.filters import filter_frames
from vidsr.media.libav import set_frame_side_data
from vidsr.media.luma_merger import LumaMerger
from vidsr.media.reader import Reader
from vidsr.media.side_data import FrameKind, side_data

STEP = 4  # levels from one chroma sample to the next


def ramp(pixel_format: str, size: tuple[int, int] = (32, 32)) -> av.VideoFrame:
    """A grey frame with U rising from left to right and V rising from top to bottom."""
    frame = av.VideoFrame(*size, pixel_format)
    luma, u, v = samples(frame)
    luma[:], u[:], v[:] = 128, 60 + STEP * np.arange(u.shape[1]), 60 + STEP * np.arange(v.shape[0])[:, None]
    return frame


def source_positions(before: av.VideoFrame, after: av.VideoFrame) -> tuple[np.ndarray, np.ndarray]:
    """The column and row of the source's chroma for each column and row of the result's."""
    _, u, v = samples(after)
    return (u[len(u) // 2].astype(float) - 60) / STEP, (v[:, v.shape[1] // 2].astype(float) - 60) / STEP


def expected(count: int, *, subsampling: int, siting: float, scale: int) -> np.ndarray:
    """The correct positions; `siting` is the distance of a chroma sample from the first pixel of its group."""
    pixels = subsampling * np.arange(count) + siting  # positions of the chroma samples in pixels of the result
    return ((pixels + 0.5) / scale - 0.5 - siting) / subsampling


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize(
    ("codec", "pixel_format", "options", "siting"),
    [
        ("libx264", "yuv420p", {"crf": "0"}, 0.0),
        ("libx264", "yuv422p", {"crf": "0"}, 0.0),
        ("libx264", "yuv444p", {"crf": "0"}, 0.0),
        ("libx265", "yuv420p", {"x265-params": "lossless=1:log-level=none"}, 0.0),
        ("libvpx-vp9", "yuv420p", {"lossless": "1"}, 0.0),  # no chroma location tag, as AV1
        ("libsvtav1", "yuv420p", {"crf": "1", "svtav1-params": "film-grain=0"}, 0.0),
        ("prores_ks", "yuv422p10le", {}, 0.0),
        ("mjpeg", "yuvj420p", {}, 0.5),  # centred in JPEG
    ],
)
def test_chroma_is_not_shifted(
    codec: str, pixel_format: str, options: dict[str, str], siting: float, scale: int, tmp_path: Path
) -> None:
    make_video(tmp_path / "in.mkv", [ramp(pixel_format)], codec=codec, options=options, time_base=Fraction(1, 25))
    with Reader(tmp_path / "in.mkv") as reader:
        before = reader.first.av_frame
        after = LumaMerger().merge(before, np.zeros((32 * scale, 32 * scale), np.uint8))
    columns, rows = source_positions(before, after)
    inside = slice(8, -8)  # without the border, where a cubic lacks samples
    across = 32 // samples(before)[1].shape[1]
    down = 32 // samples(before)[2].shape[0]
    wanted = expected(len(columns), subsampling=across, siting=siting, scale=scale)
    assert abs((columns - wanted)[inside].mean()) < 0.03
    assert np.abs(columns - wanted)[inside].max() < 0.3
    centred = 0.5 if down == 2 else 0.0
    wanted = expected(len(rows), subsampling=down, siting=centred, scale=scale)
    assert abs((rows - wanted)[inside].mean()) < 0.03


@pytest.mark.parametrize(("pixel_format", "across", "down"), [("yuv420p", 2, 2), ("yuv422p", 2, 1), ("yuv411p", 4, 1)])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(33, 31), (34, 33), (35, 34)])
def test_chroma_of_odd_sizes_is_not_stretched(
    pixel_format: str, across: int, down: int, scale: int, size: tuple[int, int]
) -> None:
    before = ramp(pixel_format, size)
    before.colorspace, before.pts, before.time_base = 9, 7, Fraction(1, 25)
    after = LumaMerger().merge(before, np.full((scale * size[1], scale * size[0]), 77, np.uint8))
    assert (after.width, after.height, after.colorspace, after.pts) == (scale * size[0], scale * size[1], 9, 7)
    assert after.time_base == Fraction(1, 25)
    assert (samples(after)[0] == 77).all()
    columns, rows = source_positions(before, after)
    inside = slice(2 * scale, -2 * scale)
    for found, group in ((columns, across), (rows, down)):
        wanted = expected(len(found), subsampling=group, siting=(group - 1) / 2, scale=scale)
        assert np.abs(found - wanted)[inside].max() <= 0.5 / STEP + 1e-6


SITED = ("left", "center", "topleft", "unspecified")
FORMATS = ("yuv420p", "yuv422p", "yuv440p", "yuv411p", "yuv410p", "yuv420p10le", "yuv422p12le", "yuv420p14le")


def noise(pixel_format: str, size: tuple[int, int], site: str) -> av.VideoFrame:
    """Noise in every plane, tagged with a chroma location."""
    frame = av.VideoFrame(*size, pixel_format)
    frame.time_base = Fraction(1, 25)
    for number, plane in enumerate(samples(frame)):
        plane[:] = np.random.default_rng(number).integers(0, 1 << frame.format.components[0].bits, plane.shape)
    return next(filter_frames([frame], (("setparams", f"chroma_location={site}"),), frame.time_base))


@pytest.mark.parametrize("site", SITED)
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_chroma_alone_equals_the_chroma_of_whole_frames(pixel_format: str, site: str) -> None:
    for size, scale in (((70, 50), 2), ((33, 31), 2), ((32, 24), 3), ((35, 34), 4)):
        before = noise(pixel_format, size, site)
        chroma = find_chroma_scaler(before, scale)
        assert chroma
        alone, whole = chroma(before), FrameScaler()(before, scale)
        assert (alone.width, alone.height, alone.format.name) == (whole.width, whole.height, whole.format.name)
        for one, other in zip(samples(alone)[1:], samples(whole)[1:], strict=True):
            np.testing.assert_array_equal(one, other)
        # Equal only if the chroma location is still tagged.
        again = [samples(LumaMerger().resize(picture, (96, 80)))[1] for picture in (alone, whole)]
        np.testing.assert_array_equal(*again)


def test_frames_without_subsampled_chroma_have_no_chroma_scaler() -> None:
    for pixel_format in ("gray", "yuv444p", "yuva420p"):
        assert find_chroma_scaler(noise(pixel_format, (32, 32), "left"), 2) is None


def test_side_data_reaches_the_encoder() -> None:
    captioned, plain = noise("yuv420p", (32, 32), "left"), noise("yuv420p", (32, 32), "left")
    set_frame_side_data(captioned, FrameKind.A53_CC, b"\xfc\x94\x2c")
    merger = LumaMerger()
    large = [merger.merge(picture, np.zeros((64, 64), np.uint8)) for picture in (captioned, plain)]
    assert [side_data(picture, FrameKind.A53_CC) for picture in large] == [b"\xfc\x94\x2c", None]
