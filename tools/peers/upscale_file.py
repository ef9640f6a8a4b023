"""Upscale a file with one backend: vidsr's pipeline, or the loop that a user of the backend would write.

Run as a program it prints the number of frames written, and the steady frames per second.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.filter import Graph
from av.video.stream import VideoStream

from peers.backends import PREFIX, SCALE, Backend, BackendOptions, model_and_precision, open_backend
from vidsr import EncodeSettings, PoolSettings, UpscaleSettings, upscale
from vidsr.media.encoders import encoder_options
from vidsr.media.formats import luma_of

FrameUpscaler = Callable[[VideoFrame], VideoFrame]


def run_vidsr(key: str, clip: Path, target: Path, encode: EncodeSettings) -> list[float]:
    """The times at which frames went to the encoder."""
    model, precision = model_and_precision(key)
    times: list[float] = []
    upscale(
        clip,
        target,
        settings=UpscaleSettings(model=model, scale=SCALE),
        encode=encode,
        pool=PoolSettings(precision=precision),
        on_progress=lambda done, total: times.append(time.perf_counter()),
    )
    return times


def run_loop(upscale_frame: FrameUpscaler, clip: Path, target: Path, encode: EncodeSettings) -> list[float]:
    """Decode, upscale, encode, frame by frame; the times at which frames went to the encoder."""
    times: list[float] = []
    with av.open(clip) as source, av.open(target, "w") as output:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        stream = _stream(output, video, encode)
        for frame in source.decode(video):
            upscaled = upscale_frame(frame)
            upscaled.pts, upscaled.time_base = frame.pts, frame.time_base
            output.mux(stream.encode(upscaled))
            times.append(time.perf_counter())
        output.mux(stream.encode(None))
    return times


def _stream(output: av.container.OutputContainer, video: VideoStream, encode: EncodeSettings) -> VideoStream:
    stream = output.add_stream(encode.encoder, rate=video.average_rate, options=encoder_options(encode))
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = video.width * SCALE, video.height * SCALE, "yuv420p"
    stream.codec_context.time_base = video.time_base
    return stream


def frame_upscaler(backend: Backend) -> FrameUpscaler:
    """Colour backends receive BGR; for luma backends swscale upscales the chroma."""
    return partial(_upscale_bgr if backend.colour else _upscale_luma, backend)


def _upscale_bgr(backend: Backend, frame: VideoFrame) -> VideoFrame:
    return VideoFrame.from_ndarray(backend.upscale(frame.to_ndarray(format="bgr24")), format="bgr24")


def _upscale_luma(backend: Backend, frame: VideoFrame) -> VideoFrame:
    yuv = frame.reformat(format="yuv420p")
    upscaled = yuv.reformat(width=frame.width * SCALE, height=frame.height * SCALE)
    luma_of(upscaled)[:] = backend.upscale(np.ascontiguousarray(luma_of(yuv)))
    return upscaled


def lanczos_filter(clip: Path) -> FrameUpscaler:
    """FFmpeg's scale filter with flags=lanczos."""
    graph = Graph()
    with av.open(clip) as source:
        first = graph.add_buffer(template=source.streams.video[0])
    scale = graph.add("scale", f"iw*{SCALE}:ih*{SCALE}:flags=lanczos")
    last = graph.add("buffersink")
    first.link_to(scale)
    scale.link_to(last)
    graph.configure()

    def upscale_frame(frame: VideoFrame) -> VideoFrame:
        graph.push(frame)
        return graph.pull()

    return upscale_frame


def steady_fps(times: list[float]) -> float:
    """Frames per second over the middle half, when the pipeline is full."""
    steady = times[len(times) // 4 : -(len(times) // 4)]
    return (len(steady) - 1) / (steady[-1] - steady[0])


def main() -> None:
    """Run one backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("backend", "model"):
        parser.add_argument(name)
    for name in ("clip", "target", "weights"):
        parser.add_argument(name, type=Path)
    for name in ("threads", "crf"):
        parser.add_argument(name, type=int)
    args = parser.parse_args()
    encode = EncodeSettings(preset="veryfast", crf=args.crf)
    if args.backend.startswith(PREFIX):
        times = run_vidsr(args.backend, args.clip, args.target, encode)
    elif args.backend == "lanczos":
        times = run_loop(lanczos_filter(args.clip), args.clip, args.target, encode)
    else:
        options = BackendOptions(model=args.model, threads=args.threads, weights=args.weights)
        backend = open_backend(args.backend, options)
        times = run_loop(frame_upscaler(backend), args.clip, args.target, encode)
    print(json.dumps({"frames": len(times), "steady_fps": steady_fps(times)}))


if __name__ == "__main__":
    main()
