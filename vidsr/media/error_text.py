"""The messages for errors of FFmpeg at a live source: by stage and time, as their classes say little."""

import errno
import socket
import ssl
from urllib.parse import urlsplit

import av

from vidsr.errors import SourceLost
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import StreamUrl

_PORTS = {"https": 443, "rtsps": 322}
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
