"""Videos with one property each, for the tests of media, and their upscaling with a small network."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
from made import TIME_BASE, scene

import vidsr
from vidsr.report import Report
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

SMALL = (32, 24)
LOSSLESS = {"ffv1": {}, "libx264": {"crf": "0"}, "libx265": {"x265-params": "lossless=1:log-level=none"}}


def scene_frame(pixel_format: str = "yuv420p", *, index: int = 0, size: tuple[int, int] = SMALL) -> av.VideoFrame:
    """Frame `index` of the scene in a pixel format."""
    return av.VideoFrame.from_ndarray(scene(index, size), format="rgb24").reformat(format=pixel_format, threads=1)


def scene_frames(count: int, pixel_format: str = "yuv420p", *, size: tuple[int, int] = SMALL) -> list[av.VideoFrame]:
    """The first frames of the scene."""
    return [scene_frame(pixel_format, index=index, size=size) for index in range(count)]


def make_video(
    path: Path,
    frames: Iterable[av.VideoFrame],
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pts: list[int] | None = None,
    time_base: Fraction = TIME_BASE,
    muxer: dict[str, str] | None = None,
    matrix: tuple[int, ...] | None = None,
    tags: dict[str, str] | None = None,
    **context: object,
) -> Path:
    """A video of the frames, 30 per second without `pts`; `context` sets attributes of the encoder."""
    frames = list(frames)
    step = round(1 / (30 * time_base))
    options = dict(options or {})
    if codec == "libx265":  # for one or two frames with B-frames its dts are arbitrary
        options["x265-params"] = options.get("x265-params", "log-level=none") + ":bframes=0"
    with av.open(path, "w", container_options=muxer or {}) as output:
        video = output.add_stream(codec, rate=30, options=options)
        video.width, video.height, video.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        video.codec_context.time_base = time_base
        video.set_display_matrix(matrix)
        video.metadata.update(tags or {})
        for name, value in context.items():
            setattr(video.codec_context, name, value)
        for frame, time in zip(frames, pts or [step * i for i in range(len(frames))], strict=True):
            frame.pts, frame.time_base = time, time_base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


def upscale(source: Path, target: Path, model: str, *, codec: str | None = None, **settings: object) -> Report:
    """`vidsr.upscale` without Ray; lossless with `codec`, else fast."""
    encode = EncodeSettings(preset="ultrafast") if codec is None else EncodeSettings(codec=codec)
    if codec in ("libx264", "libx265"):
        encode = EncodeSettings(codec=codec, crf=0, preset="ultrafast")
    return vidsr.upscale(
        source,
        target,
        settings=UpscaleSettings(model=model, **settings),
        encode=encode,
        pool=PoolSettings(workers=0, threads=1),
    )
