"""What is live over HTTP: an endless MJPEG of previews, and the HLS playlist of a camera."""

import re
import socket
import time
from pathlib import Path
from threading import Thread

import av
from live.status_server import get, serving, status
from recorder_feed import RATE, camera_clip, play, recorder

from vidsr.live.config import CameraConfig
from vidsr.stream_url import StreamUrl


def jpeg(width: int) -> bytes:
    from vidsr.media.image_writer import encode_image

    return encode_image(av.VideoFrame(width, 48, "yuv420p"), "mjpeg")


def write_previews(folder: Path, moment: int, width: int) -> None:
    folder.mkdir(exist_ok=True)
    for which in ("after", "before"):
        (folder / f"{moment}-{which}.jpg").write_bytes(jpeg(width))


def test_players_follow_the_previews(tmp_path: Path) -> None:
    write_previews(tmp_path / "front", 1, 64)

    def add() -> None:
        for moment in (2, 3, 4, 5):
            time.sleep(0.6)
            write_previews(tmp_path / "front", moment, 64)

    with serving(tmp_path, status()) as port:
        thread = Thread(target=add)
        thread.start()
        with av.open(f"http://127.0.0.1:{port}/camera/front/after.mjpeg", format="mpjpeg", timeout=20) as video:
            frames = [frame for _, frame in zip(range(3), video.decode(video=0), strict=False)]
        thread.join()
    assert [frame.width for frame in frames] == [64, 64, 64]


def test_too_many_viewers_are_refused_and_those_that_take_nothing_are_hung_up_on(tmp_path: Path) -> None:
    write_previews(tmp_path / "front", 1, 64)
    with serving(tmp_path, status()) as port:
        clients = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(4)]
        for client in clients:
            client.sendall(b"GET /camera/front/before.mjpeg HTTP/1.0\r\n\r\n")
            assert b"200 OK" in client.recv(4096)
        assert get(port, "/camera/front/before.mjpeg")[0].status == 503
        assert get(port, "/healthz")[0].status == 200
        for client in clients:
            client.close()
        (tmp_path / "front/2-after.jpg").write_bytes(bytes(9_000_000))
        (tmp_path / "front/2-before.jpg").write_bytes(bytes(9_000_000))
        until = time.monotonic() + 60
        while (code := get(port, "/camera/front/before.mjpeg", method="HEAD")[0].status) != 200:
            assert time.monotonic() < until, code
        lazy = socket.create_connection(("127.0.0.1", port), timeout=60)
        lazy.sendall(b"GET /camera/front/before.mjpeg HTTP/1.0\r\n\r\n")
        time.sleep(4)  # the time limit of the server is a second
        received = 0
        while data := lazy.recv(1 << 20):
            received += len(data)
        assert received < 9_000_000
        lazy.close()


def test_the_playlist_of_a_camera_is_served(tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "camera.mp4", seconds=5)
    playlist = tmp_path / "hls" / "door.m3u8"
    with recorder(playlist) as made:
        play(made, clip)
    playlist.write_text(playlist.read_text() + "#EXT-X-ENDLIST\n")
    (tmp_path / "hls/secret.mp4").write_bytes(b"secret")
    front = CameraConfig(name="front", source=StreamUrl("x"), targets=(), playlist=playlist)
    with serving(tmp_path, status(), status("back"), configs=(front,)) as port:
        with av.open(f"http://127.0.0.1:{port}/camera/front/live.m3u8", timeout=30) as video:
            assert len(list(video.decode(video=0))) == 5 * RATE
        assert get(port, "/camera/back/live.m3u8")[0].status == 404
        for name in ("secret.mp4", "door.m3u8", "../camera.mp4", "..%2fcamera.mp4", ".door-part.m3u8"):
            assert get(port, f"/camera/front/{name}")[0].status == 404, name
        (piece,) = set(re.findall(r"door-init-\d+\.mp4", playlist.read_text()))
        assert get(port, f"/camera/front/{piece}")[0].status == 200
