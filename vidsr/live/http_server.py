"""The HTTP server of the supervisor: health, metrics, web pages, previews and recordings, served by waitress."""

import hmac
import ipaddress
import logging
import re
import socket
import time
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Self

from prometheus_client import make_wsgi_app
from waitress import wasyncore

from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.config import CameraConfig
from vidsr.live.dashboard import dashboard_html, health_json
from vidsr.live.http_channel import HttpServer, listener
from vidsr.live.http_learning import LearningSite
from vidsr.live.http_live import LiveSite
from vidsr.live.http_recordings import RecordingsSite
from vidsr.live.http_response import Environ, Response, not_found, text_response
from vidsr.live.prometheus import metrics_registry

_THREADS, _MAX_CONNECTIONS, _POLL_S = 16, 64, 0.2
"""More threads than the endless answers, and those that wait for files to be read, may take."""
_MAX_HEAD = 16 << 10
_MAX_BUFFER = 1 << 20


class StatusServer:
    """Serves within `with`, on `port`. At most 64 connections are open at once; more wait to be accepted.

    A connection is closed `timeout_s` after its last complete request, after the first byte of an incomplete one, or
    when it takes less than 64 kB of an answer in that time.
    """

    def __init__(
        self,
        host_port: tuple[str, int],
        *,
        statuses: Callable[[], list[CameraStatus]],
        preview_dir: Path,
        configs: Callable[[], Sequence[CameraConfig]] = lambda: (),
        hosts: Sequence[str] = (),
        base: str = "",
        users: Mapping[str, str] = {},
        timeout_s: float = 5.0,
    ) -> None:
        """`statuses` and `configs` are called from several threads; `preview_dir`, which only this user can read, has
        a directory with previews for each camera.

        A server on a loopback address answers requests for this machine and for the names in `hosts` only. All paths
        are also served below `base`, as a proxy passes them on that does not remove it. With `users`, the passwords by
        name, all others are refused.

        Raises OSError when the port is taken or the host is not an address of this machine.
        """
        bound = listener(host_port)
        host, self.port = bound.getsockname()[:2]
        local_only = ipaddress.ip_address(host).is_loopback
        self._app = _App(statuses, preview_dir, configs, hosts=tuple(hosts) if local_only else None, users=users)
        self._server = _server(self._app, bound, base=base, timeout_s=timeout_s)
        self._thread = Thread(target=self._server.run, name="http")

    @property
    def helper_pids(self) -> list[int]:
        """The ids of the processes that read recordings."""
        return self._app.recordings.pids

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._app.live.close()
        self._app.recordings.close()
        self._server.task_dispatcher.shutdown()  # first: its threads write to the trigger that is closed next
        self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._server._map))
        self._thread.join()


def _server(app: "_App", bound: socket.socket, *, base: str, timeout_s: float) -> HttpServer:
    logging.getLogger("waitress").setLevel(logging.ERROR)  # anybody can cause its warnings
    server = HttpServer(
        app,
        _sock=bound,
        bind_socket=False,
        sockinfo=(bound.family, socket.SOCK_STREAM, None, None),
        threads=_THREADS,
        connection_limit=_MAX_CONNECTIONS,
        max_request_header_size=_MAX_HEAD,
        max_request_body_size=_MAX_HEAD,
        outbuf_high_watermark=_MAX_BUFFER,
        ident="vidsr",
        url_prefix=base,
    )
    # As arguments they would be cut to whole seconds: without a pause the thread takes all of a core.
    server.adj.asyncore_loop_timeout = _POLL_S
    server.adj.channel_timeout, server.adj.cleanup_interval = timeout_s, timeout_s / 5
    return server


class _App:
    """The WSGI application."""

    def __init__(
        self,
        statuses: Callable[[], list[CameraStatus]],
        preview_dir: Path,
        configs: Callable[[], Sequence[CameraConfig]],
        *,
        hosts: Sequence[str] | None,
        users: Mapping[str, str],
    ) -> None:
        self._statuses, self._hosts, self._users = statuses, hosts, users
        self._metrics = make_wsgi_app(metrics_registry(statuses))
        self.live = LiveSite(lambda: {status.name for status in statuses()}, configs, preview_dir)
        self.recordings = RecordingsSite(configs, preview_dir)
        self._learning = LearningSite(configs, statuses)

    def __call__(self, environ: Environ, start_response: Callable[..., object]) -> Iterable[bytes]:
        answer = self._answer(environ)
        start_response(answer.status, answer.all_headers())
        body = answer.body
        if environ["REQUEST_METHOD"] == "HEAD":
            if hasattr(body, "close"):
                body.close()
            return []
        if isinstance(body, bytes):
            return [body]
        served: Iterable[bytes] = body if answer.length is None else environ["wsgi.file_wrapper"](body)
        return served

    def _answer(self, environ: Environ) -> Response:
        if self._hosts is not None and not _is_allowed(environ, self._hosts):  # DNS rebinding
            return text_response("403 Forbidden", "only requests for this machine are answered (see --http-host)\n")
        if self._users and not _is_user(environ, self._users):
            asked = {"WWW-Authenticate": 'Basic realm="vidsr", charset="UTF-8"'}
            return text_response("401 Unauthorized", "a name and a password are needed\n", headers=asked)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return text_response("501 Not Implemented", "only GET and HEAD are answered\n")
        match environ["PATH_INFO"]:
            case "":  # the base, below which the page finds its images
                return Response(status="301 Moved Permanently", headers={"Location": f"{environ['SCRIPT_NAME']}/"})
            case "/healthz":
                good, body = health_json(self._statuses(), time.monotonic())
                status = "200 OK" if good else "503 Service Unavailable"
                return Response(
                    status=status,
                    headers={"Content-Type": "application/json"},
                    body=body.encode(errors="replace"),
                )
            case "/metrics":
                return self._metrics_answer(environ)
            case "/":
                return self._page()
            case path if path.startswith("/camera/"):
                return self.live.answer(environ)
            case path if path.startswith(("/recordings/", "/api/")):
                return self.recordings.answer(environ)
            case path if path.startswith("/learning/"):
                return self._learning.answer(environ)
            case _:
                return not_found()

    def _page(self) -> Response:
        statuses = self._statuses()
        moments = {status.name: self.live.newest(status.name) for status in statuses}
        page = dashboard_html(
            statuses,
            time.monotonic(),
            moments=moments,
            recorded=self.recordings.folders().keys(),
            learning=self._learning.folders().keys(),
        )
        return text_response("200 OK", page, kind="text/html")

    def _metrics_answer(self, environ: Environ) -> Response:
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        body = b"".join(self._metrics(environ | {"REQUEST_METHOD": "GET"}, lambda *begin: begun.append(begin)))
        status, headers = begun[0]
        return Response(status=status, headers=dict(headers), body=body)


def _is_allowed(environ: Environ, hosts: Sequence[str]) -> bool:
    """Whether the Host header names this machine or one of the hosts; HTTP/1.0, of simple checks, needs none."""
    host = environ.get("HTTP_HOST", "localhost" if environ["SERVER_PROTOCOL"] == "HTTP/1.0" else "")
    name = re.sub(r":\d+$", "", host).strip("[]")
    try:
        return name.lower() in ("localhost", *map(str.lower, hosts)) or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_user(environ: Environ, users: Mapping[str, str]) -> bool:
    """Whether the request has the name and the password of a user."""
    scheme, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        name, _, password = b64decode(encoded, validate=True).decode().partition(":")
    except (NotBase64, ValueError):
        return False
    expected = users.get(name)
    is_right = hmac.compare_digest(password.encode(), (expected or "").encode())
    return scheme.lower() == "basic" and expected is not None and is_right
