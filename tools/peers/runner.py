"""A whole command, a file in and a file out: vidsr's, and the loop that a user of a peer would write.

Run as a program, in a process of its own, it prints how many frames it wrote, and how many a second half-way.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.filter import Graph
from av.video.stream import VideoStream

from peers.backends import PREFIX, SCALE, Setting, Way, network, open_way
from vidsr import EncodeSettings, PoolSettings, UpscaleSettings, upscale
from vidsr.media.encoders import encoder_options
from vidsr.media.formats import luma_of

Larger = Callable[[VideoFrame], VideoFrame]


def by_vidsr(key: str, clip: Path, target: Path, encode: EncodeSettings) -> list[float]:
    """When each frame was given to the encoder."""
    model, precision = network(key)
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


def by_loop(larger: Larger, clip: Path, target: Path, encode: EncodeSettings) -> list[float]:
    """When each frame was given to the encoder: decode, enlarge, encode, one frame after the other."""
    times: list[float] = []
    with av.open(clip) as source, av.open(target, "w") as output:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        stream = _stream(output, video, encode)
        for frame in source.decode(video):
            large = larger(frame)
            large.pts, large.time_base = frame.pts, frame.time_base
            output.mux(stream.encode(large))
            times.append(time.perf_counter())
        output.mux(stream.encode(None))
    return times


def _stream(output: av.container.OutputContainer, video: VideoStream, encode: EncodeSettings) -> VideoStream:
    stream = output.add_stream(encode.codec, rate=video.average_rate, options=encoder_options(encode, {}))
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = video.width * SCALE, video.height * SCALE, "yuv420p"
    stream.codec_context.time_base = video.time_base
    return stream


def frame_by(way: Way) -> Larger:
    """What takes colours gets BGR; to what takes luma alone, swscale adds the chroma."""
    return (lambda frame: _of_colours(frame, way)) if way.colour else (lambda frame: _of_luma(frame, way))


def _of_colours(frame: VideoFrame, way: Way) -> VideoFrame:
    return VideoFrame.from_ndarray(way.enlarge(frame.to_ndarray(format="bgr24")), format="bgr24")


def _of_luma(frame: VideoFrame, way: Way) -> VideoFrame:
    plain = frame.reformat(format="yuv420p")
    large = plain.reformat(width=frame.width * SCALE, height=frame.height * SCALE)
    luma_of(large)[:] = way.enlarge(np.ascontiguousarray(luma_of(plain)))
    return large


def lanczos_filter(clip: Path) -> Larger:
    """FFmpeg's scale filter with flags=lanczos."""
    graph = Graph()
    with av.open(clip) as source:
        first = graph.add_buffer(template=source.streams.video[0])
    scale = graph.add("scale", f"iw*{SCALE}:ih*{SCALE}:flags=lanczos")
    last = graph.add("buffersink")
    first.link_to(scale)
    scale.link_to(last)
    graph.configure()

    def larger(frame: VideoFrame) -> VideoFrame:
        graph.push(frame)
        return graph.pull()

    return larger


def half_way(times: list[float]) -> float:
    """Frames a second over the middle half, when pipes are full and not yet drained."""
    steady = times[len(times) // 4 : -(len(times) // 4)]
    return (len(steady) - 1) / (steady[-1] - steady[0])


def main() -> None:
    """Do the work of one way."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("way", "model"):
        parser.add_argument(name)
    for name in ("clip", "target", "weights"):
        parser.add_argument(name, type=Path)
    for name in ("threads", "crf"):
        parser.add_argument(name, type=int)
    args = parser.parse_args()
    encode = EncodeSettings(preset="veryfast", crf=args.crf)
    if args.way.startswith(PREFIX):
        times = by_vidsr(args.way, args.clip, args.target, encode)
    elif args.way == "lanczos":
        times = by_loop(lanczos_filter(args.clip), args.clip, args.target, encode)
    else:
        way = open_way(args.way, Setting(model=args.model, threads=args.threads, weights=args.weights))
        times = by_loop(frame_by(way), args.clip, args.target, encode)
    print(json.dumps({"frames": len(times), "steady_fps": half_way(times)}))


if __name__ == "__main__":
    main()
