"""The audio of a camera: as each container takes it, of the right programme, and never at the cost of frames."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import numpy as np
import pytest
from camera_servers import free_udp_port, over_udp
from kit.runs import BUSY_S, stream
from recorder_feed import camera_clip, play, read_recording, recorder, segments

from vidsr.errors import SourceLost
from vidsr.media.source.aac_track import aac_track
from vidsr.media.source.live_source import LiveSource
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import StreamUrl

RATES = {
    "aac": 48_000,
    "mp2": 48_000,
    "ac3": 48_000,
    "libopus": 48_000,
    "pcm_mulaw": 8_000,
    "pcm_alaw": 8_000,
    "adpcm_g726": 8_000,
}


def with_audio(
    path: Path,
    *tracks: tuple[str, int],
    seconds: float = 4,
    silent_s: float = 0,
    layout: str = "mono",
    start_s: int = 0,
) -> Path:
    """A camera's clip with audio tracks, each a codec and the frequency of its tone in Hz; a .ts holds ADTS."""
    clip = camera_clip(path.with_name("silent.mp4"), seconds=seconds, audio=0)
    with av.open(clip) as source, av.open(path, "w") as output:
        copy = output.add_stream_from_template(source.streams.video[0])
        encoders = [output.add_stream(codec, rate=RATES[codec], layout=layout) for codec, _ in tracks]
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet in packets:
            packet.stream = copy
        for encoder, (_, hertz) in zip(encoders, tracks, strict=True):
            packets += tone(encoder, hertz, seconds, silent_s)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            packet.pts, packet.dts = (time + round(start_s / packet.time_base) for time in (packet.pts, packet.dts))
            output.mux(packet)
    return path


def tone(encoder: av.AudioStream, hertz: int, seconds: float, silent_s: float = 0) -> Iterator[av.Packet]:
    rate = encoder.rate
    encoder.codec_context.open()
    resampler = av.AudioResampler(encoder.format, encoder.layout, rate, encoder.codec_context.frame_size or 320)
    wave = np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    wave[: int(rate * silent_s)] = 0
    frame = av.AudioFrame.from_ndarray((8000 * wave).astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    for part in [*resampler.resample(frame), None]:
        for packet in encoder.encode(part):
            packet.stream = encoder
            yield packet


def pitch(path: Path) -> float:
    """The loudest frequency of the audio in a file, in Hz."""
    with av.open(path) as container:
        (audio,) = container.streams.audio
        samples = np.concatenate([frame.to_ndarray()[0].astype(float) for frame in container.decode(audio)])
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        return float(np.argmax(spectrum) * audio.rate / len(samples))


def onset_s(path: Path) -> float:
    """When the audio in a file begins to sound."""
    with av.open(path) as container:
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0].astype(float)) > 0.05)
            if len(loud):
                return float(frame.pts * frame.time_base) + loud[0] / frame.sample_rate
    return 0.0


@contextmanager
def over_network(clip: Path, scheme: str) -> Iterator[str]:
    """The URL of a camera that sends the clip."""
    if not scheme:
        yield str(clip)
        return
    port = free_udp_port()
    end = over_udp(clip, port)
    try:
        yield f"udp://127.0.0.1:{port}"
    finally:
        end()


@pytest.mark.parametrize("scheme", ["", "udp"])
def test_aac_of_a_transport_stream_is_recorded_to_every_kind_of_target(
    scheme: str, quick: list[str], place: Path, tmp_path: Path
) -> None:
    clip = with_audio(tmp_path / "adts.ts", ("aac", 1000), seconds=2)
    files = tmp_path / "one.mp4", tmp_path / "two.ts"
    also = [f"--also={path}" for path in (*files, tmp_path / "live.m3u8")]
    with (
        over_network(clip, scheme) as url,
        stream(url, place, options=[*quick, *also, "--realtime"], folder=tmp_path) as run,
    ):
        run.wait_for_frames(more=25)
        assert "Operation not permitted" not in run.log
        assert run.end(within_s=15 + BUSY_S) == 0
    for path in (*segments(place), *files, *tmp_path.glob("live-*.m4s")):
        if path.suffix == ".m4s":
            path.write_bytes(next(tmp_path.glob("live-init-*.mp4")).read_bytes() + path.read_bytes())
        part = read_recording(path)
        if not scheme:  # by UDP it comes in jumps
            assert len(part.audio) == pytest.approx(len(part.pts) / 15 * 48000 / 1024, rel=0.2, abs=8), path
        assert len(part.audio) >= len(part.pts) // 2, path
    assert pitch(files[0]) == pytest.approx(1000, abs=5)


@pytest.mark.parametrize(
    ("codec", "suffix", "off_s"),
    [("pcm_alaw", ".mov", 0.03), ("adpcm_g726", ".asf", 0.1)],  # ASF has no times of the frames
)
def test_audio_that_no_segment_holds_becomes_aac_in_step(
    codec: str, suffix: str, off_s: float, quick: list[str], place: Path, tmp_path: Path
) -> None:
    clip = with_audio(tmp_path / f"camera{suffix}", (codec, 1000), seconds=2, silent_s=0.5)
    with stream(clip, place, options=[*quick, "--original", "--realtime"], folder=tmp_path) as run:
        run.wait_for_frames(more=25)
        assert run.end(within_s=15 + BUSY_S) == 0
        assert "cannot hold" not in run.log
    first = segments(place)[0]
    for path in (first, first.with_name(f"{first.stem}.original.mp4")):
        with av.open(path) as container:
            assert container.streams.audio[0].codec_context.name == "aac"
        assert onset_s(path) == pytest.approx(0.5, abs=off_s)
        assert pitch(path) == pytest.approx(1000, abs=5)


def test_audio_that_changes_its_channels_goes_on_as_aac(tmp_path: Path) -> None:
    """As a broadcast does between programmes."""
    parts = [
        with_audio(tmp_path / f"{layout}.ts", ("ac3", 1000), seconds=1, layout=layout, start_s=start_s)
        for start_s, layout in enumerate(("5.1", "stereo"))
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with LiveSource(StreamUrl(str(joined)), StreamSettings(realtime=True)) as source:
        track = source.audio = aac_track(source.audio_tracks[0])
        assert track
        n_encoded = 0
        with suppress(SourceLost):  # at the end of the file
            for packet in source.packets():
                n_encoded += len(source.encode_audio(packet)) if packet.stream is track.stream else 0
    assert n_encoded == pytest.approx(2 * 48_000 / 1024, abs=4)


@pytest.mark.parametrize(("kind", "codec"), [("aac", "aac"), ("copy", "pcm_alaw"), ("none", "")])
def test_audio_is_recorded_as_asked(kind: str, codec: str, place: Path, tmp_path: Path) -> None:
    clip = with_audio(tmp_path / "camera.mov", ("pcm_alaw", 1000), seconds=1)
    with (
        LiveSource(StreamUrl(str(clip)), StreamSettings(realtime=True)) as source,
        recorder(place, audio=kind) as made,
    ):
        best = made.best_audio(source.audio_tracks)
        assert (best.template.stream.codec_context.name if best else "") == codec


def test_raw_aac_has_its_headers_from_the_first_packet_on(tmp_path: Path) -> None:
    clip = with_audio(tmp_path / "adts.ts", ("aac", 1000), seconds=1)
    with LiveSource(StreamUrl(str(clip)), StreamSettings(realtime=True)) as source:
        assert source.audio
        assert len(source.audio.template.stream.codec_context.extradata or b"") >= 2
        sounds = []
        for packet in source.packets():
            if packet.stream is source.audio.stream:
                sounds.append(bytes(packet))
            if len(sounds) == 20:
                break
        with av.open(clip) as stored:
            headers = [bytes(packet)[:7] for packet in stored.demux(audio=0)][:20]
    lengths = [(header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5 for header in headers]
    assert [len(sound) + 7 for sound in sounds] == lengths


def test_audio_that_the_container_refuses_at_its_first_packet_costs_two_frames_at_most(tmp_path: Path) -> None:
    clip, warnings = with_audio(tmp_path / "adts.ts", ("aac", 1000)), list[str]()
    with recorder(tmp_path / "cam", warnings=warnings) as made:
        fed = play(made, clip)  # with ADTS headers, as a source never passes them on
        assert set(made.target_states.values()) == {"ok"}
    parts = [read_recording(path) for path in segments(tmp_path / "cam")]
    assert sum(len(part.pts) for part in parts) >= fed.frames - 2
    assert not any(part.audio for part in parts)
    assert len(warnings) == 1
    assert "refuses the audio" in warnings[0]


def test_of_two_tracks_the_one_is_recorded_that_fits(tmp_path: Path) -> None:
    clip = with_audio(tmp_path / "two.mov", ("pcm_mulaw", 440), ("aac", 1000), seconds=1)
    with LiveSource(StreamUrl(str(clip)), StreamSettings(realtime=True)) as source:
        assert source.info.audio == "pcm_mulaw and aac"
        for targets, codec in [
            (["cam"], "aac"),
            (["cam", "live.m3u8"], "aac"),
            (["rtsp://127.0.0.1:1/x"], "pcm_mulaw"),
            (["rtsp://127.0.0.1:1/x", "cam"], "aac"),
        ]:
            with recorder(*(each if ":" in each else tmp_path / each for each in targets)) as made:
                best = made.best_audio(source.audio_tracks)
                assert best
                assert best.stream.codec_context.name == codec, targets


def test_the_track_that_fits_is_in_the_segments(quick: list[str], place: Path, tmp_path: Path) -> None:
    clip = with_audio(tmp_path / "two.mov", ("pcm_mulaw", 440), ("aac", 1000), seconds=2)
    with stream(clip, place, options=[*quick, "--realtime"], folder=tmp_path) as run:
        run.wait_for_frames(more=20)
        assert run.end(within_s=15 + BUSY_S) == 0
        assert "cannot hold" not in run.log
    assert pitch(segments(place)[0]) == pytest.approx(1000, abs=5)


@pytest.mark.parametrize(
    ("programmes", "chosen"),
    [([[0], [1, 2]], ["aac"]), ([[1, 2], [0]], ["aac"]), ([[0, 2], [1]], []), ([[0, 1, 2]], ["mp2", "aac"])],
)
def test_the_audio_is_of_the_programme_of_the_video(
    programmes: list[list[int]], chosen: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "mixed.ts"
    path.write_bytes(regrouped(mixed_stream(tmp_path / "all.ts").read_bytes(), programmes))
    with LiveSource(StreamUrl(str(path)), StreamSettings(realtime=True)) as source:
        assert [track.stream.codec_context.name for track in source.audio_tracks] == chosen


def mixed_stream(path: Path) -> Path:
    """A transport stream of MP2 (440 Hz), video, and AAC (1000 Hz), in this order."""
    with av.open(with_audio(path.with_name("both.ts"), ("mp2", 440), ("aac", 1000), seconds=1)) as source:
        video, mp2, aac = source.streams
        with av.open(path, "w") as output:
            copies = {each.index: output.add_stream_from_template(each) for each in (mp2, video, aac)}
            for packet in source.demux():
                if packet.size:
                    packet.stream = copies[packet.stream.index]
                    output.mux(packet)
    return path


def regrouped(stream: bytes, programmes: list[list[int]]) -> bytes:
    """A transport stream of one programme, with its streams in these programmes (each a list of stream numbers)."""
    packets = [stream[at : at + 188] for at in range(0, len(stream), 188)]
    pids = [int.from_bytes(packet[1:3]) & 0x1FFF for packet in packets]
    old = packets[pids.index(0x1000)][5:]
    entries, at = list[bytes](), 12 + (int.from_bytes(old[10:12]) & 0xFFF)
    while at < 3 + (int.from_bytes(old[1:3]) & 0xFFF) - 4:
        length = 5 + (int.from_bytes(old[at + 3 : at + 5]) & 0xFFF)
        entries.append(old[at : at + length])
        at += length
    pat = b"".join(
        (number + 1).to_bytes(2) + (0xE000 | 0x1000 + number).to_bytes(2) for number in range(len(programmes))
    )
    counter, result = 0, b""
    for packet, pid in zip(packets, pids, strict=True):
        if pid == 0:
            counter += 1
            result += section(0, 0, 1, pat, counter)
            for number, streams in enumerate(programmes):
                body = b"\xff\xff\xf0\x00" + b"".join(entries[each] for each in streams)
                result += section(0x1000 + number, 2, number + 1, body, counter)
        elif pid != 0x1000:
            result += packet
    return result


def section(pid: int, table: int, number: int, body: bytes, counter: int) -> bytes:
    """A packet with one PSI section."""
    head = bytes([table]) + (0xB000 + len(body) + 9).to_bytes(2) + number.to_bytes(2) + b"\xc1\x00\x00"
    crc = 0xFFFFFFFF
    for byte in head + body:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if crc >> 31 else 0)
    packet = b"\x47" + (0x4000 | pid).to_bytes(2) + bytes([0x10 | counter % 16, 0])
    return (packet + head + body + crc.to_bytes(4)).ljust(188, b"\xff")
