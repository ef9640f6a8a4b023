"""Files of the packets of one video stream, from a key frame on, as they came: nothing is decoded or encoded."""

from contextlib import suppress
from pathlib import Path

import av
from av.stream import Stream

from vidsr.errors import SourceError, TargetError
from vidsr.media.error_text import read_error_text, target_errors
from vidsr.media.frame import AnyPacket
from vidsr.media.open_input import open_source
from vidsr.media.probe import require_video
from vidsr.media.sink.segment_file import SegmentFile
from vidsr.media.source.live_timestamps import SECOND, TIME_BASE
from vidsr.media.stream_template import StreamTemplate, TimedPacket, video_headers


class PacketFile:
    """A file that begins with a key frame; appears by `finish`. One of `finish` and `discard` must be called.

    Packets without a time, or with one before that of the key frame, are left out. Raises TargetError.
    """

    def __init__(self, path: Path, video: Stream, first: AnyPacket) -> None:
        """`first` is the key frame, which `write` takes as well."""
        self._path = path
        self._begin = _ticks(first, first.pts if first.dts is None else first.dts) or 0
        self._first_pts = self._last_pts = _ticks(first, first.pts) or self._begin
        self._last_dts = self._begin - 1
        template = StreamTemplate(video, headers=video_headers(first, video))
        with target_errors(path):
            self._file = SegmentFile(path, video=template.stream, audio=None, start_pts=self._begin, overwrite=False)

    def write(self, packet: AnyPacket) -> float:
        """Write a packet; returns the seconds from the key frame to its frame, or to the one before if it has no time.

        Raises TargetError.
        """
        pts, dts = _ticks(packet, packet.pts), _ticks(packet, packet.dts)
        pts = dts if pts is None else pts
        if pts is None:
            return (self._last_pts - self._first_pts) / SECOND
        dts = max(pts if dts is None else dts, self._last_dts + 1)
        self._last_pts = pts
        if pts >= max(self._first_pts, dts):
            self._last_dts = dts
            timed = TimedPacket(av_packet=packet, pts=pts, dts=dts, key=packet.is_keyframe)
            with target_errors(self._path):
                self._file.write_video(timed)
        return (pts - self._first_pts) / SECOND

    def finish(self) -> None:
        """Complete the file. Raises TargetError, and SourceError where nothing can be shown; then it is deleted."""
        try:
            with target_errors(self._path):
                holds_frames = self._file.finish()
        except TargetError:
            self.discard()
            raise
        if not holds_frames:
            raise SourceError(f"{self._path.name}: holds no frame that can be shown")

    def discard(self) -> None:
        """Delete the file, as far as the disk allows it."""
        with suppress(OSError):
            self._file.discard()


def copy_stretch(source: Path, target: Path, *, start_s: float, seconds: float) -> tuple[float, float]:
    """Copies the video of a file from the key frame at or before `start_s` on; returns its start and seconds.

    Raises SourceError and TargetError.
    """
    begin_s = end_s = 0.0
    file: PacketFile | None = None
    with open_source(source) as container:
        video = require_video(source, container)
        first = video.start_time or 0
        try:
            container.seek(first + round(start_s / (video.time_base or TIME_BASE)), stream=video)
            for packet in container.demux(video):
                if packet.pts is None or not packet.size or (file is None and not packet.is_keyframe):
                    continue
                if file is None:
                    begin_s = float((packet.pts - first) * packet.time_base)
                    file = PacketFile(target, video, packet)
                end_s = max(end_s, file.write(packet))
                if end_s >= seconds:
                    break
            if file is None:
                raise SourceError(f"{source}: holds no key frame after {start_s:.1f} s")
            file.finish()
        except BaseException as error:
            if file:
                file.discard()
            if isinstance(error, av.FFmpegError | OSError):
                raise SourceError(f"{source}: {read_error_text(error)}") from error
            raise
    return begin_s, end_s


def _ticks(packet: AnyPacket, time: int | None) -> int | None:
    return None if time is None else round(time * packet.time_base / TIME_BASE)
