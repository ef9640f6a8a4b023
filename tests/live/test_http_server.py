"""The HTTP server: health, metrics, and who is refused."""

import socket
import time
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest
from live.status_server import get, serving, status
from prometheus_client.parser import text_string_to_metric_families

from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.http_server import StatusServer

COUNTED = {
    ("vidsr_frames_in_total",): 9,
    ("vidsr_frames_upscaled_total", "net"): 5,
    ("vidsr_frames_upscaled_total", "swscale"): 1,
    ("vidsr_frames_written_total",): 6,
    ("vidsr_frames_dropped_total", "late"): 3,
    ("vidsr_timestamps_repaired_total", "wrap"): 1,
    ("vidsr_reconnects_total",): 3,
    ("vidsr_worker_restarts_total",): 1,
    ("vidsr_process_restarts_total",): 2,
    ("vidsr_bytes_written_total",): 1000,
    ("vidsr_segments_total",): 2,
    ("vidsr_flowing",): 1,
    ("vidsr_health", "degraded"): 1,
    ("vidsr_health", "ok"): 0,
    ("vidsr_state", "running"): 1,
    ("vidsr_state", "waiting"): 0,
    ("vidsr_rung", "net"): 1,
    ("vidsr_rung", "swscale"): 0,
    ("vidsr_target_ok", "rec"): 1,
    ("vidsr_target_ok", "rtmp://server"): 0,
    ("vidsr_disk_free_bytes", "rec"): 5000,
    ("vidsr_delay_seconds_bucket", "0.05"): 1,
    ("vidsr_delay_seconds_bucket", "0.2"): 3,
    ("vidsr_delay_seconds_bucket", "+Inf"): 4,
    ("vidsr_delay_seconds_count",): 4,
    ("vidsr_delay_seconds_sum",): pytest.approx(20.41),
}


def test_prometheus_reads_every_count(tmp_path: Path) -> None:
    front = status(
        frames_in=9,
        upscaled={"net": 1, "swscale": 1},
        written=6,
        dropped={"late": 3},
        repaired={"wrap": 1},
        connects=4,
        worker_restarts=1,
        bytes_written=1000,
        segments=2,
        targets={"rec": "ok", "rtmp://server": "no answer"},
        disk_free={"rec": 5000},
    )
    for delay_s in (0.01, 0.2, 0.2, 20):
        front.total.add_frame("net", delay_s)
    with serving(tmp_path, front, status("back")) as port:
        text = get(port, "/metrics")[1]
    values = {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "camera")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels["camera"] == "front"
    }
    assert {key: values.get(key) for key in COUNTED} == COUNTED


def test_the_newest_frames_are_served_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "front").mkdir()
    (tmp_path / "front/1-before.jpg").write_bytes(b"before")
    (tmp_path / "front/1-after.jpg").write_bytes(b"frame")
    with serving(tmp_path, status()) as port:
        assert "camera/front/after.jpg?moment=1" in get(port, "/")[1]
        response, text = get(port, "/camera/front/after.jpg")
        assert (response.status, response.getheader("Content-Type"), text) == (200, "image/jpeg", "frame")
        for path in (
            "/camera/front/before.jpg?moment=2",
            "/camera/front/1-before.jpg",
            "/camera/../secret.jpg",
            "/camera/front/../../secret.jpg",
            "/camera/%2e%2e/secret.jpg",
            "/camera/back/after.jpg",
            "/secret.jpg",
            "//etc/passwd",
        ):
            assert get(port, path)[0].status == 404, path


def test_everything_is_served_below_a_base_too(tmp_path: Path) -> None:
    with serving(tmp_path, status(), base="/cameras") as port:
        for path in ("/", "/healthz", "/metrics"):
            assert get(port, path)[0].status == get(port, f"/cameras{path}")[0].status == 200
        moved = get(port, "/cameras")[0]
        assert (moved.status, moved.getheader("Location")) == (301, "/cameras/")
        for path in ("/camerasx/healthz", "/other/healthz", "/cameras/cameras/healthz", "/cameras/../healthz"):
            assert get(port, path)[0].status == 404, path
        assert get(port, "/cameras/healthz", host="evil.example")[0].status == 403


def test_the_page_needs_nothing_from_elsewhere_and_escapes_what_it_is_told(tmp_path: Path) -> None:
    bad = status(grew_s=None, reason="<script>alert(1)</script>", targets={"<b>": "no <i>"})
    with serving(tmp_path, bad) as port:
        response, page = get(port, "/")
    assert "<script" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "default-src 'none'" in str(response.getheader("Content-Security-Policy"))
    assert response.getheader("Cache-Control") == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X"])
def test_only_get_and_head_are_answered(tmp_path: Path, method: str) -> None:
    with serving(tmp_path, status()) as port:
        for path in ("/", "/metrics"):
            assert get(port, path, method=method)[0].status == 501


def test_a_request_that_runs_at_the_end_is_answered(tmp_path: Path) -> None:
    running = Event()

    def statuses() -> list[CameraStatus]:
        running.set()
        time.sleep(0.5)
        return []

    with StatusServer(("127.0.0.1", 0), statuses=statuses, preview_dir=tmp_path) as server:
        client = socket.create_connection(("127.0.0.1", server.port))
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert running.wait(10)
    with client:
        assert client.recv(100).startswith(b"HTTP/1.0 ")


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/camera/front/after.jpg", "/none"])
def test_head_is_answered_as_get_without_the_body(tmp_path: Path, path: str) -> None:
    with serving(tmp_path, status()) as port:
        (response, text), (head, nothing) = get(port, path), get(port, path, method="HEAD")
        names = {"content-length", "date"}
        assert (head.status, nothing) == (response.status, "")
        assert [h for h in head.getheaders() if h[0].lower() not in names] == [
            h for h in response.getheaders() if h[0].lower() not in names
        ]
        assert int(head.getheader("Content-Length", "")) == pytest.approx(len(text.encode()), abs=9)


def raw(port: int, request: bytes) -> bytes:
    """What comes back, to the end of the connection."""
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
        suppress(ConnectionError),  # of a long head the rest is not read
    ):
        client.sendall(request)
        while data := client.recv(4096):
            answer += data
    return answer


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GET /healthz\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/0.9\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"403"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"403"),
        (b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"431"),
        (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\nHost: evil.example\r\n\r\n", b"431"),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"200"),
    ],
)
def test_heads_that_hide_something_are_refused(tmp_path: Path, request_: bytes, code: bytes) -> None:
    with serving(tmp_path, status()) as port:
        answer = raw(port, request_)
    assert answer[9:12] == code or (code == b"431" and not answer)
    assert (b'"front"' in answer) == (code == b"200")


def test_a_client_that_drips_is_hung_up_on_as_soon_as_a_silent_one(tmp_path: Path) -> None:
    with serving(tmp_path, status()) as port:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client, suppress(ConnectionError):
            client.sendall(b"GET / HTTP/1.1\r\nX: ")
            while time.monotonic() - began < 6:
                client.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began < 3


def test_a_page_elsewhere_whose_name_means_this_machine_reads_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, status()) as port:
        assert get(port, "/", host="evil.example:9090")[0].status == 403
        assert [get(port, "/", host=host)[0].status for host in ("localhost:1", "127.0.0.1", "[::1]:9090")] == [
            200
        ] * 3
    with serving(tmp_path, status(), host="0.0.0.0") as port:
        assert get(port, "/", host="recorder.lan")[0].status == 200


def test_a_proxy_may_ask_by_the_names_that_are_allowed(tmp_path: Path) -> None:
    with serving(tmp_path, status(), hosts=("Cameras.example",)) as port:
        for host, code in [
            ("cameras.example", 200),
            ("CAMERAS.example:443", 200),
            ("evil.example", 403),
            ("[::1]", 200),
        ]:
            assert get(port, "/healthz", host=host)[0].status == code


def test_slow_clients_and_many_of_them_do_not_keep_others_from_an_answer(tmp_path: Path) -> None:
    with serving(tmp_path, status()) as port:
        slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
        for client in slow:
            client.sendall(b"GET / HT")
        assert get(port, "/healthz")[0].status == 200
        many = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(40)]
        assert any(client.recv(1) == b"" for client in many[20:])  # hung up on
        for client in many[:20]:
            client.close()
        began = time.monotonic()
        assert slow[0].recv(1) == b""
        assert time.monotonic() - began < 3
        for client in (*slow, *many):
            client.close()


def test_a_client_that_says_nothing_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with serving(tmp_path, status()) as port:
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        client.sendall(b"GET")
        time.sleep(0.3)
        began = time.monotonic()
    assert time.monotonic() - began < 0.5
    client.close()


def test_rubbish_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, status()) as port:
        for rubbish in (b"\r\n\r\n", b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"x" * 20_000):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(rubbish)
                client.recv(1000)
        assert get(port, "/healthz")[0].status == 200


def test_a_place_that_is_taken_raises_the_fault_of_the_system(tmp_path: Path) -> None:
    with serving(tmp_path, status()) as port, pytest.raises(OSError, match="in use"):
        StatusServer(("127.0.0.1", port), statuses=list, preview_dir=tmp_path)


def test_a_server_that_nobody_asks_rests(tmp_path: Path) -> None:
    with serving(tmp_path, status()):
        before = time.process_time()
        time.sleep(1)
        assert time.process_time() - before < 0.2
