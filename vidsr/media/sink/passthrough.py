"""The source's own packets, in files beside the upscaled ones and cut at the same frames."""

from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av

from vidsr.media.containers import container_for
from vidsr.media.sink.segment_file import SegmentFile
from vidsr.media.stream_copy import can_hold
from vidsr.media.stream_template import StreamTemplate, TimedPacket, video_headers

_MAX_PENDING = 3000  # a minute of frames: far more than are in work
_MAX_OFFSET = 900  # 10 ms between the times of a source frame and its upscaled frame, which may be repaired
_MAX_LEAD = 1 << 40  # longer than from decoding to presentation


def is_same_frame(source_pts: int, pts: int) -> bool:
    """Whether the times of a source frame and of an upscaled frame belong to the same frame."""
    return abs(source_pts - pts) <= _MAX_OFFSET


class SourcePassthrough:
    """The packets of the source whose file is not known yet, and the open file."""

    def __init__(self) -> None:
        self._pending: deque[TimedPacket] = deque()
        self._file: SegmentFile | None = None
        self._last_dts = 0

    def put(self, packet: TimedPacket) -> int:
        """Append a packet, in decoding order; returns the bytes written to make room for it."""
        self._pending.append(packet)
        return self._write(self._pending.popleft()) if len(self._pending) > _MAX_PENDING else 0

    def write_until(self, pts: int) -> int:
        """Write the packets that belong to the open file, given the upscaled frame at `pts`; returns the bytes."""
        written = 0
        while self._pending and not (self._pending[0].key and self._pending[0].pts > pts + _MAX_OFFSET):
            written += self._write(self._pending.popleft())
        return written

    def cut(self, pts: int | None) -> SegmentFile | None:
        """Write the packets before the key frame at `pts`, or all, and return the open file to be finished."""
        while self._pending and not (
            pts is not None and is_same_frame(self._pending[0].pts, pts) and self._pending[0].key
        ):
            self._write(self._pending.popleft())
        return self.take_file()

    def take_file(self) -> SegmentFile | None:
        """Return the open file as it is, and keep none."""
        file, self._file = self._file, None
        return file

    def open(self, upscaled: Path, source: StreamTemplate, audio: StreamTemplate | None, *, start_pts: int) -> None:
        """Open a file beside the upscaled one, with the same start, for `source` and, where it fits, `audio`.

        The headers of the stream are taken from the first pending packet.
        """
        if self._pending:
            headers = video_headers(self._pending[0].av_packet, source.stream)
            source = StreamTemplate(source.stream, headers=headers)
        path = upscaled.with_name(f"{upscaled.stem}.original.mp4")
        if not can_hold(container_for(path), source.stream):
            path = path.with_suffix(".mkv")
        audio_fits = audio and can_hold(container_for(path), audio.stream)
        self._file = SegmentFile(path, video=source.stream, audio=audio if audio_fits else None, start_pts=start_pts)
        self._last_dts = start_pts - _MAX_LEAD

    def write_audio(self, packet: TimedPacket) -> int:
        """Write a packet of audio; returns the bytes."""
        return self._file.write_audio(packet) if self._file else 0

    def _write(self, packet: TimedPacket) -> int:
        if self._file is None:
            return 0
        dts = max(packet.dts, self._last_dts + 1)
        self._last_dts = dts
        with suppress(av.ArgumentError):  # corrupt data: skip this packet only
            return self._file.write_video(replace(packet, dts=dts, pts=max(packet.pts, dts)))
        return 0
