"""The HTTP server of the supervisor: /healthz, /metrics and a web page."""

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
from typing import Self

from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.dashboard import dashboard_html, health_text
from vidsr.live.prometheus import metrics_text

_Client = tuple[str, int]
_THREADS, _MAX_REQUESTS = 4, 16
_POLL_S = 0.1
_MAX_HEAD = 16 << 10
_PREVIEW_PATH = re.compile(r"/camera/([A-Za-z0-9_-]+)/(before|after)\.jpg")
_SECURITY_POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class HealthServer(TCPServer):
    """Serves within `with`. At most 4 requests are answered at once and 12 wait; further connections are closed."""

    timeout_s = 5.0
    """Seconds for a request, and for its response; slower connections are closed."""
    allow_reuse_address = True
    request_queue_size = _MAX_REQUESTS

    def __init__(
        self, host_port: tuple[str, int], *, statuses: Callable[[], list[CameraStatus]], preview_dir: Path
    ) -> None:
        """`statuses` is called from several threads; `preview_dir` has a directory with previews for each camera.

        Raises OSError when the port is taken or the host is not an address of this machine.
        """
        self.address_family = socket.getaddrinfo(*host_port, type=socket.SOCK_STREAM)[0][0]
        super().__init__(host_port, _Handler)
        self.statuses, self.preview_dir = statuses, preview_dir
        self.local_only = ipaddress.ip_address(str(self.server_address[0])).is_loopback
        self._free = BoundedSemaphore(_MAX_REQUESTS)
        self._pool = ThreadPoolExecutor(_THREADS)
        self._open_requests: set[socket.socket] = set()
        self._thread = Thread(target=self.serve_forever, args=[_POLL_S])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self._thread.join()
        for request in [*self._open_requests]:
            with suppress(OSError):  # already closed
                request.shutdown(socket.SHUT_RDWR)  # do not wait for slow clients
        self._pool.shutdown()
        self.server_close()

    def process_request(self, request: socket.socket, client_address: _Client) -> None:  # type: ignore[override]
        """Have another thread answer the request, if one will be free."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._open_requests.add(request)
        self._pool.submit(self._answer, request, client_address)

    def _answer(self, request: socket.socket, client_address: _Client) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # the client is gone, or was too slow
        finally:
            self._open_requests.discard(request)
            self.shutdown_request(request)
            self._free.release()


class _Handler(BaseHTTPRequestHandler):
    server: HealthServer
    server_version, sys_version = "vidsr", ""

    def setup(self) -> None:
        """Read the whole head within one deadline, so that a slow client does not occupy a thread."""
        super().setup()
        self.rfile = BytesIO(_read_head(self.connection, time.monotonic() + self.server.timeout_s))

    def do_GET(self) -> None:
        """Answer a request."""
        host = self.headers.get("Host", "")
        if self.server.local_only and not _is_local(host):  # DNS rebinding
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"only requests from this machine are answered\n")
            return
        statuses = self.server.statuses()
        match self.path.partition("?")[0]:
            case "/healthz":
                good, words = health_text(statuses, time.monotonic())
                code = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
                self._send(code, "text/plain", words.encode(errors="replace"))
            case "/metrics":
                self._send(HTTPStatus.OK, "text/plain; version=0.0.4", metrics_text(lambda: statuses))
            case "/":
                self._send(
                    HTTPStatus.OK, "text/html", dashboard_html(statuses, time.monotonic()).encode(errors="replace")
                )
            case path:
                self._send_preview(path, {status.name for status in statuses})

    def _send_preview(self, path: str, cameras: set[str]) -> None:
        found = _PREVIEW_PATH.fullmatch(path)
        try:
            if found and found[1] in cameras:
                data = (self.server.preview_dir / found[1] / f"{found[2]}.jpg").read_bytes()
                self._send(HTTPStatus.OK, "image/jpeg", data)
                return
        except OSError:
            pass  # no preview yet
        self._send(HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")

    def _send(self, code: HTTPStatus, content_type: str, body: bytes) -> None:
        self.connection.settimeout(self.server.timeout_s)
        self.send_response(code)
        for name, value in (
            ("Content-Type", f"{content_type}; charset=utf-8" if content_type.startswith("text/") else content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", _SECURITY_POLICY),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: Prometheus scrapes every few seconds."""


def _read_head(connection: socket.socket, until: float) -> bytes:
    """The head of the request, to its empty line. Raises OSError after the deadline."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) < _MAX_HEAD:
        connection.settimeout(max(0.001, until - time.monotonic()))
        data = connection.recv(4096)
        if not data:
            break
        head += data
    return head


def _is_local(host: str) -> bool:
    """Whether the Host header names this machine."""
    name = re.sub(r":\d+$", "", host).strip("[]")
    try:
        return name in ("", "localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
