"""The sink that pushes to a server by RTMP or RTSP, by FFmpeg's fifo muxer, which reports only through its log."""

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_native_id
from time import monotonic, sleep

import av

from vidsr.media.containers import Container
from vidsr.media.sink.muxer import Muxer
from vidsr.media.sink.sink import Sink
from vidsr.media.stream_template import OutputStreams, TimedPacket
from vidsr.stream_url import StreamUrl

_TIMEOUT_US = "3000000"  # closing may take as long, and blocks this process
# The fifo muxer of FFmpeg sends from its own thread: in ours, a silent server would block the process.
_FIFO = {
    "attempt_recovery": "1",
    "drop_pkts_on_overflow": "1",
    "recover_any_error": "1",
    "recovery_wait_time": "1",
    "restart_with_keyframe": "1",
    "queue_size": "60",
    "max_interleave_delta": "1000000",
}
_IO_ERROR = "(Input/output error)"  # the message of FFmpeg for an invalid certificate, too
_MAX_AUDIO_LAG = 81_000  # the interleaver sorts audio up to a second behind; FLV servers disconnect at later packets
_RTMP = Container(format="flv", codecs=frozenset(["h264", "hevc", "av1", "vp9", "aac", "mp3"]))
_RTSP = Container(
    format="rtp",
    codecs=frozenset(["h264", "hevc", "av1", "vp9", "mjpeg", "aac", "mp3", "opus", "ac3", "pcm_alaw", "pcm_mulaw"]),
)


class PushSink(Sink):
    """A push to a server, reconnected for as long as it takes; `problem` says what is wrong with the server."""

    key_interval_s = 2.0  # viewers wait for one

    def __init__(self, url: StreamUrl, on_warning: Callable[[str], None]) -> None:
        super().__init__(_RTSP if url.scheme.startswith("rtsp") else _RTMP, on_warning)
        self._url = url
        self._muxer: Muxer | None = None
        self._log: FifoLog | None = None
        self._last_pts = 0

    @property
    def problem(self) -> str:
        """What is wrong with the server; "" for nothing."""
        words = self._log.problem if self._log else ""
        if words.endswith(_IO_ERROR) and self._url.scheme.endswith("s"):
            return "the server rejects the stream, or its certificate cannot be verified"
        return words

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
        muxer, log, self._muxer, self._log = self._muxer, self._log, None, None
        if log:
            with log.during_close():
                if muxer:
                    muxer.close()

    def _open(self, pts: int) -> None:
        assert self._streams
        rtsp = self.container is _RTSP
        options = {"timeout": _TIMEOUT_US, "rtsp_transport": "tcp"} if rtsp else {"rw_timeout": _TIMEOUT_US}
        if self._url.scheme.endswith("s"):
            options["tls_verify"] = "1"
            if trusted := ssl.get_default_verify_paths().cafile:
                options["ca_file"] = trusted
        fifo = {"fifo_format": "rtsp" if rtsp else "flv", "format_opts": ":".join(map("=".join, options.items()))}
        target = f"{self._url.scheme}://{self._url.text.partition('://')[2]}"
        self._log = FifoLog()
        self._muxer = Muxer(
            target,
            format="fifo",
            options=_FIFO | fifo,
            video=self._streams.video,
            audio=self._audio,
            start_pts=pts,
            delay_one=False,
        )

    def _write(self, write: Callable[[TimedPacket], int], packet: TimedPacket) -> int:
        assert self._log
        with self._log.during_write():
            return write(packet)


_LOGGER = "libav.fifo"
_THREADS = Path("/proc/self/task")
_THREAD_NAME = "fifo-consumer"
_MAX_AGE_S = 15.0  # without a server, FFmpeg logs an error at each attempt, every few seconds
_THREAD_WAIT_S = 0.2
_LOG_WAIT_S = 0.05  # longer than a line takes


class FifoLog:
    """The log of one fifo muxer; `problem` is what is wrong with its server, without the URL.

    The lines of a muxer are recognised by the thread that it logs from. Packets are written within `during_write`, and
    the muxer is closed within `during_close`, after which no line is processed.
    """

    def __init__(self) -> None:
        self._other_threads = _fifo_threads()
        self._thread = 0
        self._is_writing = False
        self._problem, self._problem_s = "", 0.0
        self._router = _log_router()
        self._router.logs.append(self)
        av.logging.set_skip_repeated(False)
        av.logging.set_level(av.logging.INFO)

    @property
    def problem(self) -> str:
        """What is wrong with the server; "" for nothing."""
        return self._problem if monotonic() - self._problem_s < _MAX_AGE_S else ""

    @contextmanager
    def during_write(self) -> Iterator[None]:
        """To be entered for each packet; the muxer starts its thread with the first one."""
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False
            self._thread = self._thread or self._find_thread()

    @contextmanager
    def during_close(self) -> Iterator[None]:
        """To be entered to close the muxer.

        PyAV joins the thread of the muxer while it holds the GIL, so a line logged meanwhile would deadlock.
        """
        av.logging.set_level(None)
        sleep(_LOG_WAIT_S)
        try:
            yield
        finally:
            self._router.logs.remove(self)
            if self._router.logs:
                av.logging.set_level(av.logging.INFO)

    def on_line(self, line: str) -> None:
        """Process a line of any fifo muxer, in the thread that logged it."""
        if get_native_id() == self._thread:
            if line.startswith(("Error opening", "Recovery failed")):
                self._set_problem(f"the server rejects the stream ({line.rpartition(': ')[2]})")
            elif line.startswith("Recovery successful"):
                self._set_problem("")
        elif self._is_writing and line.startswith("FIFO queue full"):
            self._set_problem(self._problem or "the server is too slow; frames are dropped")

    def _set_problem(self, problem: str) -> None:
        self._problem, self._problem_s = problem, monotonic()

    def _find_thread(self) -> int:
        until = monotonic() + _THREAD_WAIT_S
        while not (new := _fifo_threads() - self._other_threads) and monotonic() < until:
            sleep(0.002)
        return max(new, default=0)


class _LogRouter(logging.Filter):
    """Passes the log lines of FFmpeg to `logs`, and suppresses their output: they hold URLs with passwords."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: list[FifoLog] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass on the line, and return False."""
        line = record.getMessage()
        for log in tuple(self.logs):
            log.on_line(line)
        return False


def _log_router() -> _LogRouter:
    """The single router. All other log lines of FFmpeg, such as those of rtmp and tcp, are suppressed."""
    logging.getLogger("libav").setLevel(logging.CRITICAL + 1)
    logger = logging.getLogger(_LOGGER)
    logger.setLevel(logging.INFO)
    for present in logger.filters:
        if isinstance(present, _LogRouter):
            return present
    router = _LogRouter()
    logger.addFilter(router)
    return router


def _fifo_threads() -> set[int]:
    """The threads of all fifo muxers; empty where /proc is missing."""
    found = set()
    with suppress(OSError):
        for task in _THREADS.iterdir():
            with suppress(OSError):  # the thread has ended
                if (task / "comm").read_text().strip() == _THREAD_NAME:
                    found.add(int(task.name))
    return found
