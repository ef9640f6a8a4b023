"""The sink for files: a directory of segments, or a single file, each with the source's own packets if wanted."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import av

from vidsr.errors import TargetError, VidsrError
from vidsr.media.containers import Container, container_for
from vidsr.media.sink.recording_dir import BackgroundWorker
from vidsr.media.sink.segment_file import SegmentFile
from vidsr.media.sink.segment_recovery import unused_path
from vidsr.media.sink.segment_tags import segment_tags
from vidsr.media.sink.sink import Sink, error_message
from vidsr.media.source.live_timestamps import SECOND
from vidsr.media.stream_copy import can_hold
from vidsr.media.stream_template import OutputStreams, StreamTemplate, TimedPacket, video_headers

_MAX_PENDING = 3000  # a minute of frames: far more than are in work
_MAX_OFFSET = 900  # 10 ms between the times of a source frame and its upscaled frame, which may be repaired
_MAX_LEAD = 1 << 40  # longer than from decoding to presentation


def is_same_frame(source_pts: int, pts: int) -> bool:
    """Whether the times of a source frame and of an upscaled frame belong to the same frame."""
    return abs(source_pts - pts) <= _MAX_OFFSET


@dataclass(frozen=True, kw_only=True)
class _NextFile:
    """The file beside the upscaled one at `upscaled`; it begins with the first key frame from `start_pts` on."""

    upscaled: Path
    streams: OutputStreams
    audio: StreamTemplate | None
    start_pts: int

    def begins_with(self, packet: TimedPacket) -> bool:
        return packet.key and packet.pts >= self.start_pts - _MAX_OFFSET

    def open(self, first: TimedPacket) -> SegmentFile | None:
        """The file; None if no kind of file holds the codec. The audio is taken only if it fits.

        The headers of the stream are taken from its first packet.
        """
        stream = self.streams.source.stream
        source = StreamTemplate(stream, headers=video_headers(first.av_packet, stream))
        paths = [self.upscaled.with_name(f"{self.upscaled.stem}.original.{kind}") for kind in ("mp4", "mkv")]
        path = next((path for path in paths if can_hold(container_for(path), source.stream)), None)
        if path is None:
            return None
        path = unused_path(path)
        audio_fits = self.audio and can_hold(container_for(path), self.audio.stream)
        return SegmentFile(
            path,
            video=source.stream,
            audio=self.audio if audio_fits else None,
            start_pts=self.start_pts if is_same_frame(first.pts, self.start_pts) else first.pts,
            tags=segment_tags(self.streams, is_upscaled=False),
        )


class SourcePassthrough:
    """The packets of the source whose file is not known yet, and the open file; `finish` takes each full one.

    A file ends where the next one begins, at a key frame: no packet between two files is lost.
    """

    def __init__(self, finish: Callable[[SegmentFile], None]) -> None:
        self._finish = finish
        self._pending: deque[TimedPacket] = deque()
        self._file: SegmentFile | None = None
        self._next: _NextFile | None = None
        self._last_dts = 0
        self.problem = ""

    def put(self, packet: TimedPacket) -> int:
        """Append a packet, in decoding order; returns the bytes written to make room for it."""
        self._pending.append(packet)
        return self._write_first() if len(self._pending) > _MAX_PENDING else 0

    @property
    def has_file(self) -> bool:
        """Whether a file is open."""
        return self._file is not None

    def begin(self, next_file: _NextFile) -> None:
        """Continue in the next file, from its first key frame on."""
        self._next = next_file

    def write_until(self, pts: int) -> int:
        """Write the packets up to those of the upscaled frame at `pts`; returns the bytes."""
        written = 0
        while self._pending and not (self._pending[0].key and self._pending[0].pts > pts + _MAX_OFFSET):
            written += self._write_first()
        return written

    def end(self) -> None:
        """Write all packets, and have the file finished."""
        while self._pending:
            self._write_first()
        if file := self.take_file():
            self._finish(file)

    def take_file(self) -> SegmentFile | None:
        """Return the open file as it is, and keep none."""
        file, self._file, self._next = self._file, None, None
        return file

    def _begin_file(self, next_file: _NextFile, first: TimedPacket) -> None:
        self._file = next_file.open(first)
        codec = next_file.streams.source.stream.codec_context.name
        self.problem = "" if self._file else f"no file holds the packets of {codec}, so the original is not recorded"
        if self._file:
            self._last_dts = self._file.start_pts - _MAX_LEAD

    def write_audio(self, packet: TimedPacket) -> int:
        """Write a packet of audio; returns the bytes."""
        return self._file.write_audio(packet) if self._file else 0

    def _write_first(self) -> int:
        packet = self._pending.popleft()
        if self._next and self._next.begins_with(packet):
            next_file = self._next
            if file := self.take_file():
                self._finish(file)
            self._begin_file(next_file, packet)
        if self._file is None:
            return 0
        dts = max(packet.dts, self._last_dts + 1)
        self._last_dts = dts
        with suppress(av.ArgumentError):  # corrupt data: skip this packet only
            return self._file.write_video(replace(packet, dts=dts, pts=max(packet.pts, dts)))
        return 0


_MAX_GAP = 1800 * SECOND  # FFmpeg's MP4 muxer aborts at longer gaps


class SegmentSink(Sink):
    """Writes a new file every `segment_s` seconds and for each part of the stream.

    With `segment_s` None, a new file begins only where the stream cannot continue in the open one. `next_path` returns
    the path of the next file; `on_segment` is called after each finished file. With `passthrough`, each file has the
    packets of the source in a second one beside it, and while `is_original_only` a segment has that one only.
    """

    def __init__(
        self,
        next_path: Callable[[], Path],
        *,
        container: Container,
        segment_s: float | None,
        passthrough: bool,
        is_original_only: Callable[[], bool] = lambda: False,
        background: BackgroundWorker,
        on_segment: Callable[[], None],
        on_warning: Callable[[str], None],
    ) -> None:
        super().__init__(container, on_warning)
        self._next_path, self._on_segment, self._background = next_path, on_segment, background
        self._max_ticks = None if segment_s is None else round(segment_s * SECOND)
        self._passthrough = SourcePassthrough(self._submit_finish) if passthrough else None
        self._is_original_only = is_original_only
        self._file: SegmentFile | None = None
        self._start_pts: int | None = None  # of the open segment, which may have no upscaled file
        self._network = ""  # of the open segment
        self._last_pts = 0
        self._has_audio = False
        self._background_error = ""  # raised by the next write
        self._aborts = 0

    @property
    def problem(self) -> str:
        """Why no original is recorded; "" while one is, or none is wanted."""
        return self._passthrough.problem if self._passthrough else ""

    def begin(self, streams: OutputStreams) -> None:
        """Finish the open file if it cannot continue; segments always begin a new one."""
        if self._max_ticks is not None or self._streams is None or not self._streams.can_continue_with(streams):
            self._end_file()
        super().begin(streams)

    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether a file begins with the frame; with passthrough a full file ends at a key frame of the source."""
        return self._start_pts is None or ((source_key or self._passthrough is None) and self._is_segment_over(pts))

    def takes_video(self, *, begins: bool) -> bool:
        """Whether the segment that begins, or the open one, has an upscaled file."""
        return not self._is_original_only() if begins or self._start_pts is None else self._file is not None

    def write_video(self, packet: TimedPacket) -> int:
        """Write a packet, in a new file if it is due; returns the bytes written, with those of the passthrough."""
        if message := self.take_error():
            raise TargetError(message)
        if packet.key and self.wants_key(packet.pts, source_key=packet.source_key):
            self._audio_silent = self._audio_silent or self._lacks_audio(packet.pts)
            self._end_file()
            self._start(packet.pts)
        if self._start_pts is None:
            return 0
        self._last_pts = packet.pts
        written = self._passthrough.write_until(packet.pts) if self._passthrough else 0
        if self._file:
            return written + self._file.write_video(packet)
        if self._passthrough and self._passthrough.has_file:
            self.on_frame(packet.pts)
        return written

    def write_audio(self, packet: TimedPacket) -> int:
        """Write a packet to the file and its passthrough; returns the bytes written."""
        self._mark_audio(packet)
        written = self._passthrough.write_audio(packet) if self._passthrough else 0
        return written + (self._file.write_audio(packet) if self._file else 0)

    def write_source(self, packet: TimedPacket) -> None:
        """Keep a packet of the source until its file is known."""
        if self._passthrough:
            self._passthrough.put(packet)

    def take_error(self) -> str:
        """The error of a job in the background that no call has raised yet; "" without one."""
        message, self._background_error = self._background_error, ""
        return message

    def end_segment(self) -> None:
        """Finish the open segment."""
        if self._max_ticks is not None:
            self.close()

    def abort(self) -> None:
        """Have the open files recovered."""
        files = [self._file, self._passthrough.take_file() if self._passthrough else None]
        self._file = self._start_pts = None
        for file in filter(None, files):
            self._submit(file.recover)
        self._aborts, self._background_error = self._aborts + 1, ""

    def close(self) -> None:
        """Have the open files finished."""
        self._end_file()
        if self._passthrough:
            self._passthrough.end()

    def _is_segment_over(self, pts: int) -> bool:
        start_pts = pts if self._start_pts is None else self._start_pts
        is_full = self._max_ticks is not None and pts - start_pts >= self._max_ticks
        is_other_kind = self._is_original_only() == (self._file is not None)
        is_other_network = self._streams is not None and self._streams.network != self._network
        is_other = is_other_kind or (self._max_ticks is not None and is_other_network)
        return is_full or is_other or pts - self._last_pts > _MAX_GAP or self._lacks_audio(pts)

    def _lacks_audio(self, pts: int) -> bool:
        return (
            self._start_pts is not None
            and self._has_audio
            and self.container.has_display_matrix
            and self._is_silent_since(self._start_pts, pts)
        )

    def _start(self, pts: int) -> None:
        assert self._streams
        path, self._network = self._next_path(), self._streams.network
        if not self._is_original_only():
            self._file = SegmentFile(
                path,
                video=self._streams.video,
                audio=self._audio,
                start_pts=pts,
                on_frame=self.on_frame,
                tags=segment_tags(self._streams, is_upscaled=True),
            )
        self._start_pts, self._last_pts, self._has_audio = pts, pts, self._audio is not None
        if self._passthrough:
            self._passthrough.begin(_NextFile(upscaled=path, streams=self._streams, audio=self._audio, start_pts=pts))

    def _end_file(self) -> None:
        file, self._file, self._start_pts = self._file, None, None
        if file:
            self._submit_finish(file)

    def _submit_finish(self, file: SegmentFile) -> None:
        self._submit(file.finish_or_recover)

    def _submit(self, job: Callable[[], bool]) -> None:
        aborts = self._aborts
        self._background.submit(lambda: self._run_job(job, aborts))

    def _run_job(self, job: Callable[[], bool], aborts: int) -> None:
        try:
            if job():
                self._on_segment()
        except (VidsrError, av.FFmpegError, OSError) as error:
            if aborts == self._aborts:  # else the sink was aborted since, for an error already reported
                self._background_error = error_message(error)
