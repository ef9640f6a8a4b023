"""The interface of all sinks."""

from abc import ABC, abstractmethod
from collections.abc import Callable

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

    def __init__(self, container: Container, on_warning: Callable[[str], None]) -> None:
        self.container, self._on_warning = container, on_warning
        self._streams: OutputStreams | None = None
        self._audio_fits = True
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

    @abstractmethod
    def write_video(self, packet: TimedPacket) -> int:
        """Write a packet of video; returns the bytes written. Nothing is written before the first key frame."""

    @abstractmethod
    def write_audio(self, packet: TimedPacket) -> int:
        """Write a packet of audio, in order of time among those of video; returns the bytes written."""

    def write_source(self, packet: TimedPacket) -> None:  # noqa: B027 - most keep none
        """Write a packet of the source's own video, if the sink keeps them."""

    def end_segment(self) -> None:  # noqa: B027 - most wait for the next part
        """Finish the open segment: the source is lost, perhaps for long."""

    @abstractmethod
    def abort(self) -> None:
        """Finish open files as far as possible, after an error."""

    @abstractmethod
    def close(self) -> None:
        """Finish open files."""


def error_message(error: Exception) -> str:
    """The message of an error, without FFmpeg's own text, which holds the URL and its password."""
    return str(getattr(error, "strerror", None) or error)
