"""Small servers that answer as good or bad cameras do, and a reader that reads until the source is lost."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from vidsr.errors import SourceLost
from vidsr.media.source.live_source import LiveSource
from vidsr.media.source.pacing import LivePacket

Answer = Callable[[socket.socket, threading.Event], None]
"""Serves a connection, until the event at the end of the test."""


@contextmanager
def served(answer: Answer, certificate: Path | None = None) -> Iterator[str]:
    """The "127.0.0.1:PORT" of a server; with a certificate it speaks TLS."""
    over = threading.Event()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), by_tls(self.request, certificate) if certificate else self.request as connection:
                answer(connection, over)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def by_tls(connection: socket.socket, certificate: Path) -> socket.socket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context.wrap_socket(connection, server_side=True)


def self_signed(folder: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key."""
    if not which("openssl"):
        pytest.skip("needs the Debian package openssl")
    pem = folder / "own.pem"
    asked = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", *asked, *names, "-keyout", pem, "-out", folder / "certificate"]
    subprocess.run(command, check=True, capture_output=True)
    pem.write_text(pem.read_text() + (folder / "certificate").read_text())
    return pem


def silent(_connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def hangs_up(connection: socket.socket, _over: threading.Event) -> None:
    connection.recv(4096)


def rtsp(status: str, *more: str) -> Answer:
    """The status for all requests except OPTIONS."""

    def answer(connection: socket.socket, _over: threading.Event) -> None:
        while asked := connection.recv(4096).decode():
            (count,) = (line for line in asked.splitlines() if line.lower().startswith("cseq"))
            says = "200 OK" if asked.startswith("OPTIONS") else status
            connection.sendall("\r\n".join([f"RTSP/1.0 {says}", count, *more, "", ""]).encode())

    return answer


def http(status: str, *more: str, body: bytes = b"", stays: bool = False) -> Answer:
    """The status, headers and body; then the connection is closed, or stays open."""

    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(4096)
        head = "\r\n".join([f"HTTP/1.1 {status}", *more, "Connection: close", "", ""])
        connection.sendall(head.encode() + body)
        if stays:
            over.wait()

    return answer


def transport_stream(path: Path, *, stays: bool = False) -> Answer:
    return http("200 OK", "Content-Type: video/mp2t", body=path.read_bytes(), stays=stays)


def slowly(path: Path, seconds: float) -> Answer:
    """A transport stream that takes `seconds` to send."""
    packets = [path.read_bytes()[at : at + 188] for at in range(0, path.stat().st_size, 188)]

    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        for packet in packets:
            connection.sendall(packet)
            if over.wait(seconds / len(packets)):
                return

    return answer


def multipart(frame: bytes, fps: float, *, first: bytes = b"--edge\r\n", length: bool = True) -> Answer:
    """The same JPEG again and again, as MJPEG cameras send it; `first` comes before the first part."""
    count = b"Content-Length: %d\r\n" % len(frame) if length else b""
    part = b"Content-Type: image/jpeg\r\n%b\r\n%b\r\n--edge\r\n" % (count, frame)

    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=edge\r\n\r\n")
        connection.sendall(first)
        while not over.wait(1 / fps):
            connection.sendall(part)

    return answer


def dripping(connection: socket.socket, over: threading.Event) -> None:
    """A body of MPEG-TS of which hardly anything comes."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
    while not over.wait(0.1):
        connection.sendall(b"\x47" + bytes(187))


def over_udp(path: Path, port: int) -> Callable[[], None]:
    """Send a transport stream repeatedly as datagrams, roughly in real time, until the returned function is called."""
    data, over = path.read_bytes(), threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not over.is_set():
                for start in range(0, len(data), 7 * 188):
                    out.sendto(data[start : start + 7 * 188], ("127.0.0.1", port))
                    time.sleep(0.002)

    thread = threading.Thread(target=send)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()

    return end


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def to_its_loss(source: LiveSource, see: Callable[[LivePacket], object]) -> SourceLost:
    """The error by which the source is lost, after each packet was passed to `see`."""
    try:
        for packet in source.packets():
            see(packet)
    except SourceLost as error:
        return error
    raise AssertionError("it ended without an error")
