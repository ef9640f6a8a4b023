"""The recording of a moment: the packets of the source and the main stream of a camera at the same time.

Without a main stream it is a stretch of the newest original that the camera has recorded.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from vidsr.errors import SourceError, SourceLost, Stopped
from vidsr.media.packet_file import PacketFile, copy_stretch
from vidsr.media.recording_index import RecordedSegment, RecordingIndex
from vidsr.media.source.live_source import LiveSource
from vidsr.settings import StreamSettings
from vidsr.stream_url import StreamUrl

_KEY_FRAME_S = 20.0
"""The longest wait for a key frame of each stream."""
_MAX_JUMP_S = 3.0
"""Between two packets, of their times."""
_STOP_S = 3.0
_LEAST_S = 3.0
"""Of an original: fewer seconds are no moment."""


class StreamFailed(SourceError):
    """A stream of a camera cannot be recorded, into `path`."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


def record_streams(
    streams: Mapping[Path, StreamUrl], settings: StreamSettings, *, seconds: float, stop: threading.Event
) -> None:
    """Record each stream into its file, from a key frame on, until they have this many seconds in common.

    Raises StreamFailed of the first stream that fails, TargetError, and Stopped. The files of a recording that
    failed are deleted, as far as their disk allows it.
    """
    recording = _Recording(len(streams), seconds, stop)
    threads = [
        threading.Thread(target=recording.record, args=(path, url, settings), name=path.stem, daemon=True)
        for path, url in streams.items()
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not stop.wait(0.05):
        pass
    until = time.monotonic() + _STOP_S  # a read of FFmpeg cannot be interrupted
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    if not stop.is_set() and not recording.errors:
        return
    for path in streams:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    if stop.is_set():
        raise Stopped("stopped while a moment was recorded")
    path, error = next((path, error) for path in streams if (error := recording.errors.get(path)))
    raise StreamFailed(path, str(error)) if isinstance(error, SourceError) else error


class _Recording:
    """What the threads of one recording share."""

    def __init__(self, count: int, seconds: float, stop: threading.Event) -> None:
        self.errors: dict[Path, Exception] = {}
        self._count, self._seconds, self._stop = count, seconds, stop
        self._opened: list[Path] = []
        self._begun: list[float] = []

    def record(self, path: Path, url: StreamUrl, settings: StreamSettings) -> None:
        """Record one stream; the work of a thread."""
        try:
            with LiveSource(url, settings) as source:
                self._opened.append(path)
                self._write(path, url, source)
        except Exception as error:  # raised by the thread that waits
            self.errors[path] = error

    def _write(self, path: Path, url: StreamUrl, source: LiveSource) -> None:
        until_key, last_s = time.monotonic() + _KEY_FRAME_S, 0.0
        file: PacketFile | None = None
        try:
            for packet in source.packets():
                now = time.monotonic()
                if self._is_over(now):
                    break
                if packet.stream is not source.video:
                    continue
                if len(self._opened) < self._count:  # read on, so that the camera does not hold packets back
                    until_key = now + _KEY_FRAME_S
                elif file is None and packet.is_keyframe and packet.pts is not None:  # RTSP begins without times
                    file = PacketFile(path, source.video, packet)
                    self._begun.append(now)
                elif file is None and now > until_key:
                    raise SourceLost(f"{url}: sends no key frame within {_KEY_FRAME_S:g} s")
                if file:
                    at_s = file.write(packet)
                    if abs(at_s - last_s) > _MAX_JUMP_S:
                        raise SourceLost(f"{url}: the times of its frames jump")
                    last_s = at_s
        except BaseException:
            if file:
                file.discard()
            raise
        if file and not self.errors and not self._stop.is_set():
            file.finish()
        elif file:
            file.discard()

    def _is_over(self, now: float) -> bool:
        is_complete = len(self._begun) == self._count and now - max(self._begun) >= self._seconds
        return is_complete or bool(self.errors) or self._stop.is_set()


def newest_original(segment_dir: Path, *, since_s: float, until_s: float) -> RecordedSegment | None:
    """The newest finished original that began between these times; None without any. Raises SourceError."""
    with RecordingIndex(segment_dir) as index:
        found = [each for each in index.segments(since_s, until_s) if each.original and each.start_s > since_s]
    return next((each for each in reversed(found) if each.seconds >= _LEAST_S), None)


def cut_original(original: RecordedSegment, path: Path, *, seconds: float) -> float:
    """Copy a stretch of this length from the middle of an original; returns when it began, in seconds since 1970.

    Raises SourceError and TargetError.
    """
    start_s = max(0.0, (original.seconds - seconds) / 2)
    begin_s, _ = copy_stretch(original.path, path, start_s=start_s, seconds=seconds)
    return original.start_s + begin_s
