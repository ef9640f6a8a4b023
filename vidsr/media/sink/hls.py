"""An HLS playlist of the last seconds, whose older segments are deleted."""

import re
from collections.abc import Callable
from pathlib import Path
from time import time

from vidsr.errors import TargetError
from vidsr.media.containers import Container
from vidsr.media.sink.muxer import Muxer
from vidsr.media.sink.recording_dir import require_writable
from vidsr.media.sink.sink import Sink
from vidsr.media.stream_template import OutputStreams, TimedPacket

_SEGMENT_S = 2
_FLAGS = "temp_file+delete_segments+program_date_time+independent_segments+omit_endlist"


class HlsSink(Sink):
    """The playlist at `path` and its fMP4 segments beside it. Leftovers of an earlier run are deleted.

    Each part of the stream has a playlist of its own, which begins with a discontinuity; the segments of the previous
    part stay until the next. Raises TargetError for a directory that cannot be written.
    """

    key_interval_s = float(_SEGMENT_S)

    def __init__(self, path: Path, on_warning: Callable[[str], None]) -> None:
        super().__init__(Container(format="mp4", has_display_matrix=True), on_warning)
        if "%" in str(path):
            raise TargetError(f"{path}: the path of a playlist must not contain %, a pattern to FFmpeg")
        self._path = path.absolute()
        stem = re.escape(path.stem)
        self._own_names = re.compile(rf"{stem}-(?:init-)?\d+\.(?:m4s|mp4)(?:\.tmp)?|{stem}\.m3u8\.tmp")
        self._muxer: Muxer | None = None
        self._start_pts = self._number = 0
        self._has_audio = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            self._delete_unlisted()
            require_writable(path.parent)
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}") from error

    def begin(self, streams: OutputStreams) -> None:
        """Begin a playlist for the streams."""
        try:
            self.close()
        finally:
            super().begin(streams)

    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether a playlist begins with the frame."""
        return self._muxer is None or (self._has_audio and self._is_silent_since(self._start_pts, pts))

    def write_video(self, packet: TimedPacket) -> int:
        """Write a packet; returns the bytes written."""
        if packet.key and self.wants_key(packet.pts, source_key=packet.source_key):
            self._audio_silent = self._muxer is not None
            self.close()
            self._open(packet.pts)
        return self._muxer.write_video(packet) if self._muxer else 0

    def write_audio(self, packet: TimedPacket) -> int:
        """Write a packet; returns the bytes written."""
        self._mark_audio(packet)
        return self._muxer.write_audio(packet) if self._muxer else 0

    def close(self) -> None:
        """Close the playlist, without an end mark: it continues with the stream."""
        muxer, self._muxer = self._muxer, None
        if muxer:
            muxer.close()

    def _open(self, pts: int) -> None:
        assert self._streams
        self._delete_unlisted()
        audio = self._audio
        self._number = max(self._number + 1, int(time()))  # players ignore numbers below the last one
        options = {
            "hls_time": str(_SEGMENT_S),
            "hls_segment_type": "fmp4",
            "hls_flags": _FLAGS + ("+discont_start" if self._path.exists() else ""),
            "hls_segment_filename": str(self._path.with_name(f"{self._path.stem}-%d.m4s")),
            "hls_fmp4_init_filename": f"{self._path.stem}-init-{self._number}.mp4",
            "start_number": str(self._number),
        }
        self._muxer = Muxer(
            str(self._path), format="hls", options=options, video=self._streams.video, audio=audio, start_pts=pts
        )
        self._start_pts, self._has_audio = pts, audio is not None

    def _delete_unlisted(self) -> None:
        """Delete the segments that the playlist does not list."""
        listed = self._path.read_text() if self._path.exists() else ""
        for file in self._path.parent.iterdir():
            if self._own_names.fullmatch(file.name) and file.name not in listed:
                file.unlink(missing_ok=True)
