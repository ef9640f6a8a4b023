"""A push by RTMP over TLS goes only to a server with a valid certificate."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from camera_servers import self_signed, served
from kit.sinks import Sink, sink
from recorder_feed import camera_clip, play, read_recording, recorder


@contextmanager
def by_tls(there: Sink, certificate: Path) -> Iterator[str]:
    """The address at which TLS ends before the server that is `there`."""
    port = int(there.url.split(":")[2].partition("/")[0])

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)

    def forward(caller: socket.socket, over: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", port)) as inner:
            threading.Thread(target=pump, args=(inner, caller), daemon=True).start()
            pump(caller, inner)
            inner.shutdown(socket.SHUT_RDWR)

    with served(forward, certificate) as place:
        yield f"rtmps://{place}/live/x"


@pytest.mark.parametrize("trusted", [True, False])
def test_a_server_gets_the_stream_by_tls_if_its_certificate_is_believed(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, clip = self_signed(tmp_path), camera_clip(tmp_path / "camera.mp4", seconds=3)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
    with sink("rtmp", tmp_path) as there, by_tls(there, certificate) as address:
        with recorder(address) as made:
            play(made, clip, live=True)
            (state,) = made.target_states.values()
        assert (state == "ok") == trusted
        if not trusted:
            assert state == "the server rejects the stream, or its certificate cannot be verified"
            assert not there.bytes_received
        elif there.process:
            there.process.wait(10)
            assert len(read_recording(there.received[0]).pts) > 30
