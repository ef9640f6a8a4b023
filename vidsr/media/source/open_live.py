"""Opening a live source: no protocol but that of its address, no format but those that cameras send."""

import ssl
import time
from dataclasses import dataclass

import av
from av.container import InputContainer

from vidsr.errors import SourceError
from vidsr.media.error_text import not_opened, starved
from vidsr.media.open_input import open_source
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import Address

_LOOK_S = 10.0
"""So much of a stream is read at most until all is known about it; one joined between key frames tells at the next."""
_LOOK_BYTES = 32_000_000  # that is 10 s of 25 Mbit/s, and what a connection may take of memory meanwhile


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What FFmpeg may use for addresses of a scheme, and what it calls its timeout there."""

    protocols: str
    formats: str
    timeout: str


_HTTP = "mpegts,mpjpeg,mjpeg,flv"
_KINDS = {
    "rtsp": _Kind(protocols="tcp,rtp,udp", formats="rtsp", timeout="timeout"),
    "rtsps": _Kind(protocols="tls,tcp,rtp,udp", formats="rtsp", timeout="timeout"),
    "http": _Kind(protocols="http,tcp", formats=_HTTP, timeout="rw_timeout"),
    "https": _Kind(protocols="https,tls,tcp", formats=_HTTP, timeout="rw_timeout"),
    "udp": _Kind(protocols="udp", formats="mpegts", timeout="timeout"),
}


def open_live(address: Address, settings: StreamSettings) -> InputContainer:
    """The source, opened for reading; the caller closes it. It takes at most 4 x `timeout_s`, and the name's look-up.

    Raises SourceLost for what may be there another time, SourceError for what is no live source at all.
    """
    if address.path is not None:
        if not settings.realtime:
            raise SourceError(f"{address}: a file is played as a live source only with --realtime")
        return open_source(address.path)
    if address.scheme not in _KINDS:
        raise SourceError(f"{address}: no live source is read by {address.scheme}, but by {', '.join(_KINDS)}")
    began = time.monotonic()
    try:
        container = av.open(
            f"{address.scheme}://{address.text.partition('://')[2]}",  # FFmpeg knows schemes in lower case only
            container_options=_options(address.scheme, settings),
            timeout=(2 * settings.timeout_s, settings.timeout_s),
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        fault = not_opened(address, error, seconds=time.monotonic() - began, settings=settings)
    else:
        if time.monotonic() - began < 2 * settings.timeout_s:
            return container
        container.close()  # FFmpeg gave up looking, perhaps amid a packet, and says nothing of it
        fault = starved(address, settings)
    raise fault  # out here it has no context: the text of FFmpeg's error holds the whole address


def _options(scheme: str, settings: StreamSettings) -> dict[str, str]:
    kind, timeout_us = _KINDS[scheme], f"{settings.timeout_s * 1e6:.0f}"
    look_s = min(1.5 * settings.timeout_s, _LOOK_S)  # within the 2 x timeout_s that opening has for it
    options = {
        "protocol_whitelist": kind.protocols,
        "format_whitelist": kind.formats,
        kind.timeout: timeout_us,
        "analyzeduration": f"{look_s * 1e6:.0f}",
        "probesize": str(_LOOK_BYTES),
        "fflags": "-genpts",  # for times that are missing PyAV has it read ahead, without a limit
        "fpsprobesize": "0",  # else 20 more frames are waited for, only to estimate a rate that nobody relies on
    }
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = settings.transport
    if scheme == "udp":
        options["overrun_nonfatal"] = "1"
    if scheme in ("http", "https"):
        options["seekable"] = "0"
    if scheme in ("https", "rtsps"):
        options["tls_verify"] = "0" if settings.insecure else "1"
        if trusted := ssl.get_default_verify_paths().cafile:  # SSL_CERT_FILE, or the system's
            options["ca_file"] = trusted
    return options
