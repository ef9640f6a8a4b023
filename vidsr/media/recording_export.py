"""The export of a moment of a recording: packets of its segments, cut where it begins and ends, without encoding."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from vidsr.errors import SourceError, TargetError
from vidsr.media.error_text import read_error_text, target_errors, write_error_text
from vidsr.media.open_input import open_source
from vidsr.media.recording_index import RecordedSegment
from vidsr.media.sink.retention import SEGMENT_NAME, is_day
from vidsr.media.sink.segment_file import SegmentFile
from vidsr.media.sink.segment_recovery import unused_path
from vidsr.media.source.live_timestamps import SECOND, TIME_BASE
from vidsr.media.stream_template import StreamTemplate, TimedPacket, is_same_audio

_SAME_S = 1.0  # between the end of a segment and the start of the next: their starts were taken by a clock


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """The streams that one file can hold."""

    video: StreamTemplate
    audio: StreamTemplate | None

    def holds(self, other: "_Part") -> bool:
        return self.video.is_compatible(other.video) and is_same_audio(self.audio, other.audio)


def export_recording(
    segments: Sequence[RecordedSegment], target: Path, *, since_s: float, until_s: float, overwrite: bool
) -> tuple[list[Path], list[str]]:
    """The written files, and a sentence for each damaged segment, of which only what is readable is in them.

    One file, or several where the size or the codec of the camera changed. They hold the frames from `since_s` to
    `until_s`. An MP4 or MOV also holds those from the key frame before, which players do not show; files of other
    formats show them. Raises TargetError, and SourceError where nothing is readable.
    """
    export, damage = _Export(target, since_s=since_s, until_s=until_s, overwrite=overwrite), []
    try:
        for segment in _continuous(segments):
            try:
                export.add(segment)
            except SourceError as error:
                damage.append(str(error))
        export.finish()
    except BaseException:
        if export.file:
            export.file.discard()
        raise
    if not export.paths:
        raise SourceError("; ".join(damage))
    return export.paths, damage


def require_exportable(path: Path, *, overwrite: bool) -> None:
    """Raises TargetError for a file that exists, unless it may be overwritten; a segment of a recording never may."""
    if not os.path.exists(path):
        return
    real = path.resolve()
    if SEGMENT_NAME.fullmatch(real.name) and is_day(real.parent):
        raise TargetError(f"{path}: is a segment of a recording, which no export replaces")
    if not overwrite:
        raise TargetError(f"{path}: already exists (see --overwrite)")


class _Export:
    """The files of an export; `file` is the one being written."""

    def __init__(self, target: Path, *, since_s: float, until_s: float, overwrite: bool) -> None:
        self.paths: list[Path] = []
        self.file: SegmentFile | None = None
        self._target, self._since_s, self._until_s, self._overwrite = target, since_s, until_s, overwrite
        self._part: _Part | None = None

    def add(self, segment: RecordedSegment) -> None:
        """Write the packets of a segment. Raises SourceError for a damaged one, and TargetError."""
        with open_source(segment.path) as source:
            own = _part(source, segment.path)
            for packet, is_video in _packets(source, segment, since_s=self._since_s, until_s=self._until_s):
                if self.file is None or self._part is None or not self._part.holds(own):
                    self.finish()
                    self._begin(own, start_s=max(0.0, segment.start_s - self._since_s))
                assert self.file
                try:
                    (self.file.write_video if is_video else self.file.write_audio)(packet)
                except (av.InvalidDataError, av.ArgumentError, av.PermissionError) as error:  # no packet of its codec
                    self.finish(broken=True)  # no muxer goes on after it
                    raise SourceError(f"{segment.path}: {read_error_text(error)}") from error
                except (av.FFmpegError, OSError) as error:
                    raise TargetError(f"{self.paths[-1]}: {write_error_text(error)}") from error

    def finish(self, *, broken: bool = False) -> None:
        """Complete the file; one that is `broken` with what it holds. Raises TargetError."""
        if not self.file:
            return
        with target_errors(self.paths[-1]):
            holds_frames = self.file.recover() if broken else self.file.finish()
        self.file = None
        if not holds_frames:
            self.paths.pop()

    def _begin(self, part: _Part, *, start_s: float) -> None:
        path = unused_path(self._target) if self.paths else self._target
        require_exportable(path, overwrite=self._overwrite)
        start_pts = round(start_s * SECOND)
        with target_errors(path):
            self.file = SegmentFile(
                path, video=part.video.stream, audio=part.audio, start_pts=start_pts, overwrite=self._overwrite
            )
        self._part = part
        self.paths.append(path)


def _continuous(segments: Sequence[RecordedSegment]) -> Iterator[RecordedSegment]:
    """The segments; one that begins about where the one before ends begins exactly there."""
    end_s = 0.0
    for segment in segments:
        start_s = end_s if abs(segment.start_s - end_s) < _SAME_S else max(segment.start_s, end_s)
        end_s = start_s + segment.seconds
        yield replace(segment, start_s=start_s)


def _part(source: InputContainer, path: Path) -> _Part:
    if not source.streams.video:
        raise SourceError(f"{path}: holds no video")
    audio = next(iter(source.streams.audio), None)
    return _Part(video=StreamTemplate(source.streams.video[0]), audio=StreamTemplate(audio) if audio else None)


def _packets(
    source: InputContainer, segment: RecordedSegment, *, since_s: float, until_s: float
) -> Iterator[tuple[TimedPacket, bool]]:
    """The packets from the last key frame before `since_s`, with their times from it, and whether they are video.

    Raises SourceError where the file cannot be read further, or ends before its time.
    """
    video = source.streams.video[0]
    offset, end, is_over = round((segment.start_s - since_s) * SECOND), round((until_s - since_s) * SECOND), False
    read_to = offset
    for packet in _demux(source, segment, since_s=since_s):
        if packet.pts is None or packet.dts is None or not packet.size:
            continue
        pts, dts = (round(each * packet.time_base / TIME_BASE) + offset for each in (packet.pts, packet.dts))
        is_over = is_over or (packet.stream is video and pts >= end)  # what follows it may depend on it
        if pts >= end or (is_over and packet.stream is video):
            continue
        duration = min(round((packet.duration or 0) * packet.time_base / TIME_BASE), end - pts)
        read_to = max(read_to, pts + duration) if packet.stream is video else read_to
        timed = TimedPacket(av_packet=packet, pts=pts, dts=dts, key=packet.is_keyframe, duration=duration)
        yield timed, packet.stream is video
    if not is_over and min(offset + segment.seconds * SECOND, end) - read_to > _SAME_S * SECOND:
        read_s = (read_to - offset) / SECOND
        raise SourceError(f"{segment.path}: ends after {read_s:.1f} of {segment.seconds:.1f} s")


def _demux(source: InputContainer, segment: RecordedSegment, *, since_s: float) -> "Iterator[Packet[Stream]]":
    """The packets from the last key frame before `since_s`."""
    video, audio = source.streams.video[0], next(iter(source.streams.audio), None)
    try:
        if since_s > segment.start_s:
            source.seek(round((since_s - segment.start_s) / (video.time_base or TIME_BASE)), stream=video)
        yield from source.demux([video, *([audio] if audio else [])])
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{segment.path}: {read_error_text(error)}") from error
