"""FFmpeg filter graphs as generator stages: deinterlacing, rotation, cropping, tags."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
from av import VideoFrame
from av.filter import Graph

Filter = tuple[str, str]
"""Name and arguments of a filter."""

DEINTERLACE: Filter = ("bwdif", "mode=send_frame")  # one output frame per input frame
CHROMA_LEFT: Filter = ("setparams", "chroma_location=left")
UNPREMULTIPLY: tuple[Filter, ...] = (("setparams", "alpha_mode=premultiplied"), ("unpremultiply", "inplace=1"))
"""The filters that divide the colours by the alpha, which FFmpeg's decoders of images take for straight."""
UNTAGGED_CHROMA = {"vp8", "vp9", "av1", "prores", "dnxhd"}
"""Codecs without a chroma location tag: the location is left, but swscale would assume centre."""


def filter_frames(
    frames: Iterable[VideoFrame], filters: tuple[Filter, ...], time_base: Fraction
) -> Iterator[VideoFrame]:
    """The frames after the filters; a change of size or pixel format starts a new graph."""
    graph, shape = None, None
    for frame in frames:
        current = (frame.width, frame.height, frame.format.name)
        if graph is None or current != shape:
            if graph is not None:
                yield from _flush(graph)
            graph, shape = _graph(frame, filters, time_base), current
        graph.vpush(frame)
        yield from _pull(graph)
    if graph is not None:
        yield from _flush(graph)


class PersistentFilter:
    """A filter with one output frame per input frame, which keeps its graph; all frames have one size and format."""

    def __init__(self, step: Filter) -> None:
        self._step = step
        self._graph: Graph | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame after the filter, with the same time stamp."""
        if self._graph is None:
            self._graph = _graph(frame, (self._step,), frame.time_base or Fraction(1))
        self._graph.vpush(frame)
        result = self._graph.vpull()
        if frame.time_base:  # the graph has the time base of its first frame; PyAV cannot unset one
            result.pts, result.time_base = frame.pts, frame.time_base
        return result


def crop(frame: VideoFrame, size: tuple[int, int]) -> VideoFrame:
    """The upper left part of the frame, `size` is (width, height), in the same memory."""
    step = ("crop", "{}:{}:0:0:exact=1".format(*size))
    return next(filter_frames([frame], (step,), frame.time_base or Fraction(1)))


def _graph(frame: VideoFrame, filters: tuple[Filter, ...], time_base: Fraction) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)
    steps = (*filters, ("settb", f"expr={time_base}"))  # deinterlacing halves the ticks
    nodes = [graph.add(name, arguments or None) for name, arguments in steps]
    graph.link_nodes(source, *nodes, graph.add("buffersink")).configure()
    return graph


def _flush(graph: Graph) -> Iterator[VideoFrame]:
    graph.vpush(None)
    yield from _pull(graph)


def _pull(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
