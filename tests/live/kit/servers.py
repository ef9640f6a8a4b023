"""Servers that misbehave: one that never answers, and one that answers HTTP with given data."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def free_port() -> int:
    """A free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass
class SilentServer:
    """A server that accepts every connection and never answers."""

    port: int
    calls: list[float] = field(default_factory=list)
    """When each connection came, by the monotonic clock."""


@contextmanager
def silent(port: int = 0) -> Iterator[SilentServer]:
    """The server, and its connections, until the end of the block."""
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    server = SilentServer(listener.getsockname()[1])
    callers: list[socket.socket] = []

    def listen() -> None:
        with suppress(OSError):
            while True:
                callers.append(listener.accept()[0])
                server.calls.append(time.monotonic())

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for opened in (listener, *callers):
            opened.close()


Body = Callable[[], Iterator[bytes]]


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for them, and every connection is closed
    ended = False


@contextmanager
def http(body: Body, *, kind: str = "video/mp2t", status: int = 200) -> Iterator[str]:
    """The URL at which every GET is answered by a new `body`, piece by piece, until either side ends."""

    class Answer(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            with suppress(OSError):
                for piece in body():
                    if server.ended:
                        return
                    self.wfile.write(piece)

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/cam"
    finally:
        server.ended = True
        server.shutdown()
        thread.join()
        server.server_close()


_DATAGRAM = 7 * 188


@contextmanager
def udp(body: Body) -> Iterator[str]:
    """The URL to receive a `body` of MPEG-TS from, sent as datagrams from now on."""
    port, ended = free_port(), threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for piece in body():
                for start in range(0, len(piece), _DATAGRAM):
                    with suppress(ConnectionRefusedError):
                        sender.sendto(piece[start : start + _DATAGRAM], ("127.0.0.1", port))
                if ended.is_set():
                    return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield f"udp://127.0.0.1:{port}"
    finally:
        ended.set()
        thread.join()
