"""Stream copy of codecs that a container stores without listing them, and of streams that look like another kind."""

import struct
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from commands import Command
from footage import make_video, scene_frames, upscale
from PIL import Image

from vidsr.media.libav import stream_codec

WAVE_CODECS = [  # with sample rate, bits per second, and a container in which they come
    ("pcm_alaw", 8000, 64_000, "avi"),
    ("pcm_mulaw", 8000, 64_000, "avi"),
    ("adpcm_ms", 8000, 32_000, "avi"),
    ("adpcm_ima_wav", 8000, 32_000, "avi"),
    ("adpcm_yamaha", 8000, 32_000, "avi"),
    ("adpcm_swf", 22050, 88_200, "flv"),
    ("g722", 16000, 64_000, "avi"),
    ("g723_1", 8000, 6_300, "avi"),
    ("g726", 8000, 32_000, "avi"),
    ("libopencore_amrnb", 8000, 12_200, "3gp"),
    ("wmav1", 22050, 64_000, "wmv"),
    ("wmav2", 22050, 64_000, "wmv"),
]


def with_sound(path: Path, codec: str, rate: int, bits: int = 64_000, *, tags: dict[str, str] | None = None) -> Path:
    """A video of a second with noise in an audio codec, and tags of the sound."""
    flash = path.suffix == ".flv"
    film = path.with_name("film.flv" if flash else "film.mkv")
    make_video(film, scene_frames(30), codec="flv" if flash else "mpeg4")
    with av.open(film) as video, av.open(path, "w") as output:
        picture = output.add_stream_from_template(video.streams.video[0], opaque=True)
        sound = output.add_stream(codec, rate=rate, layout="mono", bit_rate=bits)
        assert isinstance(sound, AudioStream)
        sound.metadata.update(tags or {})
        output.start_encoding()
        context = sound.codec_context
        noise = np.random.default_rng(0).integers(-9000, 9000, (1, rate)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        resampler = av.AudioResampler(context.format, "mono", rate, context.frame_size or None)
        pieces = resampler.resample(frame) + resampler.resample(None)
        packets = [packet for piece in [*pieces, None] for packet in sound.encode(piece)]
        for packet in video.demux(video=0):
            if packet.size:
                packet.stream = picture
                packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


def sound_of(path: Path) -> tuple[str, bytes, bytes]:
    """Codec, bytes and samples of the sound."""
    with av.open(path) as container:
        codec = stream_codec(container.streams.audio[0])[0]
        data = b"".join(bytes(packet) for packet in container.demux(audio=0))
    with av.open(path) as container:
        return codec, data, b"".join(frame.to_ndarray().tobytes() for frame in container.decode(audio=0))


@pytest.mark.parametrize(("codec", "rate", "bits", "suffix"), WAVE_CODECS)
def test_matroska_stores_what_has_a_wave_header(
    codec: str, rate: int, bits: int, suffix: str, tiny_model: str, tmp_path: Path
) -> None:
    before = with_sound(tmp_path / f"in.{suffix}", codec, rate, bits)
    report = upscale(before, tmp_path / "out.mkv", tiny_model)
    assert (len(report.copied), report.left_out, report.damage) == (1, [], [])
    found, wanted = sound_of(tmp_path / "out.mkv"), sound_of(before)
    assert len(found[1]) > bits / 8 * 0.9
    assert found[:2] == wanted[:2]
    assert len(found[2]) >= len(wanted[2]) > 0  # an edit list of the source may hide the first samples


def test_a_sound_that_no_wave_header_names_is_left_out(tiny_model: str, tmp_path: Path) -> None:
    before = with_sound(tmp_path / "in.flv", "nellymoser", 8000, 32_000)
    assert upscale(before, tmp_path / "out.mkv", tiny_model).left_out == ["#0 audio nellymoser"]


@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv"])
def test_a_sound_with_a_time_code_is_copied(suffix: str, tiny_model: str, tmp_path: Path) -> None:
    """FFmpeg gives sound that refers to a time code track its time code as a tag."""
    before = with_sound(tmp_path / "in.mkv", "aac", 48000, tags={"timecode": "01:00:00:00"})
    report = upscale(before, tmp_path / f"out.{suffix}", tiny_model)
    assert (report.copied, report.left_out) == (["#1 audio aac"], [])
    assert sound_of(tmp_path / f"out.{suffix}")[:2] == sound_of(before)[:2]


def element(name: int, *content: bytes | int) -> bytes:
    """An element of Matroska, its size in eight bytes."""
    data = b"".join(each.to_bytes(4, "big") if isinstance(each, int) else each for each in content)
    return name.to_bytes(-(-name.bit_length() // 8), "big") + (len(data) | 1 << 56).to_bytes(8, "big") + data


def test_webvtt_in_matroska_becomes_subrip(tiny_model: str, tmp_path: Path) -> None:
    """As mkvmerge writes it: S_TEXT/WEBVTT with its header, which FFmpeg neither writes nor knows."""
    cues = [b"On the <b>web</b> &amp; <c.yellow>more</c>\n- <v Anna>a voice</v>", b"<00:00.500>last"]
    image = BytesIO()
    Image.new("RGB", (48, 32), (200, 90, 30)).save(image, "JPEG")
    size = element(0xE0, element(0xB0, 48), element(0xBA, 32))
    video = element(0xAE, element(0xD7, 1), element(0x73C5, 1), element(0x83, 1), element(0x86, b"V_MJPEG"), size)
    private = element(0x63A2, b"WEBVTT\n\nSTYLE\n::cue { color: red }")
    name = element(0x86, b"S_TEXT/WEBVTT")
    text = element(0xAE, element(0xD7, 2), element(0x73C5, 2), element(0x83, 17), name, private)
    blocks = [element(0xA3, b"\x81", struct.pack(">h", 100 * i), b"\x80", image.getvalue()) for i in range(5)]
    for number, cue in enumerate(cues):
        block = element(0xA1, b"\x82", struct.pack(">h", 50 + 100 * number), b"\0", cue)
        blocks.insert(1 + 2 * number, element(0xA0, block, element(0x9B, 80)))
    head = element(0x1A45DFA3, element(0x4282, b"matroska"))
    cluster = element(0x1F43B675, element(0xE7, 0), *blocks)
    (tmp_path / "in.mkv").write_bytes(head + element(0x18538067, element(0x1654AE6B, video, text), cluster))
    report = upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model)
    assert (report.copied, report.left_out, report.damage) == (["#1 subtitle webvtt eng"], [], [])
    with av.open(tmp_path / "out.mkv") as container:
        subtitles = container.streams.subtitles[0]
        assert stream_codec(subtitles)[0] == "subrip"
        shown = [(p.pts, p.duration, bytes(p)) for p in container.demux(subtitles) if p.size]
    assert shown == [(50, 80, b"On the <b>web</b> & more\n- a voice"), (150, 80, b"last")]


CYRILLIC = "Привет".encode("cp1251").decode(errors="surrogateescape")


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "nut"])
def test_tags_that_are_not_utf8_keep_their_bytes(suffix: str, vidsr: Command, tiny_model: str, tmp_path: Path) -> None:
    video = make_video(tmp_path / "film.mkv", scene_frames(2))
    with av.open(video) as film, av.open(tmp_path / "in.mkv", "w", metadata_errors="surrogateescape") as output:
        output.metadata["title"] = CYRILLIC
        output.set_chapters([
            {"id": 1, "start": 0, "end": 50, "time_base": Fraction(1, 1000), "metadata": {"title": CYRILLIC}}
        ])  # fmt: skip
        copy = output.add_stream_from_template(film.streams.video[0], opaque=True)
        copy.metadata["title"] = CYRILLIC
        text = output.add_mux_stream("subrip", time_base=Fraction(1, 1000))
        text.metadata["title"] = CYRILLIC
        for packet in film.demux():
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    before, after = tmp_path / "in.mkv", tmp_path / f"out.{suffix}"
    ended = vidsr("upscale", "--json", "--workers", "0", "--model", tiny_model, before, after)
    assert ended.code == 0
    assert ended.err.encode()  # no lone surrogates
    with av.open(after, metadata_errors="surrogateescape") as container:
        assert container.metadata["title"] == CYRILLIC
        assert container.chapters()[0]["metadata"]["title"] == CYRILLIC
        if suffix == "mkv":
            assert [stream.metadata["title"] for stream in container.streams] == [CYRILLIC] * 2
    assert vidsr("info", before).code == 0


@pytest.mark.parametrize(("suffix", "kept"), [("ts", True), ("mp4", False), ("mkv", False)])
def test_timed_metadata_is_copied_or_named(suffix: str, kept: bool, tiny_model: str, tmp_path: Path) -> None:
    """MP4's muxer takes its header, and writes none of it."""
    film = make_video(tmp_path / "film.mp4", scene_frames(30))
    with av.open(film) as video, av.open(tmp_path / "in.ts", "w") as output:
        picture = output.add_stream_from_template(video.streams.video[0], opaque=True)
        data = output.add_mux_stream("timed_id3", time_base=Fraction(1, 90_000))
        output.start_encoding()
        for number in range(3):
            packet = av.Packet(b"ID3\x04" + bytes(range(30)))
            packet.pts = packet.dts = 27_000 * number
            packet.time_base, packet.stream = Fraction(1, 90_000), data
            output.mux(packet)
        for packet in video.demux(video=0):
            if packet.size:
                packet.stream = picture
                output.mux(packet)
    report = upscale(tmp_path / "in.ts", tmp_path / f"out.{suffix}", tiny_model)
    assert report.copied_packets == ({"#1 data timed_id3": 3} if kept else {})
    assert (report.left_out, report.damage) == ([] if kept else ["#1 data timed_id3"], [])
