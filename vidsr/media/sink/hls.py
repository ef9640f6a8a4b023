"""A folder that players follow as HLS: a playlist of the last seconds, whose older segments are deleted."""

import re
from collections.abc import Callable
from pathlib import Path
from time import time

from vidsr.errors import TargetError
from vidsr.media.containers import Container
from vidsr.media.sink.muxer import Outlet
from vidsr.media.sink.recording_dir import require_writable
from vidsr.media.sink.sink import Target
from vidsr.media.stream_template import Feed, Unit

_SEGMENT_S = 2
_FLAGS = "temp_file+delete_segments+program_date_time+independent_segments+omit_endlist"


class Hls(Target):
    """The playlist at `path`, fMP4 segments beside it. What a run before this one left of both is deleted.

    Each part of the stream has an index of its own, and with it a playlist that begins with a discontinuity; the
    segments of the part before stay until the part after. Raises TargetError for a folder that cannot be written.
    """

    key_s = float(_SEGMENT_S)

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        super().__init__(Container(format="mp4", has_display_matrix=True), say)
        if "%" in str(path):
            raise TargetError(f"{path}: FFmpeg takes a % in the path of a playlist for a pattern")
        self._path = path.absolute()
        stem = re.escape(path.stem)
        self._own = re.compile(rf"{stem}-(?:init-)?\d+\.(?:m4s|mp4)(?:\.tmp)?|{stem}\.m3u8\.tmp")
        self._outlet: Outlet | None = None
        self._begin = self._number = 0
        self._with_sound = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            self._sweep()
            require_writable(path.parent)
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}") from error

    def begin(self, feed: Feed) -> None:
        """Begin a playlist for the feed."""
        try:
            self.close()
        finally:
            super().begin(feed)

    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether a playlist begins with the picture."""
        return self._outlet is None or (self._with_sound and self._is_mute(self._begin, pts))

    def video(self, unit: Unit) -> int:
        """The bytes written."""
        if unit.key and self.wants_key(unit.pts, source_key=unit.source_key):
            self._quiet = self._outlet is not None
            self.close()
            self._open(unit.pts)
        return self._outlet.video(unit) if self._outlet else 0

    def sound(self, unit: Unit) -> int:
        """The bytes written."""
        self._hear(unit)
        return self._outlet.sound(unit) if self._outlet else 0

    def fail(self) -> None:
        """End the playlist where it is."""
        self.close()

    def close(self) -> None:
        """End the playlist, which says nothing of an end: it goes on when the stream does."""
        outlet, self._outlet = self._outlet, None
        if outlet:
            outlet.close()

    def _open(self, pts: int) -> None:
        assert self._feed
        self._sweep()
        audio = self._audio
        self._number = max(self._number + 1, int(time()))  # players take a lower number for an old segment
        options = {
            "hls_time": str(_SEGMENT_S),
            "hls_segment_type": "fmp4",
            "hls_flags": _FLAGS + ("+discont_start" if self._path.exists() else ""),
            "hls_segment_filename": str(self._path.with_name(f"{self._path.stem}-%d.m4s")),
            "hls_fmp4_init_filename": f"{self._path.stem}-init-{self._number}.mp4",
            "start_number": str(self._number),
        }
        self._outlet = Outlet(
            str(self._path), format="hls", options=options, video=self._feed.video, audio=audio, begin=pts
        )
        self._begin, self._with_sound = pts, audio is not None

    def _sweep(self) -> None:
        """Delete what the playlist does not name."""
        named = self._path.read_text() if self._path.exists() else ""
        for file in self._path.parent.iterdir():
            if self._own.fullmatch(file.name) and file.name not in named:
                file.unlink(missing_ok=True)
