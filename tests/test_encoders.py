"""The encoder that is chosen without --codec: the first that holds the source, in the container of the target."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from footage import make_video, scene_frame, scene_frames, upscale
from oracles import read_with_av, samples

from vidsr.errors import TargetError
from vidsr.media.encoders import choose_encoder
from vidsr.media.luma_merger import LumaMerger, upscale_bicubic
from vidsr.settings import EncodeSettings


def with_alpha() -> av.VideoFrame:
    """64x64 RGB that becomes transparent towards the right."""
    pixels = np.full((64, 64, 4), 100, np.uint8)
    pixels[..., 3] = np.linspace(0, 255, 64)
    return av.VideoFrame.from_ndarray(pixels, format="rgba")


@pytest.mark.parametrize(
    ("pixel_format", "suffix", "codec", "stored"),
    [
        ("yuv420p", "mp4", "h264", "yuv420p"),
        ("yuv411p", "mp4", "h264", "yuv422p"),
        ("yuv410p", "mkv", "h264", "yuv420p"),
        ("yuv440p", "mkv", "h264", "yuv444p"),
        ("yuv420p9le", "mp4", "h264", "yuv420p10le"),
        ("yuv420p12le", "mp4", "hevc", "yuv420p12le"),
        ("yuv444p12le", "mov", "hevc", "yuv444p12le"),
        ("yuv444p16le", "mkv", "ffv1", "yuv444p16le"),
        ("gray16le", "mkv", "ffv1", "gray16le"),
        ("yuv420p", "webm", "vp9", "yuv420p"),
        ("yuv411p", "webm", "vp9", "yuv422p"),
        ("gray", "webm", "vp9", "yuv420p"),
        ("yuv420p10le", "webm", "av1", "yuv420p10le"),
    ],
)
def test_the_encoder_holds_the_source(
    pixel_format: str, suffix: str, codec: str, stored: str, tiny_model: str, tmp_path: Path
) -> None:
    make_video(tmp_path / "in.mkv", [scene_frame(pixel_format, size=(64, 64))], codec="ffv1")
    report = upscale(tmp_path / "in.mkv", tmp_path / f"out.{suffix}", tiny_model)
    with av.open(tmp_path / f"out.{suffix}") as output:
        assert output.streams.video[0].codec_context.codec.canonical_name == codec
    (after,) = read_with_av(tmp_path / f"out.{suffix}").pictures
    assert after.format.name == stored
    usual = {"webm": "libvpx-vp9"}.get(suffix, "libx264")
    assert report.encoder.endswith(f", {stored}")
    warned = [sentence for sentence in report.warnings if f"{usual} cannot hold {pixel_format}" in sentence]
    assert len(warned) == ((codec, stored) not in {("h264", pixel_format), ("vp9", pixel_format)})


def test_colours_survive_another_subsampling(tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "in.mkv", [scene_frame("yuv411p", size=(64, 64))], codec="ffv1")
    upscale(tmp_path / "in.mkv", tmp_path / "same.mkv", tiny_model, codec="ffv1")
    upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model)
    (same,), (after,) = (read_with_av(tmp_path / name).pictures for name in ("same.mkv", "out.mkv"))
    assert same.format.name == "yuv411p"
    for before, now in zip(same.to_rgb().planes, after.to_rgb().planes, strict=True):
        assert np.abs(np.asarray(before, dtype=float) - np.asarray(now, dtype=float)).mean() < 4


@pytest.mark.parametrize(("suffix", "stored"), [("mkv", "yuva444p"), ("mov", "yuva444p12le"), ("webm", "yuva420p")])
def test_alpha_survives(suffix: str, stored: str, tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "in.mov", [with_alpha()], codec="png")
    report = upscale(tmp_path / "in.mov", tmp_path / f"out.{suffix}", tiny_model)
    assert any("it is encoded as" in sentence for sentence in report.warnings)
    with av.open(tmp_path / f"out.{suffix}") as container:
        context = container.streams.video[0].codec_context
        if suffix == "webm":  # FFmpeg's own decoder of VP9 passes over alpha
            context = av.CodecContext.create("libvpx-vp9", "r")
        (packet, *_) = container.demux(video=0)
        (frame, *_) = [*context.decode(packet), *context.decode(None)]
    assert frame.format.name == stored
    alpha = frame.to_ndarray(format="rgba")[64, :, 3]
    assert np.abs(alpha.astype(float) - np.linspace(0, 255, 128)).max() < 10


@pytest.mark.parametrize(("container", "name"), [("mov", "gray16le"), ("mpegts", "yuva420p"), ("webm", "yuv422p10le")])
def test_what_no_encoder_holds_is_refused(container: str, name: str) -> None:
    with pytest.raises(TargetError, match=f"^{container} cannot hold {name}; use .mkv$"):
        choose_encoder(EncodeSettings(), container, name)


def test_crf_and_preset_are_for_the_encoders_that_have_them() -> None:
    encode = EncodeSettings(crf=20, preset="slow")
    deep = choose_encoder(encode, "mp4", "yuv420p12le")
    assert deep.encode == EncodeSettings(codec="libx265", crf=20, preset="slow")
    transparent = choose_encoder(encode, "matroska", "yuva420p")
    assert transparent.encode == EncodeSettings(codec="ffv1")
    assert "ffv1 takes no such --crf, --bitrate or --preset" in transparent.why


@pytest.mark.parametrize("bits", [9, 10, 12])
def test_luma_beyond_its_depth_is_clipped(bits: int) -> None:
    """Bicubic interpolation of a plane of 16 bits overshoots the depth at edges."""
    frame = scene_frames(1, f"yuv420p{bits}le", size=(32, 32))[0]
    plane = samples(frame)[0]
    plane[:] = 0
    plane[:, 16:] = (1 << bits) - 1
    luma = upscale_bicubic(plane.astype(np.uint16), 2)
    assert luma.max() >= 1 << bits
    merged = samples(LumaMerger().merge(frame, luma))[0]
    assert np.array_equal(merged, np.minimum(luma, (1 << bits) - 1))


SCHEDULED = """
import os, sys
from pathlib import Path
from vidsr.media.encoders import FrameFormat, check_encoder
from vidsr.pipeline import upscale
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
codec, source, target, model = sys.argv[1:]
policies = lambda: {os.sched_getscheduler(int(tid)) for tid in os.listdir("/proc/self/task")}
check_encoder(EncodeSettings(codec=codec), FrameFormat(width=128, height=96, pixel_format="yuv420p"), {})
during = []
upscale(
    source, target, settings=UpscaleSettings(model=model), encode=EncodeSettings(codec=codec),
    pool=PoolSettings(workers=0), on_progress=lambda *done: during.append(policies()),
)
assert {os.SCHED_OTHER} == policies() == set().union(*during), (policies(), during)
"""


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_no_encoder_makes_threads_that_nothing_else_runs_beside(codec: str, tiny_model: str, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", scene_frames(5, size=(128, 96)))
    command = [sys.executable, "-c", SCHEDULED, codec, str(source), str(tmp_path / "out.mkv"), tiny_model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
