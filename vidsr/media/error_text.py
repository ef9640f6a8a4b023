"""What FFmpeg's errors at a live source mean, in words: by the stage and the time they came, hardly by their class."""

import errno
import socket
import ssl
from urllib.parse import urlsplit

import av

from vidsr.errors import SourceLost
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import Address

_PORTS = {"https": 443, "rtsps": 322}
_SLOW = (av.HTTPUnauthorizedError, av.HTTPForbiddenError)


def not_opened(address: Address, error: av.FFmpegError, *, seconds: float, settings: StreamSettings) -> SourceLost:
    """Why a source could not be opened, after so many seconds; its name and its certificate are tried once more."""
    words = _answer(error)
    if words is None and error.errno == errno.EIO:
        words = _unknown_name(address)  # before the clock is asked: a look-up may take longer than any timeout
    if words is None and seconds >= settings.timeout_s and address.scheme == "udp":
        words = "sends nothing, or hardly anything"  # nobody is asked, so that nobody can fail to answer
    if words is None and seconds >= 2 * settings.timeout_s:  # something came each time before timeout_s was over
        return starved(address, settings)
    if words is None and seconds >= settings.timeout_s:
        words = f"does not answer within {settings.timeout_s:g} s"
    if words is None and error.errno == errno.EIO:
        words = _bad_certificate(address, settings)
    return SourceLost(f"{address}: {words or _broken(address, error)}", slow=isinstance(error, _SLOW))


def starved(address: Address, settings: StreamSettings) -> SourceLost:
    """The source answers, but in all the time it had for it, it did not become clear what it sends."""
    return SourceLost(f"{address}: sends too little to be followed, after {2 * settings.timeout_s:g} s")


def broken_off(error: av.FFmpegError) -> str:
    """How an open connection ended, in words; HTTP without a length ends in EIO."""
    return "closed the connection" if error.errno == errno.EIO else f"the connection broke: {error.strerror}"


def _answer(error: av.FFmpegError) -> str | None:
    """What the other side said; None when it said nothing that can be understood."""
    match error:
        case av.HTTPUnauthorizedError():
            return "refuses the user name and the password, or asks for them (401)"
        case av.HTTPForbiddenError():
            return "forbids access (403)"
        case av.HTTPNotFoundError():
            return "has nothing at that path (404)"
        case av.HTTPServerError():
            return "cannot serve now (an answer in the 500s, such as 503)"
        case av.HTTPClientError():
            return "refuses the request (an answer in the 400s)"
        case av.ConnectionRefusedError():
            return "refuses the connection"
    return None


def _broken(address: Address, error: av.FFmpegError) -> str:
    unclear = error.errno == errno.EIO or isinstance(error, av.ArgumentError | av.InvalidDataError)
    if isinstance(error, av.EOFError):
        return "closed the connection before it sent anything"
    if unclear and address.scheme in ("rtsp", "rtsps"):
        return "does not answer as RTSP does, leads elsewhere, or closed the connection"
    if unclear:
        return "sends nothing that is a camera's video, leads elsewhere, or closed the connection"
    return error.strerror or "cannot be opened"


def _unknown_name(address: Address) -> str | None:
    host, _ = _place(address)
    if host is None:
        return None
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return "no address is known for this name"
    return None


def _bad_certificate(address: Address, settings: StreamSettings) -> str | None:
    """Why the server's certificate is not believed: FFmpeg says no more than "Input/output error"."""
    host, port = _place(address)
    if address.scheme not in _PORTS or settings.insecure or host is None:
        return None
    try:
        context = ssl.create_default_context(cafile=ssl.get_default_verify_paths().cafile)
        with (
            socket.create_connection((host, port or _PORTS[address.scheme]), settings.timeout_s) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return f"its certificate cannot be verified: {error.verify_message} (see --insecure)"
    except ssl.SSLError:
        return "does not speak TLS"
    except OSError:
        return None


def _place(address: Address) -> tuple[str | None, int | None]:
    """The host and the port, where they can be made out."""
    try:
        parts = urlsplit(str(address))
        return parts.hostname, parts.port
    except ValueError:
        return None, None
