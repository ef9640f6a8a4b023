"""The HTTP server of the supervisor: /healthz, /metrics and a web page, served by waitress."""

import ipaddress
import logging
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any, Self

from prometheus_client import make_wsgi_app
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer

from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.dashboard import dashboard_html, health_json
from vidsr.live.previews import preview_moments, preview_path
from vidsr.live.prometheus import metrics_registry

_Environ = dict[str, Any]
_Answer = tuple[str, list[tuple[str, str]], bytes]
_THREADS, _MAX_CONNECTIONS, _POLL_S = 4, 64, 0.1
_MAX_HEAD = 16 << 10
_PREVIEW_PATH = re.compile(r"/camera/([A-Za-z0-9_-]+)/(before|after)\.jpg")
_MOMENT = re.compile(r"moment=(\d{1,12})")
_PAIR_S = 10.0
"""How long a request for the frame after upscaling is answered with the moment of the last one before it."""
_HEADERS = [
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
]


class StatusServer:
    """Serves within `with`, on `port`. At most 64 connections are open at once; more wait to be accepted.

    A connection is closed `timeout_s` after its last complete request, or after the first byte of an incomplete one.
    """

    def __init__(
        self,
        host_port: tuple[str, int],
        *,
        statuses: Callable[[], list[CameraStatus]],
        preview_dir: Path,
        hosts: Sequence[str] = (),
        base: str = "",
        timeout_s: float = 5.0,
    ) -> None:
        """`statuses` is called from several threads; `preview_dir` has a directory with previews for each camera.

        A server on a loopback address answers requests for this machine and for the names in `hosts` only. All paths
        are also served below `base`, as a proxy passes them on that does not remove it.

        Raises OSError when the port is taken or the host is not an address of this machine.
        """
        listener = _listener(host_port)
        host, self.port = listener.getsockname()[:2]
        local_only = ipaddress.ip_address(host).is_loopback
        logging.getLogger("waitress").setLevel(logging.ERROR)  # anybody can cause its warnings
        self._server = _Server(
            _App(statuses, preview_dir, hosts=[host.lower() for host in hosts] if local_only else None),
            _sock=listener,
            bind_socket=False,
            sockinfo=(listener.family, socket.SOCK_STREAM, None, None),
            threads=_THREADS,
            connection_limit=_MAX_CONNECTIONS,
            channel_timeout=timeout_s,
            cleanup_interval=timeout_s / 5,
            asyncore_loop_timeout=_POLL_S,
            max_request_header_size=_MAX_HEAD,
            max_request_body_size=_MAX_HEAD,
            ident="vidsr",
            url_prefix=base,
        )
        self._thread = Thread(target=self._server.run, name="http")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.task_dispatcher.shutdown()  # first: its threads write to the trigger that is closed next
        self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._server._map))
        self._thread.join()


class _App:
    """The WSGI application."""

    def __init__(
        self, statuses: Callable[[], list[CameraStatus]], preview_dir: Path, *, hosts: Sequence[str] | None
    ) -> None:
        self._statuses, self._preview_dir, self._hosts = statuses, preview_dir, hosts
        self._metrics = make_wsgi_app(metrics_registry(statuses))
        self._last_before: dict[str, tuple[float, int]] = {}  # by camera: when it was served, and its moment

    def __call__(self, environ: _Environ, start_response: Callable[..., object]) -> Iterable[bytes]:
        status, headers, body = self._answer(environ)
        start_response(status, [*headers, ("Content-Length", str(len(body))), *_HEADERS])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: _Environ) -> _Answer:
        if self._hosts is not None and not _is_allowed(environ, self._hosts):  # DNS rebinding
            return _text("403 Forbidden", "only requests for this machine are answered (see --http-host)\n")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _text("501 Not Implemented", "only GET and HEAD are answered\n")
        match environ["PATH_INFO"]:
            case "":  # the base, below which the page finds its images
                return "301 Moved Permanently", [("Location", f"{environ['SCRIPT_NAME']}/")], b""
            case "/healthz":
                good, body = health_json(self._statuses(), time.monotonic())
                status = "200 OK" if good else "503 Service Unavailable"
                return status, [("Content-Type", "application/json")], body.encode(errors="replace")
            case "/metrics":
                return self._metrics_answer(environ)
            case "/":
                statuses = self._statuses()
                moments = {status.name: self._newest(status.name) for status in statuses}
                return _text("200 OK", dashboard_html(statuses, time.monotonic(), moments=moments), kind="html")
            case path:
                return self._preview(path, environ["QUERY_STRING"])

    def _metrics_answer(self, environ: _Environ) -> _Answer:
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        body = b"".join(self._metrics(environ | {"REQUEST_METHOD": "GET"}, lambda *begin: begun.append(begin)))
        return *begun[0], body

    def _preview(self, path: str, query: str) -> _Answer:
        found = _PREVIEW_PATH.fullmatch(path)
        try:
            if found and found[1] in {status.name for status in self._statuses()}:
                camera, which = found.groups()
                asked = _MOMENT.fullmatch(query)
                moment = int(asked[1]) if asked else self._moment(camera, which)
                data = preview_path(self._preview_dir / camera, moment, which).read_bytes()
                return "200 OK", [("Content-Type", "image/jpeg")], data
        except OSError:
            pass  # no preview yet
        return _text("404 Not Found", "not found\n")

    def _newest(self, camera: str) -> int:
        """The newest moment with previews; 0 without any."""
        try:
            return max(preview_moments(self._preview_dir / camera), default=0)
        except OSError:
            return 0

    def _moment(self, camera: str, which: str) -> int:
        """The newest moment; for the frame after upscaling, that of the frame before which was just served."""
        now, (served_s, moment) = time.monotonic(), self._last_before.get(camera, (0.0, 0))
        if which == "after" and moment and now - served_s < _PAIR_S:
            return moment
        newest = self._newest(camera)
        if which == "before":
            self._last_before[camera] = now, newest
        return newest


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    def parse_header(self, header_plus: bytes) -> None:
        """Refuse what is read as HTTP/0.9."""
        super().parse_header(header_plus)
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("HTTP/1.0 or HTTP/1.1 is required")


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose time runs from the first byte of a request: waitress extends it with each byte."""

    parser_class = _Parser
    _since_s = 0.0

    @property
    def last_activity(self) -> float:
        return self._since_s

    @last_activity.setter
    def last_activity(self, now_s: float) -> None:
        if self.request is None and not self.total_outbufs_len:
            self._since_s = now_s


class _Server(TcpWSGIServer):  # type: ignore[misc]
    channel_class = _Channel


def _listener(host_port: tuple[str, int]) -> socket.socket:
    family, *_, address = socket.getaddrinfo(*host_port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _text(status: str, text: str, *, kind: str = "plain") -> _Answer:
    return status, [("Content-Type", f"text/{kind}; charset=utf-8")], text.encode(errors="replace")


def _is_allowed(environ: _Environ, hosts: Sequence[str]) -> bool:
    """Whether the Host header names this machine or one of the hosts; HTTP/1.0, of simple checks, needs none."""
    host = environ.get("HTTP_HOST", "localhost" if environ["SERVER_PROTOCOL"] == "HTTP/1.0" else "")
    name = re.sub(r":\d+$", "", host).strip("[]")
    try:
        return name.lower() in ("localhost", *hosts) or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
