"""Transparency: VP8 and VP9 have it beside the frames, in Matroska and WebM."""

from pathlib import Path

import av
import numpy as np
import pytest
from footage import SMALL, make_video, scene_frames, upscale
from oracles import samples

from vidsr.media.reader import Reader

WIDTH, HEIGHT = SMALL


def transparent_frames(count: int, *, begin: int = 0) -> list[av.VideoFrame]:
    """Frames whose left half is transparent from frame `begin` on."""
    frames = scene_frames(count, "yuva420p")
    for number, frame in enumerate(frames):
        alpha = samples(frame)[3]
        alpha[:] = 255
        if number >= begin:
            alpha[:, : WIDTH // 2] = 0
    return frames


def with_alpha(path: Path, codec: str) -> Path:
    return make_video(
        path, transparent_frames(4), codec=codec, options={"auto-alt-ref": "0", "crf": "10"}, tags={"alpha_mode": "1"}
    )


def alpha_of(path: Path) -> np.ndarray:
    """The alpha of the first frame."""
    with Reader(path) as reader:
        return samples(reader.first.av_frame)[3].copy()


def alpha_mode(path: Path) -> str | None:
    with av.open(path) as container:
        tags = container.streams.video[0].metadata
        return {name.lower(): value for name, value in tags.items()}.get("alpha_mode")


@pytest.mark.parametrize("source", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize(("suffix", "codec", "mode"), [("mkv", "ffv1", None), ("webm", "libvpx-vp9", "1")])
def test_the_alpha_of_vp8_and_vp9_is_enlarged(
    source: str, suffix: str, codec: str, mode: str | None, tiny_model: str, tmp_path: Path
) -> None:
    report = upscale(with_alpha(tmp_path / "in.webm", source), tmp_path / f"out.{suffix}", tiny_model, codec=codec)
    assert (report.frames_written, report.left_out, report.damage) == (4, [], [])
    alpha = alpha_of(tmp_path / f"out.{suffix}")
    assert alpha.shape == (2 * HEIGHT, 2 * WIDTH)
    assert alpha[:, : WIDTH - 4].max() < 20
    assert alpha[:, WIDTH + 4 :].min() > 235
    assert alpha_mode(tmp_path / f"out.{suffix}") == mode


def test_a_container_without_the_alpha_of_vp9_is_reported(tiny_model: str, tmp_path: Path) -> None:
    source = with_alpha(tmp_path / "in.webm", "libvpx-vp9")
    report = upscale(source, tmp_path / "out.mp4", tiny_model, codec="libvpx-vp9")
    assert report.left_out == ["transparency of VP8 and VP9"]
    assert alpha_mode(tmp_path / "out.mp4") is None


def test_an_alpha_that_begins_later_is_reported(tiny_model: str, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", transparent_frames(5, begin=2), codec="ffv1")
    report = upscale(source, tmp_path / "out.mkv", tiny_model)
    assert report.warnings == ["3 frames lose their transparency, because the first one has none"]
    opaque = make_video(tmp_path / "opaque.mkv", transparent_frames(3, begin=9), codec="ffv1")
    assert upscale(opaque, tmp_path / "opaque2.mkv", tiny_model).warnings == []
