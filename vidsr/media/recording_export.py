"""The export of a moment of a recording: packets of its segments, cut where it begins and ends, without encoding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from av.container import InputContainer

from vidsr.errors import TargetError
from vidsr.media.open_input import open_source
from vidsr.media.recording_index import RecordedSegment
from vidsr.media.sink.segment_file import SegmentFile, unused_path
from vidsr.media.source.live_timestamps import SECOND, TIME_BASE
from vidsr.media.stream_template import StreamTemplate, TimedPacket

_SAME_S = 1.0  # between the end of a segment and the start of the next: their starts were taken by a clock


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """The streams that one file can hold."""

    video: StreamTemplate
    audio: StreamTemplate | None

    def holds(self, other: "_Part") -> bool:
        if not self.video.is_compatible(other.video) or (self.audio is None) != (other.audio is None):
            return False
        return self.audio is None or other.audio is None or self.audio.is_compatible(other.audio)


def export_recording(
    segments: Sequence[RecordedSegment], target: Path, *, since_s: float, until_s: float, overwrite: bool
) -> list[Path]:
    """The written files: one, or several where the size or the codec of the camera changed.

    They hold the frames from `since_s` to `until_s`. An MP4 also holds those from the key frame before, which players
    do not show. Raises SourceError and TargetError.
    """
    paths: list[Path] = []
    file: SegmentFile | None = None
    part: _Part | None = None
    try:
        for segment in _continuous(segments):
            with open_source(segment.path) as source:
                own = _part(source)
                if file is None or part is None or not part.holds(own):
                    if file:
                        file.finish()
                    paths.append(unused_path(target) if paths else target)
                    start_s = since_s if len(paths) == 1 else max(since_s, segment.start_s)
                    part, file = own, _new_file(paths[-1], own, start_s=start_s - since_s, overwrite=overwrite)
                for packet, is_video in _packets(source, segment, since_s=since_s, until_s=until_s):
                    (file.write_video if is_video else file.write_audio)(packet)
        if file:
            file.finish()
    except BaseException:
        if file:
            file.recover()
        raise
    return paths


def _new_file(path: Path, part: _Part, *, start_s: float, overwrite: bool) -> SegmentFile:
    if path.exists() and not overwrite:
        raise TargetError(f"{path}: already exists (see --overwrite)")
    return SegmentFile(
        path, video=part.video.stream, audio=part.audio, start_pts=round(start_s * SECOND), overwrite=overwrite
    )


def _continuous(segments: Sequence[RecordedSegment]) -> Iterator[RecordedSegment]:
    """The segments; one that begins about where the one before ends begins exactly there."""
    end_s = 0.0
    for segment in segments:
        start_s = end_s if abs(segment.start_s - end_s) < _SAME_S else max(segment.start_s, end_s)
        end_s = start_s + segment.seconds
        yield replace(segment, start_s=start_s)


def _part(source: InputContainer) -> _Part:
    audio = next(iter(source.streams.audio), None)
    return _Part(video=StreamTemplate(source.streams.video[0]), audio=StreamTemplate(audio) if audio else None)


def _packets(
    source: InputContainer, segment: RecordedSegment, *, since_s: float, until_s: float
) -> Iterator[tuple[TimedPacket, bool]]:
    """The packets from the last key frame before `since_s`, with their times from it, and whether they are video."""
    video, audio = source.streams.video[0], next(iter(source.streams.audio), None)
    if since_s > segment.start_s:
        source.seek(round((since_s - segment.start_s) / (video.time_base or TIME_BASE)), stream=video)
    offset, end, is_over = round((segment.start_s - since_s) * SECOND), round((until_s - since_s) * SECOND), False
    for packet in source.demux([video, *([audio] if audio else [])]):
        if packet.pts is None or packet.dts is None or not packet.size:
            continue
        pts, dts = (round(each * packet.time_base / TIME_BASE) + offset for each in (packet.pts, packet.dts))
        is_over = is_over or (packet.stream is video and pts >= end)  # what follows it may depend on it
        if pts >= end or (is_over and packet.stream is video):
            continue
        duration = min(round((packet.duration or 0) * packet.time_base / TIME_BASE), end - pts)
        timed = TimedPacket(av_packet=packet, pts=pts, dts=dts, key=packet.is_keyframe, duration=duration)
        yield timed, packet.stream is video
