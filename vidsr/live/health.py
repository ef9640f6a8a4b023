"""How the cameras are, over HTTP: /healthz, /metrics, and a page to look at."""

import ipaddress
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from socketserver import TCPServer
from threading import BoundedSemaphore, Thread
from types import TracebackType
from typing import Self

from vidsr.live.camera_watchdog import View
from vidsr.live.dashboard import html_of, told
from vidsr.live.metrics import exposition

_Client = tuple[str, int]
_THREADS, _WAITING = 4, 16
_TURN_S = 0.1
_LONGEST_HEAD = 16 << 10
_PICTURE = re.compile(r"/camera/([A-Za-z0-9_-]+)/(before|after)\.jpg")
_ONLY_FROM_HERE = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class HealthServer(TCPServer):
    """Answers while `with` is open. At most 4 requests are answered at once and 12 wait; more are hung up on."""

    patience_s = 5.0
    """Seconds that a question may take, and its answer; whoever is slower is hung up on."""
    allow_reuse_address = True
    request_queue_size = _WAITING

    def __init__(self, place: tuple[str, int], *, views: Callable[[], list[View]], folder: Path) -> None:
        """`views` is called from several threads; `folder` has a folder with pictures for each camera.

        Raises OSError when the place is taken or is none of this machine's.
        """
        self.address_family = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)[0][0]
        super().__init__(place, _Handler)
        self.views, self.folder = views, folder
        self.only_here = ipaddress.ip_address(str(self.server_address[0])).is_loopback
        self._free = BoundedSemaphore(_WAITING)
        self._pool = ThreadPoolExecutor(_THREADS)
        self._asking: set[socket.socket] = set()
        self._thread = Thread(target=self.serve_forever, args=[_TURN_S])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        for request in [*self._asking]:
            with suppress(OSError):  # it has gone by itself
                request.shutdown(socket.SHUT_RDWR)  # nobody waits for a slow one
        self._pool.shutdown()
        self.server_close()

    def process_request(self, request: socket.socket, client_address: _Client) -> None:  # type: ignore[override]
        """Have it answered by another thread, where one will be free."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._asking.add(request)
        self._pool.submit(self._answer, request, client_address)

    def _answer(self, request: socket.socket, client_address: _Client) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # whoever asked is gone, or was too slow
        finally:
            self._asking.discard(request)
            self.shutdown_request(request)
            self._free.release()


class _Handler(BaseHTTPRequestHandler):
    server: HealthServer
    server_version, sys_version = "vidsr", ""

    def setup(self) -> None:
        """Read the whole head first, by one deadline: a client that sends a byte a second has no thread for long."""
        super().setup()
        self.rfile = BytesIO(_head(self.connection, time.monotonic() + self.server.patience_s))

    def do_GET(self) -> None:
        """Answer."""
        host = self.headers.get("Host", "")
        if self.server.only_here and not _local(host):  # a page elsewhere whose name was made to mean this machine
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"this answers to this machine alone\n")
            return
        views = self.server.views()
        match self.path.partition("?")[0]:
            case "/healthz":
                good, words = told(views, time.monotonic())
                status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
                self._send(status, "text/plain", words.encode(errors="replace"))
            case "/metrics":
                self._send(HTTPStatus.OK, "text/plain; version=0.0.4", exposition(lambda: views))
            case "/":
                self._send(HTTPStatus.OK, "text/html", html_of(views, time.monotonic()).encode(errors="replace"))
            case path:
                self._send_picture(path, {view.name for view in views})

    def _send_picture(self, path: str, cameras: set[str]) -> None:
        found = _PICTURE.fullmatch(path)
        try:
            if found and found[1] in cameras:
                data = (self.server.folder / found[1] / f"{found[2]}.jpg").read_bytes()
                self._send(HTTPStatus.OK, "image/jpeg", data)
                return
        except OSError:
            pass  # there was none yet
        self._send(HTTPStatus.NOT_FOUND, "text/plain", b"nothing is here\n")

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.connection.settimeout(self.server.patience_s)
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", _ONLY_FROM_HERE),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: Prometheus asks every few seconds."""


def _head(connection: socket.socket, until: float) -> bytes:
    """What was asked, as far as the empty line behind it. Raises OSError when it takes too long."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) < _LONGEST_HEAD:
        connection.settimeout(max(0.001, until - time.monotonic()))
        data = connection.recv(4096)
        if not data:
            break
        head += data
    return head


def _local(host: str) -> bool:
    """Whether a request's Host is this machine itself."""
    name = re.sub(r":\d+$", "", host).strip("[]")
    try:
        return name in ("", "localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
