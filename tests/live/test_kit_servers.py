"""The test kit: servers, networks and disks behave as the tests need."""

import socket
import time
from itertools import dropwhile, islice, takewhile
from pathlib import Path

import av
import pytest
from kit import transport
from kit.cameras import camera
from kit.networks import network, small_disk
from kit.recordings import decode_file, frame_mark, frame_numbers
from kit.servers import http, silent, udp
from kit.sinks import sink
from kit.transport import Kind, mjpeg, mpeg_ts

FAST = Kind(fps=50)
TICKS = 90_000


def numbers_and_times(url: str, frames: int) -> tuple[list[int], list[int | None]]:
    """As plain PyAV reads them."""
    with av.open(url, timeout=10) as source:
        frames = list(islice(source.decode(video=0), frames))
    marks = [frame_mark(frame) for frame in frames]
    return [mark.number for mark in marks if mark], [frame.pts for frame in frames]


def test_a_transport_stream_over_http_brings_every_frame_at_its_time() -> None:
    with http(lambda: mpeg_ts(FAST)) as url:
        numbers, times = numbers_and_times(url, 20)
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert times == [index * TICKS // 50 for index in range(20)]


def test_a_transport_stream_bears_the_time_stamps_that_were_asked_for() -> None:
    pieces = b"".join(islice(mpeg_ts(FAST, lambda index, ticks: None if index % 2 else ticks + (7 << 31)), 4))
    stamps = []
    for start in range(0, len(pieces), 188):
        packet = pieces[start : start + 188]
        place = packet.find(b"\0\0\1\xe0")
        if place > 0:
            stamps.append(packet[place + 9 : place + 14] if packet[place + 7] & 0xC0 else None)
    expected = [transport._stamp(index * TICKS // 50 + (7 << 31)) for index in (0, 2)]
    assert stamps == [expected[0], None, expected[1], None]


def test_frames_over_http_come_as_parts() -> None:
    boundary = f"multipart/x-mixed-replace;boundary={transport.BOUNDARY.decode()}"
    with http(lambda: mjpeg(FAST), kind=boundary) as url:
        numbers, _ = numbers_and_times(url, 20)
    assert numbers == list(range(numbers[0], numbers[0] + 20))


def test_datagrams_bring_a_transport_stream() -> None:
    with udp(lambda: mpeg_ts(FAST)) as url:
        numbers, _ = numbers_and_times(url, 20)
    assert numbers == list(range(numbers[0], numbers[0] + 20))


def test_a_silent_server_counts_its_callers_and_says_nothing() -> None:
    with silent() as server, socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as caller:
        with pytest.raises(TimeoutError):
            caller.recv(1)
        assert len(server.calls) == 1


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_a_sink_keeps_what_it_is_sent(tmp_path: Path, scheme: str) -> None:
    with sink(scheme, tmp_path) as server:
        push(server.url)
        assert len(frame_numbers([decode_file(server.received[0])])) > 80


def push(url: str) -> None:
    """Send three seconds of frames."""
    rtmp = url.startswith("rtmp")
    with av.open(url, "w", format="flv" if rtmp else "rtsp", options={} if rtmp else {"rtsp_transport": "tcp"}) as out:
        with http(lambda: mpeg_ts(FAST)) as source_url, av.open(source_url) as source:
            copy = out.add_stream_from_template(source.streams.video[0])
            for packet in islice(source.demux(video=0), 150):
                packet.stream = copy
                out.mux(packet)
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.fault
def test_a_cable_is_cut_and_mended_and_loses_and_starves() -> None:
    with network() as net, camera(host=net.host, inside=net.inside) as source:
        with av.open(source.url, timeout=(5, 2), options={"rtsp_transport": "tcp"}) as stream:
            frames = stream.decode(video=0)
            next(frames)
            net.cut()
            with pytest.raises(av.FFmpegError):
                list(frames)
        net.restore()
        with av.open(source.url, timeout=10, options={"rtsp_transport": "tcp"}) as stream:
            net.starve(24)
            began = time.monotonic()
            after = dropwhile(lambda _: time.monotonic() < began + 3, stream.demux())  # what had come by then
            packets = takewhile(lambda _: time.monotonic() < began + 9, after)
            assert sum(packet.size for packet in packets) < 6 * 24_000 / 8 * 2
    with network() as net, camera(host=net.host, inside=net.inside) as source:
        net.lose(20)
        assert 0 < len(numbers_and_times(source.url, 20)[0]) < 20


@pytest.mark.fault
def test_a_small_disk_is_full_soon(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk, pytest.raises(OSError, match="No space left"):
        (disk / "file").write_bytes(bytes(2 << 20))
    assert not (tmp_path / "disk/file").exists()
