"""Hostile requests: nothing is served that should not be, and what is good is answered all the while."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest
from live.status_server import get, serving, status
from recorder_feed import camera_clip, play, recorder, segments

from vidsr.live.config import CameraConfig
from vidsr.stream_url import StreamUrl

SECRET = b"SECRET-OF-ANOTHER"
DOTS = ["..", "%2e%2e", "..%2f..", "%252e%252e", "....//", "..;", "..\\", "%c0%ae%c0%ae", ".%00.", "\x2e\x2e"]
ROOTS = ["", "/camera/front", "/recordings/front", "/recordings/front/2026-11-29", "/recordings", "/api", "/base"]
GOALS = ["secret.mp4", "etc/passwd", "secret.jpg", ".index.sqlite", "10-00-00.mp4", "proc/self/environ", "users"]
HOSTS = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1].evil", "a" * 300, "localhost@evil"]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", ""]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "G\x00T", "get"]
QUERIES = [
    "camera=front&from=nan", "camera=front&from=-1e308&to=1e308", "camera=..%2f..", "camera=front&from='%20OR%201=1--",
    "camera=front&" + "&".join(f"a{number}=1" for number in range(40)), "camera=front&from=1e9999", "moment=-1",
    "camera=front%00&to=9", "camera=front&from=2026-13-45", "at=-5", "at=1e300", "camera=" + "x" * 9000,
]  # fmt: skip


def requests(number: int) -> Iterator[bytes]:
    """As many different requests, the same each time."""
    chance = random.Random(21)
    for _ in range(number):
        kind = chance.choice(["path", "path", "query", "host", "version", "head", "body", "noise", "range", "smuggle"])
        dots = "/".join([chance.choice(DOTS)] * chance.randint(1, 6))
        path = f"{chance.choice(ROOTS)}/{dots}/{chance.choice(GOALS)}" if kind in ("path", "version") else "/healthz"
        yield _request(kind, path, chance)


def _request(kind: str, path: str, chance: random.Random) -> bytes:
    method, host, version, more = "GET", "localhost", "HTTP/1.1", ""
    match kind:
        case "query":
            path = f"{chance.choice(['/api/recordings', '/api/export', '/camera/front/after.jpg'])}?"
            path += chance.choice(QUERIES)
        case "host":
            host = chance.choice(HOSTS)
        case "version":
            version = chance.choice(VERSIONS)
        case "head":
            more = f"X-{'a' * chance.choice([1, 500])}: {'b' * chance.choice([10, 20_000, 70_000])}\r\n" * 3
        case "body":
            method = chance.choice(METHODS)
            more = f"Content-Length: {chance.choice(['5', '-1', '99999999', 'x', '0x10'])}\r\n"
        case "range":
            path, more = "/recordings/front/x/../", f"Range: bytes={chance.choice(['-', '9-1', '0-' + '9' * 40])}\r\n"
        case "smuggle":
            more = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"
        case "noise":
            return chance.randbytes(chance.choice([1, 100, 30_000])) + b"\r\n\r\n"
    return f"{method} {path} {version}\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n".encode("latin-1")


def answer_to(port: int, request: bytes) -> bytes:
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client, suppress(ConnectionError):
        client.sendall(request)
        with suppress(OSError):  # "not connected" once it has hung up
            client.shutdown(socket.SHUT_WR)
        while data := client.recv(1 << 16):
            answer += data
    return answer


STATUSES = (b"200", b"400", b"403", b"404", b"413", b"416", b"431", b"501")


@contextmanager
def dripping(port: int) -> Iterator[None]:
    """Ten clients send a byte now and then, meanwhile."""
    ended = Event()

    def drip() -> None:
        clients = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(10)]
        while not ended.wait(0.2):
            for client in clients:
                with suppress(OSError):
                    client.sendall(b"G")
        for client in clients:
            client.close()

    thread = Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("number", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_hostile_requests_get_nothing_and_harm_nobody(number: int, tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "camera.mp4", seconds=3)
    with recorder(tmp_path / "all/front", segment_s=1) as made:
        play(made, clip)
    for name in ("secret.mp4", "secret.jpg", "10-00-00.mp4", "users", "all/secret.mp4", "all/10-00-00.mp4"):
        (tmp_path / name).write_bytes(SECRET)
    before = {path: path.read_bytes() for path in segments(tmp_path / "all/front")}
    front = CameraConfig(name="front", source=StreamUrl("x"), targets=(), segment_dir=tmp_path / "all/front")
    (tmp_path / "previews").mkdir()
    with serving(tmp_path / "previews", status(), configs=(front,), base="/base") as port:
        with dripping(port):
            for count, request in enumerate(requests(number)):
                answer = answer_to(port, request)
                assert SECRET not in answer, request[:200]
                assert b"root:" not in answer, request[:200]
                if b"Host: localhost\r\n" not in request:
                    assert b'"front"' not in answer, request[:200]
                assert not answer or answer[9:12] in STATUSES, (request[:200], answer[:200])
                if count % 10 == 0:
                    assert '"front"' in get(port, "/healthz")[1]
        assert get(port, "/api/recordings?camera=front")[0].status == 200
    assert {path: path.read_bytes() for path in segments(tmp_path / "all/front")} == before
