"""Opening a live source, limited to its protocol and the formats of cameras; and the messages for errors."""

import errno
import socket
import ssl
import time
from urllib.parse import urlsplit

import av
from av.container import InputContainer

from vidsr.errors import SourceError, SourceLost
from vidsr.media.open_input import open_source
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import StreamUrl

_PROBE_S = 10.0
"""The most seconds of a stream to analyse; a stream joined between key frames is known only at the next one."""
_PROBE_BYTES = 32_000_000  # 10 s at 25 Mbit/s; also the memory of a connection while it is probed


_HTTP = "mpegts,mpjpeg,mjpeg,flv"
_HLS = "hls,mpegts,mov,aac"
_HLS_TIMEOUT_S = 30.0  # between two segments
_PROTOCOLS = {
    "rtsp": ("tcp,rtp,udp", "rtsp", "timeout"),
    "rtsps": ("tls,tcp,rtp,udp", "rtsp", "timeout"),
    "rtmp": ("rtmp,tcp", "flv,live_flv", "rw_timeout"),
    "rtmps": ("rtmps,tls,tcp", "flv,live_flv", "rw_timeout"),
    "http": ("http,tcp", _HTTP, "rw_timeout"),
    "https": ("https,tls,tcp", _HTTP, "rw_timeout"),
    "udp": ("udp", "mpegts", "timeout"),
}
"""The protocols and formats that FFmpeg may use for a scheme, and the name of its timeout option."""

_DEVICE_ERRORS = {
    errno.ENOENT: "no such device",
    errno.ENODEV: "gives no video",
    errno.ENOTTY: "is not a device of V4L2",
    errno.EBUSY: "is used by another program",
    errno.EACCES: "may not be read by this user; that takes the group of the device, mostly video",
}


def open_live(url: StreamUrl, settings: StreamSettings) -> InputContainer:
    """The opened source; the caller closes it. Takes at most 8 x the timeout, plus the DNS look-up.

    Raises SourceLost for a source that may be available later, SourceError for one that can never be.
    """
    if url.path is not None and url.is_file:
        if not settings.realtime:
            raise SourceError(f"{url}: a file is played as a live source only with --realtime")
        return open_source(url.path)
    if url.is_device:
        return _open_device(url)
    if url.scheme not in _PROTOCOLS:
        raise SourceError(f"{url}: cannot read {url.scheme}://; supported are {', '.join(_PROTOCOLS)}")
    began_s = time.monotonic()
    try:
        container = _open(url, settings)
    except av.FFmpegError as error:
        if isinstance(error, av.InvalidDataError) and (jpegs := _open_jpegs(url, settings)):
            return jpegs
        lost = open_error(url, error, seconds=time.monotonic() - began_s, settings=settings)
    else:
        if time.monotonic() - began_s < 2 * settings.timeout_s:
            return container
        container.close()  # FFmpeg silently stopped probing, perhaps within a packet
        lost = starvation_error(url, settings)
    raise lost  # outside `except`: the context, an error of FFmpeg, would hold the whole URL


def silence_s(url: StreamUrl, settings: StreamSettings) -> float:
    """Seconds without any packet after which a source is lost: the packets of HLS come a segment at a time."""
    return max(settings.timeout_s, _HLS_TIMEOUT_S) if url.is_playlist else settings.timeout_s


def _open_device(url: StreamUrl) -> InputContainer:
    try:
        return av.open(url.text, format="video4linux2", metadata_errors="replace")
    except av.FFmpegError as error:
        text = _DEVICE_ERRORS.get(error.errno or 0, error.strerror)
        raise (SourceError if error.errno == errno.ENOTTY else SourceLost)(f"{url}: {text}") from error


def _open(url: StreamUrl, settings: StreamSettings, **more: str) -> InputContainer:
    options = _options(url, settings)
    return av.open(
        f"{url.scheme}://{url.text.partition('://')[2]}",  # FFmpeg only knows lower-case schemes
        format=more.pop("format", None),
        container_options=options | more,
        timeout=(2 * settings.timeout_s, silence_s(url, settings)),
        metadata_errors="replace",
    )


def _open_jpegs(url: StreamUrl, settings: StreamSettings) -> InputContainer | None:
    """JPEGs by HTTP whose multipart form FFmpeg does not detect: many small cameras send the first boundary late."""
    if url.scheme not in ("http", "https"):
        return None
    try:
        container = _open(url, settings, format="mjpeg", analyzeduration="1")  # else it counts frames for seconds
    except av.FFmpegError:
        return None
    if container.streams.video[0].codec_context.width:
        return container
    container.close()
    return None


def _options(url: StreamUrl, settings: StreamSettings) -> dict[str, str]:
    scheme = url.scheme
    protocols, formats, timeout_option = _PROTOCOLS[scheme]
    if url.is_playlist:
        protocols, formats = "http,https,tls,tcp,crypto,data", _HLS
    probe_s = min(1.5 * settings.timeout_s, _PROBE_S)  # within the 2 x timeout_s of av.open
    options = {
        "protocol_whitelist": protocols,
        "format_whitelist": formats,
        timeout_option: f"{settings.timeout_s * 1e6:.0f}",
        "analyzeduration": f"{probe_s * 1e6:.0f}",
        "probesize": str(_PROBE_BYTES),
        "fflags": "-genpts",  # PyAV sets +genpts, which reads ahead without a limit if times are missing
        "fpsprobesize": "0",  # else it waits for 20 more frames to estimate a rate that is not used
    }
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = settings.transport
    if scheme == "udp":
        options["overrun_nonfatal"] = "1"
    if scheme in ("http", "https") and not url.is_playlist:
        options["seekable"] = "0"
    if scheme in ("https", "rtsps", "rtmps"):
        options["tls_verify"] = "0" if settings.insecure else "1"
        if trusted := ssl.get_default_verify_paths().cafile:  # SSL_CERT_FILE, or that of the system
            options["ca_file"] = trusted
    return options


_PORTS = {"https": 443, "rtsps": 322, "rtmps": 443}
_LOCKOUT_ERRORS = (av.HTTPUnauthorizedError, av.HTTPForbiddenError)


def open_error(url: StreamUrl, error: av.FFmpegError, *, seconds: float, settings: StreamSettings) -> SourceLost:
    """The error for a source that could not be opened, after `seconds`.

    It may look up the name of the host and try its certificate again.
    """
    text = _reply_text(error)
    if text is None and error.errno == errno.EIO:
        text = _dns_text(url)  # before the times: a look-up may take longer than any timeout
    if text is None and seconds >= settings.timeout_s and url.scheme == "udp":
        text = "sends nothing, or too little"  # there is no request that could be unanswered
    if text is None and seconds >= 2 * settings.timeout_s:  # data came before each timeout
        return starvation_error(url, settings)
    if text is None and seconds >= settings.timeout_s:
        text = f"does not answer within {settings.timeout_s:g} s"
    if text is None and error.errno == errno.EIO:
        text = _certificate_text(url, settings)
    return SourceLost(f"{url}: {text or _fallback_text(url, error)}", slow=isinstance(error, _LOCKOUT_ERRORS))


def starvation_error(url: StreamUrl, settings: StreamSettings) -> SourceLost:
    """The error for a source that answers, but sends too little to detect its format in time."""
    return SourceLost(f"{url}: sends too little to detect a stream, after {2 * settings.timeout_s:g} s")


def disconnect_text(error: av.FFmpegError) -> str:
    """How an open connection ended. HTTP without a content length ends in EIO."""
    return "closed the connection" if error.errno == errno.EIO else f"the connection broke: {error.strerror}"


def _reply_text(error: av.FFmpegError) -> str | None:
    """The reply of the server; None if it sent none that is understood."""
    match error:
        case av.HTTPUnauthorizedError():
            return "rejects the user name or the password, or requires them (401)"
        case av.HTTPForbiddenError():
            return "forbids access (403)"
        case av.HTTPNotFoundError():
            return "has no such path (404)"
        case av.HTTPServerError():
            return "has a server error (HTTP 5xx)"
        case av.HTTPClientError():
            return "rejects the request (HTTP 4xx)"
        case av.ConnectionRefusedError():
            return "refuses the connection"
    return None


def _fallback_text(url: StreamUrl, error: av.FFmpegError) -> str:
    unclear = error.errno == errno.EIO or isinstance(error, av.ArgumentError | av.InvalidDataError)
    if isinstance(error, av.EOFError):
        return "closed the connection before it sent anything"
    if unclear and url.scheme in ("rtsp", "rtsps"):
        return "does not speak RTSP, redirects elsewhere, or closed the connection"
    if unclear:
        return "sends no video of a supported format, redirects elsewhere, or closed the connection"
    return error.strerror or "cannot be opened"


def _dns_text(url: StreamUrl) -> str | None:
    host, _ = _host_and_port(url)
    if host is None:
        return None
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return "unknown host name"
    return None


def _certificate_text(url: StreamUrl, settings: StreamSettings) -> str | None:
    """Why the certificate is not trusted, which FFmpeg reports as "Input/output error"; None if it is."""
    host, port = _host_and_port(url)
    if url.scheme not in _PORTS or settings.insecure or host is None:
        return None
    try:
        context = ssl.create_default_context(cafile=ssl.get_default_verify_paths().cafile)
        with (
            socket.create_connection((host, port or _PORTS[url.scheme]), settings.timeout_s) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return f"its certificate cannot be verified: {error.verify_message} (see --insecure)"
    except ssl.SSLError:
        return "does not speak TLS"
    except OSError:
        return None


def _host_and_port(url: StreamUrl) -> tuple[str | None, int | None]:
    """The host and the port; None if the URL cannot be parsed."""
    try:
        parts = urlsplit(str(url))
        return parts.hostname, parts.port
    except ValueError:
        return None, None
