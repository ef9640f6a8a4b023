"""Sources other than cameras: an RTMP server, and an HLS playlist."""

import functools
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import pytest
from kit.runs import running_stream
from kit.servers import free_port
from recorder_feed import RATE, camera_clip, read_recording, segments


@contextmanager
def playlist(clip: Path, folder: Path) -> Iterator[str]:
    """The URL of an HLS playlist of the clip."""
    folder.mkdir()
    with (
        av.open(clip) as source,
        av.open(folder / "x.m3u8", "w", options={"hls_time": "1", "hls_list_size": "0"}) as output,
    ):
        copies = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                output.mux(packet)

    class Files(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/x.m3u8"
    server.shutdown()
    server.server_close()


def test_a_server_of_rtmp_is_recorded(quick: list[str], place: Path, tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "clip.mp4", seconds=20)
    url = f"rtmp://127.0.0.1:{free_port()}/live/camera"
    if not shutil.which("ffmpeg"):
        pytest.skip("needs the Debian package ffmpeg")
    serve = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-i", clip, "-c", "copy", "-listen", "1", "-f", "flv", url]
    server = subprocess.Popen(serve, stderr=subprocess.DEVNULL)
    try:
        with running_stream(url, place, quick) as run:
            run.wait_for_frames(more=3 * RATE)
            assert run.end() == 0
    finally:
        server.kill()
        server.wait()
    part = read_recording(segments(place)[0])
    assert len(part.audio) > len(part.pts)


def test_a_playlist_is_recorded_at_its_own_speed_without_a_drop(quick: list[str], place: Path, tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "clip.mp4", seconds=6)
    with playlist(clip, tmp_path / "hls") as url, running_stream(url, place, quick) as run:
        run.wait_for_text("closed the connection", within_s=20)
        assert run.number("vidsr_frames_dropped_total") == 0
        assert run.end() == 0
    parts = [read_recording(path) for path in segments(place)]
    assert sum(len(part.pts) for part in parts) >= 6 * RATE
    assert sum(len(part.audio) for part in parts) > 6 * RATE
