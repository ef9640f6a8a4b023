"""The recipes for go2rtc, Frigate and Home Assistant, by stand-ins that read and take what these programs do."""

import re
import shlex
from itertools import islice
from pathlib import Path

import av
import jinja2
import pytest
import yaml
from kit.recordings import decode_file, frame_numbers
from kit.runs import running_stream
from kit.servers import http
from kit.sinks import sink
from kit.transport import Kind, mpeg_ts
from live.status_server import get, serving, status
from recorder_feed import RATE, camera_clip, play, recorder
from test_live_site import write_previews

from vidsr.cli import main
from vidsr.live.config import CameraConfig
from vidsr.stream_url import StreamUrl

PAGE = (Path(__file__).parents[2] / "examples/README.md").read_text()
(RECIPE,) = re.findall(r"```yaml\n(# go2rtc.yaml.*?)```", PAGE, re.DOTALL)
GO2RTC, FRIGATE, HOME_ASSISTANT = map(yaml.safe_load, re.split(r"\n(?=# (?:Frigate|Home Assistant))", RECIPE))


def local(url: str, port: int) -> str:
    """The address of a recipe on the port of a test."""
    found = re.search(r"http://127\.0\.0\.1:9090(/[^#\s]*)", url)
    assert found, url
    return f"http://127.0.0.1:{port}{found[1]}"


def test_home_assistant_and_go2rtc_read_what_is_served(tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "camera.mp4", seconds=5)
    playlist = tmp_path / "hls/door.m3u8"
    with recorder(playlist) as made:
        play(made, clip)
    playlist.write_text(playlist.read_text() + "#EXT-X-ENDLIST\n")
    write_previews(tmp_path / "camera", 1, 64)
    config = CameraConfig(name="camera", source=StreamUrl("x"), targets=(), playlist=playlist)
    (camera,), (rest,) = HOME_ASSISTANT["camera"], HOME_ASSISTANT["rest"]
    with serving(tmp_path, status("camera"), configs=(config,)) as port:
        with av.open(local(GO2RTC["streams"]["door_hls"], port), timeout=30) as video:
            assert len(list(video.decode(video=0))) == 5 * RATE
        with av.open(local(camera["mjpeg_url"], port), format="mpjpeg", timeout=30) as video:
            assert [frame.width for frame in islice(video.decode(video=0), 1)] == [64]
        still = local(camera["still_image_url"], port)
        assert get(port, still.partition(str(port))[2])[0].getheader("Content-Type") == "image/jpeg"
        response, text = get(port, local(rest["resource"], port).partition(str(port))[2])
        template = jinja2.Template(rest["binary_sensor"][0]["value_template"])
        values = yaml.safe_load(text)
        assert (response.status, template.render(value_json=values)) == (200, "True")
        assert template.render(value_json=values | {"state": "failed"}) == "False"


def test_go2rtc_starts_a_command_that_this_version_understands(tmp_path: Path) -> None:
    command = GO2RTC["streams"]["door_asked"]
    assert command.startswith("exec:vidsr stream ")
    (tmp_path / "door.url").write_text("rtsp://camera/1")
    words = shlex.split(command.replace("/etc/vidsr", str(tmp_path)).removeprefix("exec:vidsr "))
    assert main([*words, "--check"]) == 0


def test_frigate_reads_the_stream_that_go2rtc_is_pushed() -> None:
    (given,) = FRIGATE["cameras"]["door_large"]["ffmpeg"]["inputs"]
    assert f"--also {given['path']} " in PAGE
    assert given["path"].rpartition("/")[2] in GO2RTC["streams"]


@pytest.mark.slow
def test_an_rtsp_server_takes_the_push(quick: list[str], place: Path, tmp_path: Path) -> None:
    with http(lambda: mpeg_ts(Kind())) as url, sink("rtsp", tmp_path) as server:
        options = [*quick, "--also", server.url]
        with running_stream(url, place, options) as run:
            run.wait_until(lambda: server.bytes_received > 200_000, within_s=60, what="the server receives")
            assert run.end() == 0
        assert len(frame_numbers([decode_file(server.received[0])])) > 10
