"""The error messages for live sources that cannot be read."""

import time
from pathlib import Path

import pytest
from camera_servers import (
    Answer,
    dripping,
    free_udp_port,
    hangs_up,
    http,
    rtsp,
    served,
    silent,
    slowly,
    to_its_loss,
    transport_stream,
)
from kit.cameras import camera
from made import make_clip, make_sound

from vidsr.errors import SourceLost
from vidsr.media.source.live_source import LiveSource
from vidsr.media.source.pacing import LivePacket
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import StreamUrl

SETTINGS = StreamSettings(timeout_s=0.6, max_megapixels=1)
CHALLENGE = 'WWW-Authenticate: Basic realm="camera"'
PASSWORD = "rejects the user name or the password, or requires them (401)"


def lost(address: str) -> SourceLost:
    """The loss it ends in, which shows neither the password nor FFmpeg's error, whose text has the whole address."""
    try:
        with LiveSource(StreamUrl(address), SETTINGS) as source:
            error = to_its_loss(source, id)
    except SourceLost as refusal:
        error = refusal
    assert "secret" not in str(error)
    assert error.__context__ is None
    return error


@pytest.mark.parametrize(
    ("scheme", "answer", "words"),
    [
        ("rtsp", rtsp("401 Unauthorized", CHALLENGE), PASSWORD),
        ("http", http("401 Unauthorized", CHALLENGE), PASSWORD),
        ("rtsp", rtsp("403 Forbidden"), "forbids access (403)"),
        ("http", http("403 Forbidden"), "forbids access (403)"),
        ("rtsp", rtsp("404 Not Found"), "has no such path (404)"),
        ("http", http("404 Not Found"), "has no such path (404)"),
        ("rtsp", rtsp("503 Service Unavailable"), "has a server error (HTTP 5xx)"),
        ("http", http("503 Service Unavailable"), "has a server error (HTTP 5xx)"),
        ("rtsp", rtsp("453 Not Enough Bandwidth"), "rejects the request (HTTP 4xx)"),
        ("rtsp", silent, "does not answer within 0.6 s"),
        ("rtsps", silent, "does not answer within 0.6 s"),
        ("http", silent, "does not answer within 0.6 s"),
        ("https", silent, "does not answer within 0.6 s"),
        ("rtsp", hangs_up, "does not speak RTSP, redirects elsewhere, or closed the connection"),
        ("http", hangs_up, "closed the connection before it sent anything"),
        ("https", http("200 OK"), "does not speak TLS"),
        ("http", dripping, "sends too little to detect a stream, after 1.2 s"),
    ],
)  # fmt: skip
def test_an_answer_is_reported_in_words_and_a_refused_password_is_not_tried_again_soon(
    scheme: str, answer: Answer, words: str
) -> None:
    with served(answer) as place:
        error = lost(f"{scheme}://user:secret@{place}/path")
    assert str(error) == f"{scheme}://{place}: {words}"
    assert error.slow == ("401" in words or "403" in words)


def test_a_udp_source_that_does_not_send_is_reported() -> None:
    assert str(lost(f"udp://127.0.0.1:{free_udp_port()}")).endswith(": sends nothing, or too little")


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https"])
def test_a_refused_connection_and_an_unknown_name_are_reported(scheme: str) -> None:
    assert str(lost(f"{scheme}://user:secret@127.0.0.1:1/x")).endswith("127.0.0.1:1: refuses the connection")
    assert str(lost(f"{scheme}://u:secret@no.such.invalid/x")).endswith("unknown host name")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>" + b"a page <br>" * 9000),
        ("application/vnd.apple.mpegurl", b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:1/a.ts\n"),
        ("text/plain", b"ffconcat version 1.0\nfile http://127.0.0.1:1/a.ts\n"),
    ],
)
def test_what_is_no_video_is_not_taken_for_one(kind: str, body: bytes) -> None:
    with served(http("200 OK", f"Content-Type: {kind}", body=body)) as place:
        assert "sends no video of a supported format" in str(lost(f"http://{place}/x"))


def test_another_protocol_is_not_followed(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts")
    for elsewhere in (f"file://{clip}", "https://127.0.0.1:1/", "rtsp://127.0.0.1:1/"):
        with served(http("302 Found", f"Location: {elsewhere}", "Content-Length: 0")) as place:
            assert "redirects elsewhere" in str(lost(f"http://{place}/x"))
    with served(rtsp("302 Found", f"Location: file://{clip}")) as place:
        assert "redirects elsewhere" in str(lost(f"rtsp://{place}/x"))


def test_audio_alone_and_too_large_frames_are_reported(tmp_path: Path) -> None:
    with served(transport_stream(make_sound(tmp_path / "sound.ts"), stays=True)) as place:
        assert str(lost(f"http://{place}/x")) == f"http://{place}: sends no video"
    large = make_clip(tmp_path / "large.ts", size=(1600, 1200), pts=[0, 512])
    with served(transport_stream(large)) as place:
        assert "sends 1600x1200, which is above 1 megapixels" in str(lost(f"http://{place}/x"))


def test_audio_that_goes_on_without_frames_is_a_loss(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", pts=[*range(0, 5120, 512), 60_000], audio=1, options={"bf": "0"})
    with served(slowly(clip, 4)) as place:
        assert str(lost(f"http://{place}/x")) == f"http://{place}: sends audio or data, but no video for 0.6 s"


def test_a_link_that_is_far_too_slow_is_reported(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", size=(320, 240))
    with served(slowly(clip, 60)) as place:
        assert str(lost(f"http://{place}/x")) == f"http://{place}: sends too little to detect a stream, after 1.2 s"


@pytest.mark.fault
@pytest.mark.slow
def test_video_that_never_becomes_a_frame_is_a_loss_in_the_end(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", options={"bf": "0"})
    with served(transport_stream(clip)) as place, LiveSource(StreamUrl(f"http://{place}/x"), SETTINGS) as source:
        packets: list[LivePacket] = []
        to_its_loss(source, packets.append)
        began = time.monotonic()

        def without_key_frame() -> None:
            while time.monotonic() - began < 30:
                assert source.decode(packets[5]) == []
                time.sleep(0.1)

        with pytest.raises(SourceLost, match="sends video, but no frame in 20 s"):
            without_key_frame()
        assert 20 <= time.monotonic() - began < 21
        assert len(source.decode(packets[0])) == 1
        assert source.decode(packets[1])


def test_frames_that_grow_too_large_on_the_way_are_refused(tmp_path: Path) -> None:
    small = make_clip(tmp_path / "small.ts", options={"bf": "0"}).read_bytes()
    large = make_clip(tmp_path / "large.ts", size=(1600, 1200), pts=[0, 512], options={"bf": "0"}).read_bytes()
    (tmp_path / "both.ts").write_bytes(small + large + small)
    with served(transport_stream(tmp_path / "both.ts")) as place:
        with LiveSource(StreamUrl(f"http://{place}/x"), SETTINGS) as source:
            widths: set[int] = set()
            to_its_loss(source, lambda packet: widths.update(p.width for p in source.decode(packet)))
        assert widths == {96}
        assert source.corrupt >= 2


def test_an_rtsp_camera_of_audio_alone_and_one_with_a_password_are_reported() -> None:
    with camera("--audio-only") as there:
        assert str(lost(there.url)).endswith(": sends no video")
    with camera("--auth", "user:other") as there:
        error = lost(there.url.replace("//", "//user:secret@"))
        assert "(401)" in str(error)
        assert error.slow


@pytest.mark.fault
def test_a_frozen_rtsp_camera_is_noticed_after_the_timeout() -> None:
    with camera() as there, LiveSource(StreamUrl(there.url), StreamSettings(timeout_s=2)) as source:
        seen: list[float] = []

        def see(_packet: LivePacket) -> None:
            seen.append(time.monotonic())
            if len(seen) == 10:
                there.freeze()

        assert str(to_its_loss(source, see)).endswith("sends nothing for 2 s")
        assert 2 <= time.monotonic() - seen[-1] < 3
