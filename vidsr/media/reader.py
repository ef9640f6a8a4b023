"""Reading: the frames of a file in the order they are shown, with the packets of its other streams."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import av
from av import VideoFrame
from av.stream import Disposition
from av.video.stream import VideoStream

from vidsr.errors import SourceError
from vidsr.media.compression_probe import EXPORT, Compression, compression
from vidsr.media.display_matrix import display_matrix, lies_on_its_side, upright_filters
from vidsr.media.filters import CHROMA_LEFT, DEINTERLACE, Filter, filtered
from vidsr.media.formats import luma_of
from vidsr.media.frame import Frame, SidePacket
from vidsr.media.open_input import is_still, open_source
from vidsr.media.pixel_format_converter import WorkingForm
from vidsr.media.probe import codec_name, described, first_video, frame_rate, streams_beside
from vidsr.media.timestamps import Timeline
from vidsr.media.trim import Span

if TYPE_CHECKING:
    from av.container.core import Chapter  # there for type checkers alone

_EARLY_S = 1  # a file may end so long before it says without being cut off
_INDEXED = ("mov", "matroska")
"""Formats that can be sought exactly; others miss the key frame, and are read from their beginning."""
_IN_PARTS = ("mpegts", "mpeg")
"""Formats whose time stamps may begin anew on the way: where a broadcast was cut, or discs laid together."""
_UNSITED = {"vp8", "vp9", "av1", "prores", "dnxhd"}
"""Codecs that do not say where chroma lies: on the left, as everywhere, where swscale would take it for centred."""


class Reader:
    """The first real video of a file, as an iterable of `Frame`, once; closed by `with`.

    Frames keep the source's time stamps; with a `start_s` above 0 they count from there. `start_s` and `end_s` count
    from the first picture. `upright` turns them as their display matrix says; `deinterlace` makes whole pictures of
    fields.
    Raises SourceError when there is no video to read or its pictures are larger than `max_megapixels`. Damage
    further on ends in numbers, not in an exception: `concealed` counts what the decoder had to guess or drop,
    `repaired` the pictures without a usable time, `packets` the video packets that were there, and `broken_off`
    says why reading ended early.
    """

    def __init__(
        self,
        path: Path,
        *,
        start_s: float | None = None,
        end_s: float | None = None,
        upright: bool = False,
        deinterlace: bool = False,
        max_megapixels: float = 64.0,
    ) -> None:
        self.path = path
        self.concealed = 0
        self.packets = 0
        self._first_bytes = 0
        self._compression: Compression | None = None
        self.broken_off: str | None = None
        self._container = open_source(path)
        try:
            self.video = self._chosen()
            self._limit(max_megapixels)
            self.others = streams_beside(self._container, self.video)
            self.time_base = self.video.time_base or Fraction(1, av.time_base)
            self._span = self._cut(start_s or None, end_s)  # a start of 0 cuts nothing off, nor does it move the times
            self._packets: list[SidePacket] = []
            name = self._container.format.name
            self._timeline = Timeline(in_parts=name in _IN_PARTS, by_dts=name == "avi")
            self._frames = self._opened(upright, deinterlace)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    @property
    def repaired(self) -> int:
        """How many pictures had no time of their own, or one that was taken."""
        return self._timeline.repaired

    @property
    def start_pts(self) -> int:
        """The pts, in `time_base`, from which the frames' time is counted: the first one's, 0 behind a `start_s`."""
        return (self.video.start_time or 0) if self._span.start is None else 0

    @property
    def metadata(self) -> dict[str, str]:
        """The tags of the file."""
        return dict(self._container.metadata)

    def chapters(self) -> "list[Chapter]":
        """The chapters, on the time line of the frames; those that are cut away entirely are left out."""
        return [moved for chapter in self._container.chapters() if (moved := self._span.moved(chapter))]

    def leftover(self) -> tuple[SidePacket, ...]:
        """The packets behind the last frame, once all frames are read."""
        packets, self._packets = tuple(self._packets), []
        return packets

    def _chosen(self) -> VideoStream:
        if (video := first_video(self._container)) is None:
            raise SourceError(f"{self.path}: holds no video")
        return video

    def _limit(self, max_megapixels: float) -> None:
        context = self.video.codec_context
        if context.width * context.height > max_megapixels * 1e6:
            size = f"{context.width}x{context.height}"
            raise SourceError(f"{self.path}: {size} is above {max_megapixels:g} megapixels (see --max-megapixels)")
        most = int(max_megapixels * 1e6) + 64 * context.height  # FFmpeg counts rows in whole steps of 64 pixels
        context.options = {"max_pixels": str(most), **EXPORT}  # holds for later sizes too
        context.thread_type = "AUTO"

    def _cut(self, start_s: float | None, end_s: float | None) -> Span:
        """The span in whole ticks of the video, so that a frame at the start is in however its time is rounded."""
        first = self.video.start_time or 0

        def at(seconds: float | None) -> Fraction | None:
            return None if seconds is None else (first + round(seconds / self.time_base)) * self.time_base

        return Span(start=at(start_s), end=at(end_s))

    def _opened(self, upright: bool, deinterlace: bool) -> Iterator[Frame]:
        """All frames; the first one is decoded at once, for what it alone can tell."""
        start = self._span.start
        if start is not None and self._container.format.name.startswith(_INDEXED):
            self._container.seek(round(start / self.time_base), stream=self.video)
        pictures = self._within(self._decoded())
        first = next(pictures, None)
        if first is None:
            size = "" if self.video.codec_context.width else ": it is damaged, or far too large"
            raise SourceError(f"{self.path}: no picture can be decoded" + (size or (" there" if start else "")))
        assert self._compression  # there since the first picture
        matrix = display_matrix(first)
        turn = upright_filters(matrix) if matrix and upright else ()
        try:
            self._form = WorkingForm(first, still=is_still(self._container))
        except ValueError as error:
            raise SourceError(f"{self.path}: pixel format {first.format.name} is not supported") from error
        pictures = chain([first], pictures)
        if filters := self._filters(turn, deinterlace):
            pictures = filtered(pictures, filters, self.time_base)
        frames = map(self._frame, pictures)
        self.first = next(frames)
        self.info = described(
            self.path,
            self._container,
            self.video,
            stored=first,
            worked=self.first.picture,
            matrix=None if turn else matrix,
            on_its_side=bool(matrix and turn and lies_on_its_side(matrix)),
            interlaced=first.interlaced_frame and not deinterlace,
            compression=self._compression,
        )
        return chain([self.first], frames)

    def _filters(self, turn: tuple[Filter, ...], deinterlace: bool) -> tuple[Filter, ...]:
        unsited = codec_name(self.video) in _UNSITED
        return (CHROMA_LEFT,) * unsited + (DEINTERLACE,) * deinterlace + turn

    def _decoded(self) -> Iterator[VideoFrame]:
        """Every picture the decoder gives; other streams' packets are laid aside on the way."""
        try:
            for packet in self._demuxed():
                if packet.size:
                    self._timeline.place(packet)
                if packet.stream is not self.video:
                    self._lay_aside(packet)
                elif self._span.is_over(packet):
                    break
                elif packet.size or packet.dts is None:  # Theora's empty ones repeat a picture
                    self.packets += packet.size > 0
                    self._first_bytes = self._first_bytes or packet.size
                    yield from self._pictures(packet)
            else:
                self._notice_early_end()
            yield from self._pictures(None)
        except av.FFmpegError as error:
            self.broken_off = f"reading ended early: {error.strerror}"

    def _demuxed(self) -> Iterator[SidePacket]:
        try:
            yield from self._container.demux()
        except IndexError:  # PyAV 18.1 ends so behind a stream that appeared on the way
            return

    def _notice_early_end(self) -> None:
        """Matroska says how long it should last, and is read to wherever it was cut off without a word."""
        lasts, end = (self._container.duration or 0) / av.time_base, float(self._timeline.end)
        if self._container.format.name.startswith("matroska") and end < lasts - _EARLY_S:
            self.broken_off = f"reading ended early: the file should last {lasts:.1f} s, not {end:.1f}"

    def _pictures(self, packet: "SidePacket | None") -> list[VideoFrame]:
        """What the decoder makes of a packet, or has left when there is none; a damaged one is counted."""
        try:
            pictures = self.video.decode(packet)
        except av.EOFError:  # it has been emptied
            return []
        except av.FFmpegError:
            self.concealed += 1
            return []
        if pictures and self._compression is None:
            self._compression = compression(self.video, pictures[0], self._first_bytes)
        return pictures

    def _within(self, pictures: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """The pictures between start and end, on the new time line."""
        rate = frame_rate(self.video)
        step = round(1 / (rate * self.time_base)) if rate else 1
        for picture in pictures:
            pts = self._timeline.date(picture, step)
            if self._span.holds(pts * self.time_base):
                self.concealed += picture.is_corrupt
                picture.pts = pts - round(self._span.shift / self.time_base)
                yield picture

    def _lay_aside(self, packet: SidePacket) -> None:
        if not packet.size:
            return
        if packet.stream.disposition & Disposition.attached_pic:
            packet.pts = packet.dts = 0  # it belongs to no moment
        elif not self._span.takes(packet):
            return
        self._packets.append(packet)

    def _frame(self, picture: VideoFrame) -> Frame:
        worked = self._form(picture)
        return Frame(picture=worked, luma=luma_of(worked), packets=self.leftover())
