"""Recordings over HTTP: found, played in a real browser, and exported."""

import json
import os
import re
import signal
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import av
import pytest
from kit.browser import browser
from live.status_server import get, serving, status, status_server
from recorder_feed import RATE, camera_clip, play, recorder, segments

from vidsr.live.config import CameraConfig
from vidsr.media.sink.recorder import Recorder
from vidsr.stream_url import StreamUrl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a camera, of six seconds in segments of about two."""
    made_in = tmp_path_factory.mktemp("recorded")
    clip = camera_clip(made_in / "camera.mp4", seconds=6)
    with recorder(made_in / "front", segment_s=2, original=True) as made:
        play(made, clip, live=True)
    return made_in / "front"


@pytest.fixture(scope="module")
def port(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server of that camera, and of one that records nothing."""
    front = CameraConfig(name="front", source=StreamUrl("x"), targets=(), segment_dir=folder)
    with serving(tmp_path_factory.mktemp("previews"), status(), status("back"), configs=(front,)) as port:
        yield port


def asked(port: int, path: str, **query: object) -> tuple[int, str]:
    response, text = get(port, f"{path}?{urlencode(query)}" if query else path)
    return response.status, text


def data_of(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, data


def listed(port: int, **query: object) -> list[dict[str, object]]:
    code, text = asked(port, "/api/recordings", camera="front", **query)
    assert code == 200, text
    return list(json.loads(text)["segments"])


def test_segments_are_listed_by_camera_and_time(port: int, folder: Path) -> None:
    code, text = asked(port, "/api/recordings")
    days = sorted(path.name for path in folder.iterdir() if path.is_dir())
    assert (code, json.loads(text)) == (200, {"cameras": [{"name": "front", "days": days}]})
    found = listed(port)
    assert [folder / each["upscaled"]["path"] for each in found] == segments(folder)  # type: ignore[index]
    assert all(each["original"]["bytes"] > 1000 for each in found)  # type: ignore[index]
    assert sum(each["seconds"] for each in found) == pytest.approx(6, abs=0.1)  # type: ignore[misc]
    (second,) = listed(port, **{"from": found[1]["start_s"] + 0.5, "to": found[1]["start_s"] + 1})  # type: ignore[operator]
    assert second == found[1]
    for times in ({"from": "noon"}, {"from": "nan"}, {"from": 5, "to": 4}):
        assert asked(port, "/api/recordings", camera="front", **times)[0] == 400
    assert asked(port, "/api/recordings", camera="back")[0] == 404


def test_a_segment_is_served_whole_and_in_parts(port: int, folder: Path) -> None:
    segment = segments(folder)[0]
    path, data = f"/recordings/front/{segment.parent.name}/{segment.name}", segment.read_bytes()
    code, headers, body = data_of(port, path)
    assert (code, headers["content-type"], body) == (200, "video/mp4", data)
    for wanted, part in [("bytes=10-19", data[10:20]), ("bytes=10-", data[10:]), ("bytes=-10", data[-10:])]:
        code, headers, body = data_of(port, path, Range=wanted)
        assert (code, body) == (206, part)
    assert headers["content-range"] == f"bytes {len(data) - 10}-{len(data) - 1}/{len(data)}"
    assert data_of(port, path, Range=f"bytes={len(data)}-")[0] == 416
    head = get(port, path, method="HEAD")
    assert (head[0].getheader("Content-Length"), head[1]) == (str(len(data)), "")


def test_a_segment_has_a_thumbnail(port: int, folder: Path, tmp_path: Path) -> None:
    segment = segments(folder)[1]
    code, headers, body = data_of(port, f"/recordings/front/{segment.parent.name}/{segment.name}.jpg")
    assert (code, headers["content-type"]) == (200, "image/jpeg")
    (tmp_path / "thumbnail.jpg").write_bytes(body)
    with av.open(tmp_path / "thumbnail.jpg") as image:
        (frame,) = image.decode(video=0)
    assert (frame.width, frame.height) == (240, 180)


def test_nothing_but_segments_is_served(port: int, folder: Path) -> None:
    day = next(path for path in folder.iterdir() if path.is_dir())
    (folder.parent / "secret.mp4").write_bytes(b"secret")
    (day / "notes.mp4").write_bytes(b"secret")
    (day / "10-00-00.mp4").symlink_to(folder.parent / "secret.mp4")
    (day / "10-00-01.mp4.part").write_bytes(b"secret")
    os.mkfifo(day / "10-00-02.mp4")
    (folder / "2020-01-01").symlink_to(folder.parent)
    (folder.parent / "10-00-00.mp4").write_bytes(b"secret")
    base = f"/recordings/front/{day.name}"
    try:
        for path in (
            f"{base}/notes.mp4",
            f"{base}/10-00-00.mp4",
            f"{base}/10-00-00.mp4.jpg",
            f"{base}/10-00-01.mp4.part",
            f"{base}/10-00-02.mp4",
            "/recordings/front/2020-01-01/10-00-00.mp4",
            f"{base}/../../secret.mp4",
            f"{base}/%2e%2e/%2e%2e/secret.mp4",
            "/recordings/front/.index.sqlite",
            f"/recordings/front/{folder.parent}/10-00-00.mp4",
            "/recordings/../front/",
            "/recordings/back/",
            "/api/other",
        ):
            code, text = asked(port, path)
            assert code == 404, path
            assert "secret" not in text
    finally:
        for name in ("notes.mp4", "10-00-00.mp4", "10-00-01.mp4.part", "10-00-02.mp4"):
            (day / name).unlink()
        (folder / "2020-01-01").unlink()


def test_a_moment_is_exported(port: int, tmp_path: Path) -> None:
    start_s = float(str(listed(port)[0]["start_s"]))
    times = urlencode({"from": start_s + 1, "to": start_s + 4})
    for original in ("", "&original=1"):
        code, headers, body = data_of(port, f"/api/export?camera=front&{times}{original}")
        assert (code, headers["content-type"]) == (200, "video/mp4")
        assert headers["content-disposition"].startswith('attachment; filename="front-')
        (tmp_path / "moment.mp4").write_bytes(body)
        with av.open(tmp_path / "moment.mp4") as video:
            assert len(list(video.decode(video=0))) == pytest.approx(3 * RATE, abs=1)
    for query, code, words in [
        ({"from": 10, "to": 20}, 404, "nothing is recorded of that time"),
        ({"from": start_s, "to": start_s + 4000}, 400, "at most an hour"),
        ({"to": start_s + 4}, 400, "needs from and to"),
    ]:
        answer = asked(port, "/api/export", camera="front", **query)
        assert answer[0] == code
        assert words in answer[1]


def test_a_player_of_hls_finds_every_frame(port: int) -> None:
    for query in ("", "?original=1"):
        with av.open(f"http://127.0.0.1:{port}/recordings/front/playlist.m3u8{query}", timeout=30) as video:
            assert len(list(video.decode(video=0))) == 6 * RATE


def test_a_process_that_is_killed_is_started_again(tmp_path: Path, folder: Path) -> None:
    front = CameraConfig(name="front", source=StreamUrl("x"), targets=(), segment_dir=folder)
    with status_server(tmp_path, status(), configs=(front,)) as server:
        assert asked(server.port, "/api/recordings", camera="front")[0] == 200
        (pid,) = server.helper_pids
        os.kill(pid, signal.SIGKILL)
        assert asked(server.port, "/api/recordings", camera="front")[0] == 200
        assert pid not in server.helper_pids


class UnderLoad:
    """A recorder that is given the first three frames, and every packet of the camera."""

    def __init__(self, whole: Recorder) -> None:
        self.begin, self.write_audio, self.write_source = whole.begin, whole.write_audio, whole.write_source
        self._whole, self._n_frames = whole, 0

    def write_frame(self, frame: av.VideoFrame) -> None:
        self._n_frames += 1
        if self._n_frames <= 3:
            self._whole.write_frame(frame)


def test_each_file_of_a_pair_has_its_own_length(tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "camera.mp4", seconds=3, audio=0)
    with recorder(tmp_path / "front", segment_s=60, original=True) as made:
        play(UnderLoad(made), clip)  # type: ignore[arg-type]
    front = CameraConfig(name="front", source=StreamUrl("x"), targets=(), segment_dir=tmp_path / "front")
    with serving(tmp_path / "previews", status(), configs=(front,)) as port:
        (found,) = listed(port)
        playlists = [asked(port, f"/recordings/front/playlist.m3u8{query}")[1] for query in ("", "?original=1")]
    lengths = [found[kind]["seconds"] for kind in ("upscaled", "original")]  # type: ignore[index]
    assert lengths == pytest.approx([3 / RATE, 3], abs=0.05)
    assert found["seconds"] == lengths[1]
    for playlist, seconds in zip(playlists, lengths, strict=True):
        assert [float(each) for each in re.findall(r"#EXTINF:(.*),", playlist)] == [seconds]
        (longest,) = re.findall(r"#EXT-X-TARGETDURATION:(\d+)\n", playlist)
        assert seconds <= int(longest) <= seconds + 1


@pytest.fixture
def original_port(tmp_path: Path) -> Iterator[int]:
    """A server of a camera of which only the original is recorded."""
    clip = camera_clip(tmp_path / "camera.mp4", seconds=2)
    with recorder(tmp_path / "front", segment_s=60, original_only="always") as made:
        play(made, clip)
    front = CameraConfig(name="front", source=StreamUrl("x"), targets=(), segment_dir=tmp_path / "front")
    with serving(tmp_path, status(), configs=(front,)) as port:
        yield port


def test_an_export_says_that_only_the_original_is_there(original_port: int) -> None:
    start_s = float(str(listed(original_port)[0]["start_s"]))
    times = {"camera": "front", "from": start_s, "to": start_s + 2}
    words = "nothing is recorded of that time but the original: export it by original=1\n"
    assert asked(original_port, "/api/export", **times) == (404, words)
    code, _, body = data_of(original_port, f"/api/export?{urlencode(times)}&original=1")
    assert code == 200, body


@pytest.mark.slow
def test_the_page_chooses_the_original_where_nothing_else_is_there(original_port: int, tmp_path: Path) -> None:
    with browser(tmp_path) as page:
        page.open(f"http://127.0.0.1:{original_port}/recordings/front/")
        page.wait_for("document.querySelectorAll('#segments img').length == 1")
        assert page.evaluate("choice.kind.value") == "original"
        assert page.evaluate("document.querySelector('#playlist').href").endswith("&original=1")
        assert page.evaluate("document.getElementById('export').original.checked") is True


@pytest.mark.slow
def test_a_browser_plays_one_segment_after_another(port: int, tmp_path: Path) -> None:
    errors = "[...document.querySelectorAll('#stage video')].map(video => video.error && video.error.message)"
    with browser(tmp_path) as page:
        page.open(f"http://127.0.0.1:{port}/recordings/front/")
        page.wait_for("document.querySelectorAll('#segments img').length == 3")
        page.wait_for("[...document.querySelectorAll('#segments img')].every(each => each.naturalWidth == 240)")
        page.evaluate("document.querySelector('#segments button').click()")
        page.wait_for("document.querySelector('#segments li:nth-child(3) .playing') && videos[0].ended")
        assert page.evaluate(errors) == [None, None]
        assert page.evaluate("videos[0].videoWidth") == 64
        frames = "videos.map(each => each.getVideoPlaybackQuality().totalVideoFrames)"
        assert sum(page.evaluate(frames)) > RATE
        page.screenshot(tmp_path / "recordings.png")


@pytest.mark.slow
def test_the_video_element_of_a_browser_plays_the_playlist(port: int, tmp_path: Path) -> None:
    with browser(tmp_path) as page:
        page.open(f"http://127.0.0.1:{port}/recordings/front/")
        page.wait_for("document.querySelector('#playlist')?.href.includes('from=')")
        if not page.evaluate("videos[0].canPlayType('application/vnd.apple.mpegurl')"):
            pytest.skip("this browser plays no HLS by itself")
        page.evaluate(
            "player = document.createElement('video'), player.src = document.querySelector('#playlist').href"
        )
        page.evaluate("player.muted = true, player.play()")
        page.wait_for("player.ended")
        assert page.evaluate("player.currentTime") == pytest.approx(6, abs=0.3)
