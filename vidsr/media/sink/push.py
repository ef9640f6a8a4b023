"""Sending to a server, by RTMP or RTSP, that may be slow, silent or not there."""

import ssl
from collections.abc import Callable

from vidsr.media.containers import Container
from vidsr.media.sink.fifo_log import FifoLog
from vidsr.media.sink.muxer import Outlet
from vidsr.media.sink.sink import Target
from vidsr.media.stream_template import Feed, Unit
from vidsr.stream_url import Address

_TIMEOUT_US = "3000000"  # closing may take as long, and nothing else of this process runs meanwhile
# FFmpeg sends from a thread of its own: in ours, a server that does not answer would stop all of this process.
_FIFO = {
    "attempt_recovery": "1",
    "drop_pkts_on_overflow": "1",
    "recover_any_error": "1",
    "recovery_wait_time": "1",
    "restart_with_keyframe": "1",
    "queue_size": "60",
    "max_interleave_delta": "1000000",
}
_UNSAID = "(Input/output error)"  # all that FFmpeg says of a certificate that it does not believe
_LATEST = 81_000  # sound that is later than the pictures is put in order for a second; FLV hangs up at what is not
_RTMP = Container(format="flv", codecs=frozenset(["h264", "hevc", "av1", "vp9", "aac", "mp3"]))
_RTSP = Container(
    format="rtp",
    codecs=frozenset(["h264", "hevc", "av1", "vp9", "mjpeg", "aac", "mp3", "opus", "ac3", "pcm_alaw", "pcm_mulaw"]),
)


class Push(Target):
    """A server, dialled again for as long as it takes: `trouble` says what it does not do."""

    key_s = 2.0  # whoever looks in waits for one

    def __init__(self, address: Address, say: Callable[[str], None]) -> None:
        super().__init__(_RTSP if address.scheme.startswith("rtsp") else _RTMP, say)
        self._address = address
        self._outlet: Outlet | None = None
        self._log: FifoLog | None = None
        self._last = 0

    @property
    def trouble(self) -> str:
        """What is wrong with the server, in words."""
        words = self._log.trouble if self._log else ""
        if words.endswith(_UNSAID) and self._address.scheme.endswith("s"):
            return "the server does not take the stream, or its certificate cannot be verified"
        return words

    def begin(self, feed: Feed) -> None:
        """Go on with the feed where the server can, or greet it anew."""
        goes_on = self._feed is not None and self._feed.goes_on_as(feed)
        super().begin(feed)
        if not goes_on:
            self.close()

    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether the stream begins with the picture."""
        return self._outlet is None

    def video(self, unit: Unit) -> int:
        """The bytes handed to the sending thread."""
        if self._outlet is None and unit.key:
            self._open(unit.pts)
        if self._outlet is None:
            return 0
        self._last = unit.pts
        return self._written(self._outlet.video, unit)

    def sound(self, unit: Unit) -> int:
        """The bytes handed to the sending thread."""
        if self._outlet is None or unit.pts < self._last - _LATEST:
            return 0
        return self._written(self._outlet.sound, unit)

    def fail(self) -> None:
        """Hang up."""
        self.close()

    def close(self) -> None:
        """Hang up, which takes as long as the timeout where the server is silent."""
        outlet, log, self._outlet, self._log = self._outlet, self._log, None, None
        if log:
            with log.closing():
                if outlet:
                    outlet.close()

    def _open(self, pts: int) -> None:
        assert self._feed
        rtsp = self.kind is _RTSP
        options = {"timeout": _TIMEOUT_US, "rtsp_transport": "tcp"} if rtsp else {"rw_timeout": _TIMEOUT_US}
        if self._address.scheme.endswith("s"):
            options["tls_verify"] = "1"
            if trusted := ssl.get_default_verify_paths().cafile:
                options["ca_file"] = trusted
        fifo = {"fifo_format": "rtsp" if rtsp else "flv", "format_opts": ":".join(map("=".join, options.items()))}
        url = f"{self._address.scheme}://{self._address.text.partition('://')[2]}"
        self._log = FifoLog()
        self._outlet = Outlet(
            url,
            format="fifo",
            options=_FIFO | fifo,
            video=self._feed.video,
            audio=self._audio,
            begin=pts,
            patient=False,
        )

    def _written(self, write: Callable[[Unit], int], unit: Unit) -> int:
        assert self._log
        with self._log.writing():
            return write(unit)
