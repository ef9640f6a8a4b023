"""A status server of made-up cameras, and a client of it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.config import CameraConfig
from vidsr.live.http_server import StatusServer
from vidsr.live.status import State, Status


def status(name: str = "front", *, grew_s: float | None = 0.5, **counted: object) -> CameraStatus:
    """A camera whose last frame was written so many seconds ago."""
    now = time.monotonic()
    total = Status(**{"state": State.RUNNING, "rung": "net", **counted})
    return CameraStatus(
        name=name,
        source="rtsp://cam",
        total=total,
        last_frame_at=None if grew_s is None else now - grew_s,
        stall_s=10,
        restarts=2,
        history=((now - 10, Status()), (now, total)),
    )


@contextmanager
def serving(preview_dir: Path, *statuses: CameraStatus, **options: Any) -> Iterator[int]:
    """The port of a server that knows these cameras."""
    with status_server(preview_dir, *statuses, **options) as server:
        yield server.port


@contextmanager
def status_server(
    preview_dir: Path,
    *statuses: CameraStatus,
    configs: tuple[CameraConfig, ...] = (),
    host: str = "127.0.0.1",
    **options: Any,
) -> Iterator[StatusServer]:
    """A server that knows these cameras; `options` are its own."""
    before = threading.active_count()
    with StatusServer(
        (host, 0),
        statuses=lambda: list(statuses),
        configs=lambda: configs,
        preview_dir=preview_dir,
        **{"timeout_s": 1.0, **options},
    ) as server:
        yield server
    until = time.monotonic() + 1
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.001)
    assert threading.active_count() <= before


def get(port: int, path: str, *, method: str = "GET", host: str = "") -> tuple[HTTPResponse, str]:
    """What comes back."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers={"Host": host} if host else {})
    response = connection.getresponse()
    text = response.read().decode(errors="replace")
    connection.close()
    return response, text


def health(port: int) -> tuple[int, str, dict[str, list[str]]]:
    """The HTTP status of /healthz, the state of all, and the reasons by camera."""
    response, text = get(port, "/healthz")
    body = json.loads(text)
    return response.status, body["state"], {name: camera["reasons"] for name, camera in body["cameras"].items()}
