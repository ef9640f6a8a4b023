"""Live sources: packets and frames, and how reading ends."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from camera_servers import free_udp_port, multipart, over_udp, self_signed, served, to_its_loss, transport_stream
from kit.cameras import camera, need_tls
from kit.frame_mark import read_mark
from made import make_clip

from vidsr.errors import SourceError, SourceLost
from vidsr.media.source.live_source import LiveSource
from vidsr.media.source.pacing import LivePacket, paced_packets
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import SOURCE_SCHEMES, StreamUrl

PLAIN = {"bf": "0", "g": "12"}


def settings(**chosen: object) -> StreamSettings:
    return StreamSettings(**{"timeout_s": 0.6, **chosen})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("live") / "clip.ts", audio=1, options=PLAIN)


def read_frames(source: LiveSource, count: int) -> list[av.VideoFrame]:
    def decoded() -> Iterator[av.VideoFrame]:
        for packet in source.packets():
            if packet.stream is source.video:
                yield from source.decode(packet)

    with closing(decoded()) as frames:
        return list(islice(frames, count))


def test_http_mpeg_ts_is_read_with_its_audio_until_the_server_hangs_up(ts: Path) -> None:
    with (
        served(transport_stream(ts)) as place,
        LiveSource(StreamUrl(f"HTTP://user:secret@{place}/x"), settings()) as source,
    ):
        assert (source.info.codec, source.info.width, source.info.height, source.info.audio) == ("h264", 96, 64, "aac")
        packets: list[LivePacket] = []
        assert str(to_its_loss(source, packets.append)) == f"http://{place}: closed the connection"
        video = [packet for packet in packets if packet.stream is source.video]
        assert [len(source.decode(packet)) for packet in video] == [1] * 24
        assert sum(packet.stream is source.audio.stream for packet in packets) >= 30
        assert source.corrupt == 0
        assert source.compression().codec == "h264"
        assert source.compression().quantiser


def test_silence_is_noticed_after_the_timeout_and_not_after_twice_as_long(ts: Path) -> None:
    with (
        served(transport_stream(ts, stays=True)) as place,
        LiveSource(StreamUrl(f"http://{place}/x"), settings()) as source,
    ):
        began = time.monotonic()
        with pytest.raises(SourceLost, match=r"sends nothing for 0\.6 s$"):
            list(source.packets())
        assert 0.6 <= time.monotonic() - began < 1.0


def test_frames_of_an_mjpeg_camera_get_the_time_they_arrive(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "one.mkv", pts=[0], codec="mjpeg", pixel_format="yuvj420p")
    with av.open(clip) as stored:
        jpeg = bytes(next(stored.demux(video=0)))
    with served(multipart(jpeg, fps=10)) as place, LiveSource(StreamUrl(f"http://{place}/x"), settings()) as source:
        assert (source.info.codec, source.info.rate, source.info.audio) == ("mjpeg", None, "")
        times = [float(frame.pts * frame.time_base) for frame in read_frames(source, 14)]
        assert np.median(np.diff(times[-8:])) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("first", [b"", b"\r\n", b"\r\n--edge\r\n", b"This is a multipart message.\r\n--edge\r\n"])
def test_an_mjpeg_camera_is_read_whatever_comes_before_its_first_part(
    first: bytes, length: bool, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "one.mkv", pts=[0], codec="mjpeg", pixel_format="yuvj420p")
    with av.open(clip) as stored:
        jpeg = bytes(next(stored.demux(video=0)))
    with (
        served(multipart(jpeg, fps=20, first=first, length=length)) as place,
        LiveSource(StreamUrl(f"http://{place}/x"), settings()) as source,
    ):
        frames = read_frames(source, 8)
        assert (source.info.codec, source.info.width, source.corrupt) == ("mjpeg", 96, 0)
        assert np.median(np.diff([float(frame.pts * frame.time_base) for frame in frames])) < 0.1


def test_udp_mpeg_ts_is_read(ts: Path) -> None:
    port = free_udp_port()
    end = over_udp(ts, port)
    try:
        with LiveSource(StreamUrl(f"udp://127.0.0.1:{port}"), settings()) as source:
            assert len(read_frames(source, 30)) == 30
    finally:
        end()


def test_a_certificate_is_verified_unless_that_is_not_wanted(
    ts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)
    with served(transport_stream(ts, stays=True), certificate) as place:
        for scheme in ("https", "rtsps"):
            with pytest.raises(SourceLost, match=r"certificate cannot be verified: self.signed .*--insecure"):
                LiveSource(StreamUrl(f"{scheme}://user:secret@{place}/x"), settings())
        with LiveSource(StreamUrl(f"https://{place}/x"), settings(insecure=True)) as source:
            assert source.info.width == 96
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
        with LiveSource(StreamUrl(f"https://{place}/x"), settings()) as source:
            assert source.info.width == 96


def test_a_file_is_played_at_its_own_speed_though_it_has_b_frames_and_its_end_is_a_loss(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", audio=1, options={"bf": "3"})
    with LiveSource(StreamUrl(str(clip)), settings(realtime=True)) as source:
        arrived: list[tuple[float, float]] = []

        def see(packet: LivePacket) -> None:
            if packet.stream is source.video:
                arrived.append((time.monotonic(), float(packet.dts * packet.time_base)))

        assert str(to_its_loss(source, see)) == f"{clip}: end of file"
        walls, stamps = np.array(arrived).T
        assert len(walls) == 24
        assert np.abs((walls - walls[0]) - (stamps - stamps[0])).max() < 0.1


def test_audio_that_lies_far_from_its_frames_does_not_change_the_pace(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", audio=1, pts=[512 * i for i in range(60)], options=PLAIN)

    def place(packet: LivePacket) -> float:
        behind_s = 1.3 if packet.stream.type == "audio" else 0
        return float(packet.dts * packet.time_base) + behind_s

    with av.open(clip) as stored:
        packets = sorted((packet for packet in stored.demux() if packet.size), key=place)
        began = time.monotonic()
        assert list(paced_packets(packets, video=stored.streams.video[0], wait=threading.Event().wait)) == packets
    assert time.monotonic() - began == pytest.approx(59 / 30, abs=0.15)


def test_a_path_is_no_live_source_unless_it_is_to_be_played(ts: Path, tmp_path: Path) -> None:
    for address, words in [
        (str(ts), "only with --realtime"),
        (
            "ftp://user:secret@host/x",
            f"^ftp://host: cannot read ftp://; supported are {', '.join(SOURCE_SCHEMES)}$",
        ),
        ("concat:a.ts|b.ts", "only with --realtime"),
    ]:
        with pytest.raises(SourceError, match=words) as caught:
            LiveSource(StreamUrl(address), settings())
        assert not isinstance(caught.value, SourceLost)
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{ts}\n")
    with pytest.raises(SourceError, match="not a media file"):
        LiveSource(StreamUrl(str(tmp_path / "list.m3u8")), settings(realtime=True))


def test_a_source_that_another_thread_reads_is_halted_and_closed(ts: Path) -> None:
    with served(transport_stream(ts, stays=True)) as place:
        source = LiveSource(StreamUrl(f"http://{place}/x"), settings(timeout_s=1.0))
        ended: list[str] = []
        thread = threading.Thread(target=lambda: ended.append(str(to_its_loss(source, id))))
        thread.start()
        time.sleep(0.3)  # by now it waits for what does not come
        began = time.monotonic()
        source.close()
        thread.join(2)
        assert not thread.is_alive()
        assert time.monotonic() - began < 1.5
        assert ended == [f"http://{place}: sends nothing for 1 s"]
        assert list(source.packets()) == []


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_an_rtsp_camera_is_read(transport: str) -> None:
    with (
        camera("--size", "160x120", "--audio", "alaw") as there,
        LiveSource(StreamUrl(there.url), settings(timeout_s=5.0, transport=transport)) as source,
    ):
        assert (source.info.codec, source.info.width, source.info.audio) == ("h264", 160, "pcm_alaw")
        marks = [read_mark(frame.to_ndarray(format="gray")) for frame in read_frames(source, 5)]
        numbers = [mark.number for mark in marks if mark]
        assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_an_rtsp_camera_by_tls_is_read_and_its_certificate_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_tls()
    with camera("--tls", str(self_signed(tmp_path)), "--size", "160x120") as there:
        address, patient = StreamUrl(there.url), settings(timeout_s=5.0)
        with pytest.raises(SourceLost, match=r"certificate cannot be verified: self.signed .*--insecure"):
            LiveSource(address, patient)
        with LiveSource(address, settings(timeout_s=5.0, insecure=True)) as source:
            assert len(read_frames(source, 5)) == 5
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
        with LiveSource(address, patient) as source:
            assert len(read_frames(source, 5)) == 5
        with pytest.raises(SourceLost, match="does not speak RTSP"):
            LiveSource(StreamUrl(there.url.replace("rtsps", "rtsp")), patient)
