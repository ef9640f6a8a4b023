"""Reading: the frames of a file in the order they are shown, with the packets of its other streams."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import av
from av import Packet, VideoFrame
from av.stream import Disposition, Stream
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from vidsr.errors import SourceError
from vidsr.media.filters import DEINTERLACE, filtered
from vidsr.media.formats import depth_of, has_alpha, is_rgb, luma_of, working_format
from vidsr.media.frame import Frame, StreamInfo, VideoInfo
from vidsr.media.opening import is_still, open_source
from vidsr.media.turning import display_matrix, upright_filters

if TYPE_CHECKING:
    from av.container.core import Chapter  # there for type checkers alone

_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_SLACK_S = 1.0  # streams are interleaved about this closely: how far past the end their packets are looked for


class Reader:
    """The first real video of a file, as an iterable of `Frame`, once; closed by `with`.

    Frames keep the source's time stamps, less `start_s` when there is one. `upright` turns them as their display
    matrix says; `deinterlace` makes whole pictures of fields. Raises SourceError when there is no video to read or
    its pictures are larger than `max_megapixels`. Damage further on ends in numbers, not in an exception:
    `concealed` counts what the decoder had to guess or drop, `repaired` the pictures without a usable time,
    `packets` the video packets that were there, and `broken_off` says why reading ended early.
    """

    def __init__(
        self,
        path: Path,
        *,
        start_s: float | None = None,
        end_s: float | None = None,
        upright: Callable[[tuple[int, ...]], bool] = lambda matrix: False,
        deinterlace: bool = False,
        max_megapixels: float = 64.0,
    ) -> None:
        self.path = path
        self.concealed = 0
        self.repaired = 0
        self.packets = 0
        self.broken_off: str | None = None
        self._container = open_source(path)
        try:
            self._video = self._chosen()
            self._limit(max_megapixels)
            self.others = [stream for stream in self._container.streams if stream is not self._video]
            begin_s = (self._container.start_time or 0) / av.time_base
            self._start = None if start_s is None else begin_s + start_s
            self._end = None if end_s is None else begin_s + end_s
            self._packets: list[Packet] = []
            self._reformatter = VideoReformatter()
            self._last_pts: int | None = None
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
    def shift_s(self) -> float:
        """What is taken off every time stamp."""
        return self._start or 0.0

    @property
    def metadata(self) -> dict[str, str]:
        """The tags of the file."""
        return dict(self._container.metadata)

    @property
    def video(self) -> VideoStream:
        """The stream that is read."""
        return self._video

    def chapters(self) -> "list[Chapter]":
        """The chapters, on the time line of the frames; those that are cut away entirely are left out."""
        return [moved for chapter in self._container.chapters() if (moved := self._moved(chapter))]

    def leftover(self) -> tuple[Packet, ...]:
        """The packets behind the last frame, once all frames are read."""
        packets, self._packets = tuple(self._packets), []
        return packets

    def _chosen(self) -> VideoStream:
        for stream in self._container.streams.video:
            if not stream.disposition & _NO_VIDEO and stream.codec_context is not None:
                return stream
        raise SourceError(f"{self.path}: holds no video")

    def _limit(self, max_megapixels: float) -> None:
        context = self._video.codec_context
        if context.width * context.height > max_megapixels * 1e6:
            size = f"{context.width}x{context.height}"
            raise SourceError(f"{self.path}: {size} is above {max_megapixels:g} megapixels (see --max-megapixels)")
        context.options = {"max_pixels": str(int(max_megapixels * 1e6))}  # holds for later sizes too
        context.thread_type = "AUTO"

    def _opened(self, upright: Callable[[tuple[int, ...]], bool], deinterlace: bool) -> Iterator[Frame]:
        """All frames; the first one is decoded at once, for what it alone can tell."""
        if self._start is not None:
            self._container.seek(int(self._start * av.time_base))
        pictures = self._within(self._decoded())
        first = next(pictures, None)
        if first is None:
            raise SourceError(f"{self.path}: no picture can be decoded" + ("" if self._start is None else " there"))
        matrix = display_matrix(first)
        turn = upright_filters(matrix) if matrix and upright(matrix) else ()
        self._still = is_still(self._container)
        self._alpha = has_alpha(first.format.name) and not _opaque(first)
        try:
            self._format = working_format(first.format.name, alpha=self._alpha)
        except ValueError as error:
            raise SourceError(f"{self.path}: pixel format {first.format.name} is not supported") from error
        interlaced = first.interlaced_frame
        pictures = chain([first], pictures)
        filters = ((DEINTERLACE,) if deinterlace else ()) + turn
        if filters:
            assert self._video.time_base
            pictures = filtered(pictures, filters, self._video.time_base)
        frames = map(self._frame, pictures)
        head = next(frames)
        self.info = self._described(first, head.picture, None if turn else matrix, interlaced and not deinterlace)
        self.first = head
        return chain([head], frames)

    def _decoded(self) -> Iterator[VideoFrame]:
        """Every picture the decoder gives; other streams' packets are laid aside on the way."""
        try:
            for packet in self._container.demux():
                if packet.stream is not self._video:
                    self._lay_aside(packet)
                elif not self._past_end(packet):
                    self.packets += packet.size > 0
                    try:
                        yield from packet.decode()
                    except av.FFmpegError:
                        self.concealed += 1
        except av.FFmpegError as error:
            self.broken_off = f"reading ended early: {error.strerror}"

    def _within(self, pictures: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """The pictures between start and end, on the new time line."""
        base = self._video.time_base
        assert base
        for picture in pictures:
            self._date(picture)
            time = picture.pts * base
            if self._start is not None and time < self._start:
                continue
            if self._end is not None and time >= self._end:
                continue
            self.concealed += picture.is_corrupt
            if self._start is not None:
                picture.pts -= round(self._start / base)
            yield picture

    def _date(self, picture: VideoFrame) -> None:
        """Give every picture a time, and a later one than the picture before."""
        pts, last = picture.pts, self._last_pts
        if pts is None or (last is not None and pts <= last):
            step = picture.duration or self._usual_step()
            pts = 0 if last is None else last + max(1, step if picture.pts is None else 1)
            self.repaired += 1
        picture.pts = self._last_pts = pts

    def _usual_step(self) -> int:
        rate, base = self._video.average_rate, self._video.time_base
        return round(1 / (rate * base)) if rate and base else 1

    def _past_end(self, packet: Packet) -> bool:
        """Whether a video packet, which comes a little before it is shown, is past the end for certain."""
        return (
            self._end is not None and packet.dts is not None and packet.dts * packet.time_base > self._end + _SLACK_S
        )

    def _lay_aside(self, packet: Packet) -> None:
        if not packet.size:
            return
        if packet.dts is None:  # a cover, which belongs to no moment
            packet.pts = packet.dts = 0
        shift = 0
        if self._start is not None or self._end is not None:
            time = packet.dts * packet.time_base
            if time < (self._start or 0) or (self._end is not None and time >= self._end):
                return
            shift = round(self.shift_s / packet.time_base)
        packet.dts -= shift
        if packet.pts is not None:
            packet.pts -= shift
        self._packets.append(packet)

    def _frame(self, picture: VideoFrame) -> Frame:
        """The picture in its working format; one of another format or range than the first is brought to it."""
        full = ColorRange.JPEG if picture.format.name.startswith("yuvj") else None
        space = None
        if is_rgb(picture.format.name):
            # A picture file follows JFIF, a video what players expect.
            full, space = (ColorRange.JPEG, Colorspace.ITU601) if self._still else (ColorRange.MPEG, Colorspace.ITU709)
        picture = self._reformatter.reformat(
            picture,
            format=self._format,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
            dst_colorspace=space,
            dst_color_range=full,
            threads=1,
        )
        packets, self._packets = tuple(self._packets), []
        return Frame(picture=picture, luma=luma_of(picture), packets=packets)

    def _described(
        self, stored: VideoFrame, worked: VideoFrame, matrix: tuple[int, ...] | None, interlaced: bool
    ) -> VideoInfo:
        video, container = self._video, self._container
        return VideoInfo(
            path=self.path,
            container=container.format.name,
            codec=video.codec_context.name,
            width=worked.width,
            height=worked.height,
            pixel_format=stored.format.name,
            working_format=self._format,
            depth=depth_of(self._format),
            rate=video.average_rate or video.guessed_rate or None,
            frames=video.frames,
            duration_s=container.duration / av.time_base if container.duration else None,
            pixel_aspect=_turned(video.sample_aspect_ratio, stored, worked),
            matrix=matrix,
            interlaced=interlaced,
            still=self._still,
            video=_stream_info(video),
            others=tuple(_stream_info(stream) for stream in self.others),
            chapters=len(container.chapters()),
        )

    def _moved(self, chapter: "Chapter") -> "Chapter | None":
        base = chapter["time_base"]
        if not base or (self._start is None and self._end is None):
            return chapter
        start, end = chapter["start"] - round(self.shift_s / base), chapter["end"] - round(self.shift_s / base)
        limit = end if self._end is None else round((self._end - self.shift_s) / base)
        if end <= 0 or start >= limit:
            return None
        return {**chapter, "start": max(0, start), "end": min(end, limit)}


def _opaque(picture: VideoFrame) -> bool:
    """Whether a picture that could be transparent is so nowhere."""
    alpha = picture.to_ndarray(format="rgba")[..., 3]
    return bool((alpha == 255).all())


def _turned(aspect: Fraction | None, stored: VideoFrame, worked: VideoFrame) -> Fraction:
    """The pixel aspect of the picture as it is worked on: the other way up when it was turned by a quarter."""
    aspect = aspect or Fraction(1)
    quarter = stored.width != stored.height and (stored.width, stored.height) == (worked.height, worked.width)
    return 1 / aspect if quarter else aspect


def _stream_info(stream: Stream) -> StreamInfo:
    context = stream.codec_context
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=context.name if context else stream.metadata.get("mimetype", "unknown"),
        language=stream.language or "",
        title=stream.metadata.get("title", ""),
    )
