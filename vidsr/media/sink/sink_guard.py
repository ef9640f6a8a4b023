"""A sink whose errors do not affect the others."""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import av

from vidsr.errors import VidsrError
from vidsr.media.sink.sink import Sink, error_message
from vidsr.media.stream_template import OutputStreams, TimedPacket

_ERRORS = (VidsrError, av.FFmpegError, OSError)
_REFUSALS = (av.ArgumentError, av.InvalidDataError, av.PatchWelcomeError, av.PermissionError)
"""The errors of muxers for a stream or a packet. Video comes from our own encoder, so that audio is their cause."""
_FIRST_RETRY_S, _MAX_RETRY_S = 5.0, 60.0
_STABLE_S = 3.0  # without an error, before it counts as up again: a full disk fails only at a flush
_RESET_S = 60.0  # without an error, before the pauses start from the shortest again


class RetryingSink:
    """A sink that is restarted after errors: at a key frame, after a pause of 5 to 60 s.

    `on_warning` receives each outage and its end; `error` is "" while the sink is up. `inner` is the sink itself.
    """

    def __init__(self, label: str, inner: Sink, on_warning: Callable[[str], None]) -> None:
        self.label, self.inner, self.bytes_written = label, inner, 0
        self.error = self._problem = ""
        self._on_warning = on_warning
        self._retry_s = _FIRST_RETRY_S
        self._down = False
        self._since_s = 0.0  # time of the restart; while it is down, of the next one

    def begin(self, streams: OutputStreams) -> None:
        """Begin a part of the stream, also while the sink is down."""
        self._guard(lambda: self.inner.begin(streams))

    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether the sink is up, or due for a restart, and begins a file or stream with the frame at `pts`."""
        return not self._is_waiting() and self.inner.wants_key(pts, source_key=source_key)

    def write_video(self, packet: TimedPacket) -> None:
        """Write a packet of video; restart the sink if it is due."""
        if self._down and packet.key and not self._is_waiting():
            self._down, self._since_s = False, monotonic()
        if not self._down:
            self._guard(lambda: self._count(self.inner.write_video(packet)))
        if not self._down:
            self._check_recovery()

    def write_audio(self, packet: TimedPacket) -> None:
        """Write a packet of audio, unless the sink is down."""
        if not self._down:
            self._guard(lambda: self._count(self.inner.write_audio(packet)))

    def write_source(self, packet: TimedPacket) -> None:
        """Pass on a packet of the source's own video."""
        self._guard(lambda: self.inner.write_source(packet))

    def end_segment(self) -> None:
        """Finish the open segment."""
        self._guard(self.inner.end_segment)

    def close(self) -> None:
        """Finish open files."""
        self._guard(self.inner.close)

    def _count(self, n_bytes: int) -> None:
        self.bytes_written += n_bytes

    def _is_waiting(self) -> bool:
        return self._down and monotonic() < self._since_s

    def _guard(self, step: Callable[[], None]) -> None:
        try:
            step()
        except _REFUSALS as error:
            if not self.inner.drop_audio():
                self._fail(error_message(error))
                return
            self._on_warning(f"{self.label}: refuses the audio ({error_message(error)}), which is dropped")
            self._abort()  # the next frame begins again
        except _ERRORS as error:
            self._fail(error_message(error))

    def _fail(self, message: str) -> None:
        if not self.error:
            self._on_warning(f"{self.label}: {message}; retrying until it works")
        self.error = message
        self._down, self._since_s = True, monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, _MAX_RETRY_S)
        self._abort()

    def _abort(self) -> None:
        with suppress(*_ERRORS):  # it has failed already
            self.inner.abort()

    def _check_recovery(self) -> None:
        up_s = monotonic() - self._since_s
        if self.error and up_s > _STABLE_S:
            self.error = ""
            self._on_warning(f"{self.label}: is written again")
        if not self.error and up_s > _RESET_S:
            self._retry_s = _FIRST_RETRY_S
        if (problem := self.inner.problem) != self._problem:
            self._on_warning(f"{self.label}: {problem or 'is written again'}")
            self._problem = problem
