"""Demuxing: the packets of a file on one time line, in the range that is read."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self

import av
from av.stream import Disposition
from av.video.stream import VideoStream

from vidsr.errors import SourceError
from vidsr.media.error_text import read_error_text
from vidsr.media.frame import SidePacket
from vidsr.media.heif import HeifImage, read_heif
from vidsr.media.open_input import heif_items, is_still, open_source
from vidsr.media.pipes import STDIN, InputPipe
from vidsr.media.probe import missing_frames_text, other_streams, require_video
from vidsr.media.timestamps import TimestampRepair
from vidsr.media.trim import TrimRange, clock_seconds
from vidsr.media.truncation import BROADCAST, TruncationCheck

if TYPE_CHECKING:
    from av.container.core import Chapter  # defined for type checkers only

_SEEKABLE = ("mov", "matroska")
"""Formats with an exact seek; in others it misses the key frame, and they are read from the beginning."""


class Demuxer:
    """The packets of a file, as an iterable for one pass; closed by `with`.

    `video` is the first video stream, `others` are the streams beside it; `heif` is the image in a HEIC or AVIF file
    of several parts, whose frame is in no single packet. Packets of the video have the file's time stamps, repaired,
    from the key frame before `start_s` on; those of other streams are in the range, and count from its start.
    `input_format` is FFmpeg's name of a demuxer, by default the one that recognises the file. `covers` has the cover
    art by the index of its stream; `repair` the repaired time stamps, `stated` the packets by stream; `truncation`
    says why reading ended early, None at a regular end.
    Raises SourceError if there is no video.
    """

    def __init__(
        self,
        path: Path,
        *,
        start_s: float | None = None,
        end_s: float | None = None,
        keep_start: bool = False,
        input_format: str | None = None,
    ) -> None:
        self.path = path
        self.pipe = InputPipe() if path == STDIN and not path.is_file() else None
        self.truncation: str | None = None
        self.covers: dict[int, bytes] = {}
        self._cut: dict[int, SidePacket] = {}
        self._signature = b""  # of an image
        self.container = open_source(path, pipe=self.pipe, input_format=input_format)
        try:
            self.heif, self.video = self._select_video()
            self.others = other_streams(self.container, self.video)
            self.time_base = self.video.time_base or Fraction(1, av.time_base)
            name = self.container.format.name
            self._hides_negative = name.startswith("mov")
            self.truncation_check = TruncationCheck(
                None if self.pipe else path, self.container, self.video, self.others
            )
            self.clock_s = Fraction(0) if keep_start else clock_seconds(self.container)
            self.range = self._trim_range(start_s or None, end_s)  # a start of 0 neither trims nor shifts
            self.repair = TimestampRepair(clock_s=self.clock_s, broadcast=name in BROADCAST, dts_only=name == "avi")
            self._packets = self._in_range()
        except BaseException:
            self.container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[SidePacket]:
        return self._packets

    @property
    def start_pts(self) -> int:
        """The pts, in `time_base`, of the position `start_s`: that of the first frame, or 0 with a `start_s`."""
        return self._first_pts if self.range.start is None else 0

    def chapters(self) -> "Iterator[Chapter]":
        """The chapters in the range, with the times of the frames."""
        trimmed = (self.range.trim_chapter(chapter, self.clock_s) for chapter in self.container.chapters())
        return (chapter for chapter in trimmed if chapter)

    def no_frame_error(self) -> SourceError:
        """The error of a file of which no frame can be decoded."""
        why = missing_frames_text(self.container, self.video, trimmed=bool(self.range.start))
        return SourceError(f"{self.path}: no frame can be decoded{why}")

    def _select_video(self) -> tuple[HeifImage | None, VideoStream]:
        items = heif_items(self.container)
        if len(items) > 1 and is_still(self.container):
            return read_heif(self.path, items)
        return None, require_video(self.path, self.container)

    @property
    def _first_pts(self) -> int:
        pts = (self.video.start_time or 0) - round(self.clock_s / self.time_base)
        return max(pts, 0) if self._hides_negative else pts

    def _trim_range(self, start_s: float | None, end_s: float | None) -> TrimRange:
        """The range in whole ticks of the video, to include a frame at `start_s` however its time is rounded."""

        def at(seconds: float | None) -> Fraction | None:
            return None if seconds is None else (self._first_pts + round(seconds / self.time_base)) * self.time_base

        return TrimRange(start=at(start_s), end=at(end_s), hides_negative=self._hides_negative)

    def _in_range(self) -> Iterator[SidePacket]:
        start = self.range.start
        if start is not None and not self.pipe and self.container.format.name.startswith(_SEEKABLE):
            with suppress(av.FFmpegError):  # a file without an index; it is read from the beginning
                self.container.seek(round((start + self.clock_s) / self.time_base), stream=self.video)
        for packet in self.repair.packets(self._demuxed()):
            self.truncation_check.count(packet)
            if packet.stream is not self.video:
                if packet.size and self._is_in_range(packet):
                    yield from self._uncut(packet)
            elif self.range.is_past_end(packet) or not self._continues(packet):
                return
            elif packet.size or packet.dts is None:  # Theora's empty packets repeat a frame
                yield packet
        end_s, from_start = float(self.repair.stored_end), self.range.start is None
        size = self.pipe.count if self.pipe else None
        self.truncation = self.truncation or self.truncation_check.truncation(end_s, from_start=from_start, size=size)

    def _uncut(self, packet: SidePacket) -> Iterator[SidePacket]:
        """The packet, unless an edit list cuts it: the last cut packet, with which decoders begin, comes later."""
        before = self._cut.pop(packet.stream.index, None)
        if packet.is_discard and packet.stream.type == "audio":
            self._cut[packet.stream.index] = packet
            return
        if before is not None:
            yield before
        yield packet

    def _continues(self, packet: SidePacket) -> bool:
        """Whether a packet belongs to the video: after an image only a packet that begins with the same bytes."""
        if not packet.size or not is_still(self.container):
            return True
        self._signature = self._signature or bytes(packet)[:2]
        return bytes(packet).startswith(self._signature)

    def _demuxed(self) -> Iterator[SidePacket]:
        try:
            yield from self.container.demux()
        except IndexError:  # PyAV 18.1 raises it at the end of a file in which a stream appeared late
            return
        except av.FFmpegError as error:
            self.truncation = f"reading ended early: {read_error_text(error)}"

    def _is_in_range(self, packet: SidePacket) -> bool:
        """Whether a packet of another stream is in the range; its time stamps then count from the range's start."""
        if not packet.stream.disposition & Disposition.attached_pic:
            return self.range.trim_packet(packet)
        packet.pts = packet.dts = 0  # cover art has no time
        self.covers.setdefault(packet.stream.index, bytes(packet))
        return True
