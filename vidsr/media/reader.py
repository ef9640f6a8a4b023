"""Reading a video: its frames in display order, with the packets of the other streams."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Self

import av
from av import VideoFrame
from av.stream import Disposition
from av.video.stream import VideoStream

from vidsr.errors import SourceError
from vidsr.media.compression_probe import EXPORT_QUANTISERS, Compression, probe_compression
from vidsr.media.display_matrix import display_matrix, swaps_axes, upright_filters
from vidsr.media.error_text import read_error_text
from vidsr.media.filters import CHROMA_LEFT, DEINTERLACE, Filter, filter_frames
from vidsr.media.formats import luma_of
from vidsr.media.frame import Frame, SidePacket, SourceTemplate
from vidsr.media.h264 import may_have_fields
from vidsr.media.heif import HeifImage, decode_heif, read_heif
from vidsr.media.image_check import image_damage
from vidsr.media.open_input import heif_items, is_still, open_source
from vidsr.media.pixel_format_converter import PixelFormatConverter
from vidsr.media.probe import (
    codec_name,
    frame_rate,
    missing_frames_text,
    other_streams,
    require_video,
    video_decoder,
    video_info,
    video_seconds,
)
from vidsr.media.side_data import crop_filters, remove_source_side_data
from vidsr.media.stated_length import StatedLength
from vidsr.media.timestamps import TimestampRepair
from vidsr.media.trim import TrimRange, clock_seconds

_SEEKABLE = ("mov", "matroska")
"""Formats with an exact seek; in others it misses the key frame, and they are read from the beginning."""
_BROADCAST = ("mpegts", "mpeg")
"""Formats whose time stamps may restart: edited broadcasts, concatenated discs."""
_ANIMATIONS = ("gif", "apng")
_UNTAGGED_CHROMA = {"vp8", "vp9", "av1", "prores", "dnxhd"}
"""Codecs without a chroma location tag: the location is left, but swscale would assume centre."""


class Reader:
    """The first video stream of a file, as an iterable of `Frame` for one pass; closed by `with`.

    Frames keep the source's time stamps; those of a clock, hours ahead, count from its start unless `keep_start`, and
    all count from a `start_s` above 0. `start_s` and `end_s` count from the first frame. `upright` applies the display
    matrix; `deinterlace` turns fields into full frames.
    Raises SourceError if there is no video to read or its frames are larger than `max_megapixels`. Damage after the
    first frame is counted and raises nothing: `corrupt` counts frames and packets that the decoder concealed or
    dropped, `before_key` packets before the first key frame, which show nothing; `repair` has the repaired time
    stamps, `stated` the packets by stream; `truncation` says why reading ended early, None at a regular end.
    """

    def __init__(
        self,
        path: Path,
        *,
        start_s: float | None = None,
        end_s: float | None = None,
        upright: bool = False,
        deinterlace: bool = False,
        keep_start: bool = False,
        max_megapixels: float = 64.0,
    ) -> None:
        self.path = path
        self.corrupt = self.before_key = 0
        self._key_seen = False
        self.truncation: str | None = None
        self._first_bytes = 0
        self._compression: Compression | None = None
        self._heif: HeifImage | None = None
        self._container = open_source(path)
        try:
            self.video = self._select_video()
            self._configure_decoder(max_megapixels)
            self.others = other_streams(self._container, self.video)
            self.time_base = self.video.time_base or Fraction(1, av.time_base)
            self._side_packets: list[SidePacket] = []
            self._covers: dict[int, bytes] = {}
            name = self._container.format.name
            self._hides_negative = name.startswith("mov")  # frames before 0 are not shown
            self.stated = StatedLength(path, self._container, self.video, self.others)
            self._clock_s = Fraction(0) if keep_start else clock_seconds(self._container)
            self._range = self._trim_range(start_s or None, end_s)  # a start of 0 neither trims nor shifts
            self.repair = TimestampRepair(clock_s=self._clock_s, broadcast=name in _BROADCAST, dts_only=name == "avi")
            self._frames = self._open_frames(upright, deinterlace)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    @property
    def flattened(self) -> int:
        """Number of frames that lost their transparency, because the first frame has none."""
        return self._converter.flattened

    @property
    def start_pts(self) -> int:
        """The pts, in `time_base`, of the position `start_s`: that of the first frame, or 0 with a `start_s`."""
        return self._first_pts if self._range.start is None else 0

    @property
    def seconds(self) -> float:
        """Duration of the whole video by its header, 0 if unknown."""
        return video_seconds(self._container, self.video)

    @property
    def template(self) -> SourceTemplate:
        """What an output file takes over from this one, chapters trimmed; valid while the reader is open."""
        chapters = (self._range.trim_chapter(chapter, self._clock_s) for chapter in self._container.chapters())
        return SourceTemplate(
            info=self.info,
            first=self.first.av_frame,
            time_base=self.time_base,
            video=self.video,
            others=tuple(self.others),
            covers=dict(self._covers),
            metadata=dict(self._container.metadata),
            chapters=tuple(chapter for chapter in chapters if chapter),
        )

    def trailing_packets(self) -> tuple[SidePacket, ...]:
        """The packets of other streams after the last frame, once all frames are read; () the second time."""
        packets, self._side_packets = tuple(self._side_packets), []
        return packets

    def _select_video(self) -> VideoStream:
        items = heif_items(self._container)
        if len(items) > 1 and is_still(self._container):
            self._heif, video = read_heif(self.path, items)
            return video
        return require_video(self.path, self._container)

    def _configure_decoder(self, max_megapixels: float) -> None:
        context, self._decoder = self.video.codec_context, video_decoder(self.video)
        tiled = self._heif.color.size if self._heif else None
        width, height = tiled or (context.width, context.height)
        if width * height > max_megapixels * 1e6:
            raise SourceError(
                f"{self.path}: {width}x{height} is above {max_megapixels:g} megapixels (see --max-megapixels)"
            )
        max_pixels = int(max_megapixels * 1e6) + 64 * context.height  # FFmpeg pads rows to multiples of 64 pixels
        self._decoder.options = {"max_pixels": str(max_pixels), **EXPORT_QUANTISERS}  # limits later sizes, too
        # With frame threads FFmpeg 8.1 takes frames of two fields for damaged.
        fields = codec_name(self.video) == "h264" and may_have_fields(context.extradata or b"")
        self._decoder.thread_type = "SLICE" if fields else "AUTO"

    @property
    def _first_pts(self) -> int:
        pts = (self.video.start_time or 0) - round(self._clock_s / self.time_base)
        return max(pts, 0) if self._hides_negative else pts

    def _trim_range(self, start_s: float | None, end_s: float | None) -> TrimRange:
        """The range in whole ticks of the video, to include a frame at `start_s` however its time is rounded."""

        def at(seconds: float | None) -> Fraction | None:
            return None if seconds is None else (self._first_pts + round(seconds / self.time_base)) * self.time_base

        return TrimRange(start=at(start_s), end=at(end_s))

    def _open_frames(self, upright: bool, deinterlace: bool) -> Iterator[Frame]:
        """All frames; the first one is decoded at once for `first` and `info`."""
        start = self._range.start
        if start is not None and self._container.format.name.startswith(_SEEKABLE):
            with suppress(av.FFmpegError):  # a file without an index; it is read from the beginning
                self._container.seek(round((start + self._clock_s) / self.time_base), stream=self.video)
        decoded = self._trimmed(self._heif_frame(self._heif) if self._heif else self._decoded())
        first = next(decoded, None)
        if first is None:
            why = missing_frames_text(self._container, self.video, trimmed=bool(start))
            raise SourceError(f"{self.path}: no frame can be decoded{why}")
        assert self._compression  # set with the first frame
        if is_still(self._container) or self._container.format.name in _ANIMATIONS:
            self.truncation = image_damage(self.path, codec_name(self.video))
        matrix = display_matrix(first)
        rotation = upright_filters(matrix) if matrix and upright else ()
        if self._heif:
            rotation = self._heif.upright
        try:
            self._converter = PixelFormatConverter(first, still=is_still(self._container))
        except ValueError as error:
            raise SourceError(f"{self.path}: pixel format {first.format.name} is not supported") from error
        decoded = chain([first], decoded)
        if filters := self._filters(rotation, deinterlace):
            decoded = self._filtered(decoded, filters)
        frames = map(self._converted, decoded)
        self.first = next(frames)
        self.info = video_info(
            self.path,
            self._container,
            self.video,
            stored=first,
            converted=self.first.av_frame,
            matrix=None if rotation else matrix,
            rotated=bool(matrix and rotation and swaps_axes(matrix)),
            interlaced=first.interlaced_frame and not deinterlace,
            compression=self._compression,
        )
        return chain([self.first], frames)

    def _heif_frame(self, image: HeifImage) -> Iterator[VideoFrame]:
        """The frame of an image that several streams make up."""
        frame = decode_heif(self.path, self._container, image, self._decoder.options)
        self._compression = probe_compression(self.video, frame, self.path.stat().st_size)
        yield frame

    def _filtered(self, frames: Iterator[VideoFrame], filters: tuple[Filter, ...]) -> Iterator[VideoFrame]:
        try:
            yield from filter_frames(frames, filters, self.time_base)
        except av.FFmpegError as error:
            names = ", ".join(name for name, _ in filters)
            raise SourceError(f"{self.path}: FFmpeg's filter {names} refuses its frames ({error.strerror})") from error

    def _filters(self, rotation: tuple[Filter, ...], deinterlace: bool) -> tuple[Filter, ...]:
        untagged = codec_name(self.video) in _UNTAGGED_CHROMA
        return (CHROMA_LEFT,) * untagged + (DEINTERLACE,) * deinterlace + crop_filters(self.video) + rotation

    def _decoded(self) -> Iterator[VideoFrame]:
        """Every frame of the decoder; collects the packets of other streams on the way."""
        for packet in self.repair.packets(self._demuxed()):
            self.stated.count(packet)
            if packet.stream is not self.video:
                self._collect(packet)
            elif self._range.is_past_end(packet):
                break
            elif packet.size or packet.dts is None:  # Theora's empty packets repeat a frame
                self._first_bytes = self._first_bytes or packet.size
                self._key_seen |= packet.is_keyframe or self._compression is not None
                self.before_key += not self._key_seen
                yield from self._decode(packet)
        else:
            end_s, from_start = float(self.repair.stored_end), self._range.start is None
            self.truncation = self.truncation or self.stated.truncation(end_s, from_start=from_start)
        yield from self._decode(None)

    def _demuxed(self) -> Iterator[SidePacket]:
        try:
            yield from self._container.demux()
        except IndexError:  # PyAV 18.1 raises it at the end of a file in which a stream appeared late
            return
        except av.FFmpegError as error:
            self.truncation = f"reading ended early: {read_error_text(error)}"

    def _decode(self, packet: "SidePacket | None") -> list[VideoFrame]:
        """The frames that the decoder returns for a packet, or at the end for None; counts a refused packet."""
        try:
            frames = self._decoder.decode(packet)
        except av.EOFError:  # already flushed
            return []
        except av.FFmpegError:
            self.corrupt += 1
            return []
        if frames and self._compression is None:
            self._compression = probe_compression(self.video, frames[0], self._first_bytes)
            self.before_key *= frames[0].key_frame
        return frames

    def _trimmed(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """The frames in the range, with their final time stamps."""
        rate = frame_rate(self.video)
        step = round(1 / (rate * self.time_base)) if rate else 1
        for frame in self.repair.frames(frames, step):
            pts = frame.pts or 0
            if self._range.contains(pts * self.time_base) and not (pts < 0 and self._hides_negative):
                self.corrupt += frame.is_corrupt
                frame.pts = pts - round(self._range.offset / self.time_base)
                yield frame

    def _collect(self, packet: SidePacket) -> None:
        if not packet.size:
            return
        if packet.stream.disposition & Disposition.attached_pic:
            packet.pts = packet.dts = 0  # cover art has no time
            self._covers.setdefault(packet.stream.index, bytes(packet))
        elif not self._range.trim_packet(packet):
            return
        self._side_packets.append(packet)

    def _converted(self, decoded: VideoFrame) -> Frame:
        frame = self._converter(decoded)
        remove_source_side_data(frame)
        return Frame(av_frame=frame, luma=luma_of(frame), packets=self.trailing_packets())
