"""The interface of all sinks, and the sink whose errors do not affect the others."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import inf
from time import monotonic

import av

from vidsr.errors import TargetError, VidsrError
from vidsr.media.containers import Container
from vidsr.media.source.live_timestamps import SECOND
from vidsr.media.stream_copy import can_hold
from vidsr.media.stream_template import OutputStreams, StreamTemplate, TimedPacket

_SILENCE = 5 * SECOND


class Sink(ABC):
    """A target for packets. Its errors are VidsrError, FFmpegError or OSError.

    `on_warning` receives what the user should read once; `container` is the format that it writes.
    """

    key_interval_s = 10.0
    """The most seconds between two key frames."""
    first_retry_s = 5.0
    """The first pause after an error."""
    is_pipe = False
    """Whether it is the standard output."""

    def __init__(self, container: Container, on_warning: Callable[[str], None]) -> None:
        self.container, self._on_warning = container, on_warning
        self._streams: OutputStreams | None = None
        self._audio_fits = True
        self.on_frame: Callable[[int], None] = lambda _pts: None
        """Receives the pts of each frame that the target has taken, also from other threads."""
        self._last_audio_pts: int | None = None
        self._audio_silent = False

    def begin(self, streams: OutputStreams) -> None:
        """Begin a part of the stream: the packets that follow belong to `streams`."""
        self._streams, self._audio_silent = streams, False
        audio_fits = streams.audio is None or self.holds(streams.audio)
        if not audio_fits and self._audio_fits and streams.audio:
            name = streams.audio.stream.codec_context.name
            self._on_warning(f"{self.container.format} cannot hold {name}; the audio is dropped")
        self._audio_fits = audio_fits

    def holds(self, audio: StreamTemplate) -> bool:
        """Whether the container can hold such audio."""
        return can_hold(self.container, audio.stream)

    def drop_audio(self) -> bool:
        """Go on without audio until the next part; returns whether there was any."""
        had_audio, self._audio_fits = self._audio is not None, False
        return had_audio

    @property
    def problem(self) -> str:
        """A problem that raised no error; "" without one."""
        return ""

    @property
    def _audio(self) -> StreamTemplate | None:
        """The audio to declare: that of the streams, if the container can hold it and it is not silent."""
        return self._streams.audio if self._streams and self._audio_fits and not self._audio_silent else None

    def _mark_audio(self, packet: TimedPacket) -> None:
        self._last_audio_pts, self._audio_silent = packet.pts, False

    def _is_silent_since(self, start_pts: int, pts: int) -> bool:
        """Whether no audio came since `start_pts`: the MP4 muxer writes nothing while it waits for declared audio."""
        return pts - start_pts > _SILENCE and (self._last_audio_pts is None or self._last_audio_pts < start_pts)

    @abstractmethod
    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether the frame at `pts` should be a key frame, because a file or stream begins with it."""

    def takes_video(self, *, begins: bool) -> bool:
        """Whether the next frame is written; `begins`: a file or stream begins with it."""
        return True

    @abstractmethod
    def write_video(self, packet: TimedPacket) -> int:
        """Write a packet of video; returns the bytes written. Nothing is written before the first key frame."""

    @abstractmethod
    def write_audio(self, packet: TimedPacket) -> int:
        """Write a packet of audio, in order of time among those of video; returns the bytes written."""

    def set_network(self, name: str) -> None:
        """Name the network that upscales from now on."""
        self._streams = replace(self._streams, network=name) if self._streams else None

    def write_source(self, packet: TimedPacket) -> None:  # noqa: B027 - most keep none
        """Write a packet of the source's own video, if the sink keeps them."""

    def take_error(self) -> str:
        """An error of work in the background that no call has raised yet; "" without one."""
        return ""

    def end_segment(self) -> None:  # noqa: B027 - most wait for the next part
        """Finish the open segment: the source is lost, perhaps for long."""

    def abort(self) -> None:
        """Finish open files as far as possible, after an error."""
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Finish open files."""


def error_message(error: Exception) -> str:
    """The message of an error, without FFmpeg's own text, which holds the URL and its password."""
    return str(getattr(error, "strerror", None) or error)


_ERRORS = (VidsrError, av.FFmpegError, OSError)
_REFUSALS = (av.ArgumentError, av.InvalidDataError, av.PatchWelcomeError, av.PermissionError)
"""The errors of muxers for a stream or a packet. Video comes from our own encoder, so that audio is their cause."""
_MAX_RETRY_S = 60.0
_STABLE_S = 4.0  # without an error, before it counts as up again: a full disk fails at a flush, a silent server at 3 s
_RESET_S = 60.0  # without an error, before the pauses start from the shortest again


class RetryingSink:
    """A sink that is restarted after errors: at a key frame, after pauses that double up to 60 s.

    The standard output is not restarted when the program that reads it has ended; where it `is_only`, as no other sink
    goes on without it, its errors are raised as TargetError.

    `on_warning` receives each outage and its end; `error` is "" while the sink is up. `inner` is the sink itself.
    """

    def __init__(self, label: str, inner: Sink, on_warning: Callable[[str], None], *, is_only: bool = False) -> None:
        self.label, self.inner, self.bytes_written = label, inner, 0
        self.error = self._problem = ""
        self._on_warning = on_warning
        self._retry_s, self._is_only = inner.first_retry_s, is_only
        self._down = False
        self._since_s = 0.0  # time of the restart; while it is down, of the next one

    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether the sink is up, or due for a restart, and begins a file or stream with the frame at `pts`."""
        return not self._is_waiting() and self.inner.wants_key(pts, source_key=source_key)

    def takes_video(self, pts: int, *, source_key: bool) -> bool:
        """Whether the frame at `pts` is written, and not only its original."""
        return self.inner.takes_video(begins=self.wants_key(pts, source_key=source_key))

    def write_video(self, packet: TimedPacket) -> None:
        """Write a packet of video; restart the sink if it is due."""
        if self._down and packet.key and not self._is_waiting():
            self._down, self._since_s = False, monotonic()
        if not self._down:
            self.attempt(lambda inner: inner.write_video(packet))
        if not self._down:
            self._check_recovery()

    def write_audio(self, packet: TimedPacket) -> None:
        """Write a packet of audio, unless the sink is down."""
        if not self._down:
            self.attempt(lambda inner: inner.write_audio(packet))

    def attempt(self, step: Callable[[Sink], int | None]) -> None:
        """Let the sink do a step, which may return the bytes written; an error puts it down."""
        try:
            self.bytes_written += step(self.inner) or 0
        except _REFUSALS as error:
            if not self.inner.drop_audio():
                self._fail(error)
                return
            self._on_warning(f"{self.label}: refuses the audio ({error_message(error)}), which is dropped")
            self._abort()  # the next frame begins again
        except _ERRORS as error:
            self._fail(error)

    def end(self) -> None:
        """Warn of an error of the last work in the background, when it is done: no later call raises it."""
        if (message := self.inner.take_error()) and not self.error:
            self.error = message
            self._on_warning(f"{self.label}: {message}; the end of its last file may be lost")

    def _is_waiting(self) -> bool:
        return self._down and monotonic() < self._since_s

    def _fail(self, error: Exception) -> None:
        message, is_final = error_message(error), self.inner.is_pipe and isinstance(error.__cause__, BrokenPipeError)
        is_raised = self._is_only and self.inner.is_pipe
        if not self.error and not is_raised:
            end = "it is written no more" if is_final else "retrying until it works"
            self._on_warning(f"{self.label}: {message}; {end}")
        self.error = message
        self._down, self._since_s = True, inf if is_final or is_raised else monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, _MAX_RETRY_S)
        self._abort()
        if is_raised:
            raise TargetError(f"{self.label}: {message}") from error.__cause__

    def _abort(self) -> None:
        with suppress(*_ERRORS):  # it has failed already
            self.inner.abort()

    def _check_recovery(self) -> None:
        up_s = monotonic() - self._since_s
        if self.error and up_s > _STABLE_S:
            self.error = ""
            self._on_warning(f"{self.label}: is written again")
        if not self.error and up_s > _RESET_S:
            self._retry_s = self.inner.first_retry_s
        if (problem := self.inner.problem) != self._problem:
            self._on_warning(f"{self.label}: {problem or 'is written again'}")
            self._problem = problem
