"""The sink that pushes to a server by RTMP or RTSP, or to the program that reads the standard output."""

import errno
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic

import av

from vidsr.errors import TargetError
from vidsr.media.containers import Container
from vidsr.media.ffmpeg_log import FFMPEG_LOG, ffmpeg_log
from vidsr.media.sink.muxer import Muxer
from vidsr.media.sink.sink import Sink
from vidsr.media.stream_template import OutputStreams, TimedPacket
from vidsr.stream_url import StreamUrl

_TIMEOUT_US = "3000000"  # closing may take as long, and blocks this process
# The fifo muxer of FFmpeg sends from its own thread: in ours, a silent server would block the process.
_FIFO = {
    "drop_pkts_on_overflow": "1",
    "restart_with_keyframe": "1",
    "queue_size": "60",
    "max_interleave_delta": "1000000",
}
_QUEUED_S = 4.0  # a server that takes nothing for 3 s is an error
_SLOW_S = 15.0  # FFmpeg reports a full queue only as often as it empties it
_MAX_AUDIO_LAG = 81_000  # the interleaver sorts audio up to a second behind; FLV servers disconnect at later packets
_RTMP = Container(format="flv", codecs=frozenset(["h264", "hevc", "av1", "vp9", "aac", "mp3"]))
_RTSP = Container(
    format="rtp",
    codecs=frozenset(["h264", "hevc", "av1", "vp9", "mjpeg", "aac", "mp3", "opus", "ac3", "pcm_alaw", "pcm_mulaw"]),
)
_PIPE = Container(format="mpegts", codecs=frozenset(["h264", "hevc", "mpeg2video", "aac", "mp3", "ac3", "opus"]))
_CONTAINERS = {"rtsp": _RTSP, "rtsps": _RTSP, "pipe": _PIPE}


class PushSink(Sink):
    """A push to a server, or as MPEG-TS to an open file, pipe://FD.

    A lost or rejected one raises TargetError at the next packet.
    """

    key_interval_s = 2.0  # viewers wait for one
    first_retry_s = 1.0

    def __init__(self, url: StreamUrl, on_warning: Callable[[str], None]) -> None:
        super().__init__(_CONTAINERS.get(url.scheme, _RTMP), on_warning)
        self._url, self.is_pipe = url, self.container is _PIPE
        self._muxer: Muxer | None = None
        self._slow_s = -_SLOW_S
        self._last_pts = 0
        self._queued: deque[tuple[float, int]] = deque()  # when each frame was queued that may not be sent yet

    @property
    def problem(self) -> str:
        """What is wrong with the server while it takes packets; "" for nothing."""
        return "the server is too slow; frames are dropped" if monotonic() - self._slow_s < _SLOW_S else ""

    def _frame_queued(self, pts: int) -> None:
        """Report the frames that were queued long enough ago: FFmpeg does not report what it sends."""
        now = monotonic()
        self._queued.append((now, pts))
        while self._queued[0][0] < now - _QUEUED_S:
            self.on_frame(self._queued.popleft()[1])

    def begin(self, streams: OutputStreams) -> None:
        """Continue with the streams if the connection can, else reconnect."""
        continues = self._streams is not None and self._streams.can_continue_with(streams)
        super().begin(streams)
        if not continues:
            self.close()

    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether the stream begins with the frame."""
        return self._muxer is None

    def write_video(self, packet: TimedPacket) -> int:
        """Queue a packet to be sent; returns its bytes."""
        if self._muxer is None and packet.key:
            self._open(packet.pts)
        if self._muxer is None:
            return 0
        self._last_pts = packet.pts
        return self._write(self._muxer.write_video, packet)

    def write_audio(self, packet: TimedPacket) -> int:
        """Queue a packet to be sent; returns its bytes."""
        if self._muxer is None or packet.pts < self._last_pts - _MAX_AUDIO_LAG:
            return 0
        return self._write(self._muxer.write_audio, packet)

    def close(self) -> None:
        """Disconnect; waits up to the timeout if the server does not answer."""
        muxer, self._muxer = self._muxer, None
        self._queued.clear()
        if not muxer:
            return
        try:
            with FFMPEG_LOG:
                muxer.close()
        except (av.FFmpegError, OSError) as error:
            if not self.is_pipe:
                raise
            raise self._target_error(error) from error

    def _open(self, pts: int) -> None:
        assert self._streams
        rest = self._url.text.partition("://")[2]
        self._muxer = Muxer(
            f"pipe:{rest}" if self.is_pipe else f"{self._url.scheme}://{rest}",
            format="fifo",
            options=_FIFO | self._fifo_options(),
            video=self._streams.video,
            audio=self._audio,
            start_pts=pts,
            delay_one=False,
            on_frame=self._frame_queued,
        )

    def _fifo_options(self) -> dict[str, str]:
        """The format, and its own options."""
        if self.is_pipe:
            return {"fifo_format": "mpegts"}
        rtsp = self.container is _RTSP
        options = {"timeout": _TIMEOUT_US, "rtsp_transport": "tcp"} if rtsp else {"rw_timeout": _TIMEOUT_US}
        if self._url.scheme.endswith("s"):
            options["tls_verify"] = "1"
            if trusted := ssl.get_default_verify_paths().cafile:
                options["ca_file"] = trusted
        return {"fifo_format": "rtsp" if rtsp else "flv", "format_opts": ":".join(map("=".join, options.items()))}

    def _write(self, write: Callable[[TimedPacket], int], packet: TimedPacket) -> int:
        try:
            with ffmpeg_log(av.logging.WARNING) as lines:
                written = write(packet)
        except (av.FFmpegError, OSError) as error:
            raise self._target_error(error) from (error if self.is_pipe else None)
        if any(text.startswith("FIFO queue full") for _, _, text in lines):
            self._slow_s = monotonic()
            self._queued.clear()
        return written

    def _target_error(self, error: av.FFmpegError | OSError) -> TargetError:
        if error.errno == errno.EIO and self._url.scheme.endswith("s"):  # of an invalid certificate, too
            return TargetError("the server rejects the stream, or its certificate cannot be verified")
        if self.is_pipe and isinstance(error, BrokenPipeError):
            return TargetError("the program that reads it has ended")
        subject = "nothing can be written" if self.is_pipe else "the server rejects the stream"
        return TargetError(f"{subject} ({error.strerror})")
