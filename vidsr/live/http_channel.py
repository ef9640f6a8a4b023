"""The connections of the HTTP server: waitress, with limits for slow clients, and without HTTP/0.9."""

import socket
import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer

_MIN_TAKEN = 64 << 10
"""The bytes of an answer that a client must take within the timeout."""


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    def parse_header(self, header_plus: bytes) -> None:
        """Refuse what is read as HTTP/0.9."""
        super().parse_header(header_plus)
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("HTTP/1.0 or HTTP/1.1 is required")


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose time runs from the first byte of a request, and from each 64 kB of an answer.

    Waitress extends it with each byte.
    """

    parser_class = _Parser
    _since_s = 0.0
    _n_sent = _n_marked = 0

    @property
    def last_activity(self) -> float:
        return self._since_s

    @last_activity.setter
    def last_activity(self, now_s: float) -> None:
        is_taken = not self.total_outbufs_len or self._n_sent - self._n_marked >= _MIN_TAKEN
        if self.request is None and is_taken:
            self._since_s, self._n_marked = now_s, self._n_sent

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Count what is sent."""
        n_sent: int = super().send(data, do_close)
        self._n_sent += n_sent or 0
        return n_sent

    def write_soon(self, data: Any) -> int:
        """Queue a part of an answer; the time for taking it runs from now on, unless another one is waiting."""
        if not self.total_outbufs_len:
            self._since_s, self._n_marked = time.time(), self._n_sent
        n_queued: int = super().write_soon(data)
        return n_queued


class HttpServer(TcpWSGIServer):  # type: ignore[misc]
    """The server of a WSGI application."""

    channel_class = _Channel

    def maintenance(self, now: float) -> None:
        """Close the connections that are idle, and those that take nothing of an answer that is still being made."""
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            if channel.total_outbufs_len and channel.last_activity < now - self.adj.channel_timeout:
                channel.will_close = True


def listener(host_port: tuple[str, int]) -> socket.socket:
    """A socket that is bound. Raises OSError."""
    family, *_, address = socket.getaddrinfo(*host_port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
