"""FFmpeg's filter graph as a generator stage: whole pictures from fields, pictures turned upright, tags set right."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
from av import VideoFrame
from av.filter import Graph

Filter = tuple[str, str]
"""The name and the arguments of one."""

DEINTERLACE: Filter = ("bwdif", "mode=send_frame")  # one picture a frame: as many frames out as in
CHROMA_LEFT: Filter = ("setparams", "chroma_location=left")


def filtered(pictures: Iterable[VideoFrame], filters: tuple[Filter, ...], time_base: Fraction) -> Iterator[VideoFrame]:
    """The pictures after the filters; a picture of another size or format gets a new graph."""
    graph, shape = None, None
    for picture in pictures:
        now = (picture.width, picture.height, picture.format.name)
        if graph is None or now != shape:
            if graph is not None:
                yield from _drained(graph)
            graph, shape = _graph(picture, filters, time_base), now
        graph.vpush(picture)
        yield from _ready(graph)
    if graph is not None:
        yield from _drained(graph)


class Standing:
    """A filter that gives a picture for a picture, all of one form, and keeps its graph between them."""

    def __init__(self, step: Filter) -> None:
        self._step = step
        self._graph: Graph | None = None

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        """The picture after the filter, at the same time."""
        if self._graph is None:
            self._graph = _graph(picture, (self._step,), picture.time_base or Fraction(1))
        self._graph.vpush(picture)
        result = self._graph.vpull()
        if picture.time_base:  # which PyAV lets no picture lose; the graph's is that of its first
            result.pts, result.time_base = picture.pts, picture.time_base
        return result


def cropped(picture: VideoFrame, size: tuple[int, int]) -> VideoFrame:
    """The upper left part of the picture, (width, height), in the same memory."""
    crop = ("crop", "{}:{}:0:0:exact=1".format(*size))
    return next(filtered([picture], (crop,), picture.time_base or Fraction(1)))


def _graph(picture: VideoFrame, filters: tuple[Filter, ...], time_base: Fraction) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(width=picture.width, height=picture.height, format=picture.format, time_base=time_base)
    steps = (*filters, ("settb", f"expr={time_base}"))  # deinterlacing halves the ticks
    nodes = [graph.add(name, arguments or None) for name, arguments in steps]
    graph.link_nodes(source, *nodes, graph.add("buffersink")).configure()
    return graph


def _drained(graph: Graph) -> Iterator[VideoFrame]:
    graph.vpush(None)
    yield from _ready(graph)


def _ready(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
