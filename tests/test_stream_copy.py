"""Stream copy: other streams are byte-identical in the target, or reported as dropped."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from footage import SMALL, make_video, scene_frames, upscale
from made import make_clip
from oracles import read_with_av

MS = Fraction(1, 1000)
SRT = "1\n00:00:00,100 --> 00:00:00,600\nHello <i>you</i>\n\n2\n00:00:00,700 --> 00:00:01,200\nBye\n"
VTT = "WEBVTT\n\n00:00.300 --> 00:01.000\nOn the <b>web</b>\n"
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.20,0:00:00.90,Default,,0,0,0,,{\\b1}Bold
"""
CHAPTERS = [
    {"id": 1, "start": 0, "end": 500, "time_base": MS, "metadata": {"title": "one"}},
    {"id": 2, "start": 500, "end": 1200, "time_base": MS, "metadata": {"title": "two"}},
]
TAGS = {"title": "A film", "artist": "Somebody", "comment": "Cut", "date": "2020"}


Blobs = dict[str, list[bytes]]


def muxed(path: Path, sources: list[Path], *, blobs: Blobs | None = None, whole: bool = False) -> Path:
    """The streams of the sources in one file, with languages and titles; `blobs` are packets by their codec.

    `whole`: with chapters, tags and attachments, too.
    """
    inputs = [av.open(source) for source in sources]
    with av.open(path, "w") as output:
        waiting = []
        for source in inputs:
            copies = [output.add_stream_from_template(stream, opaque=True) for stream in source.streams]
            waiting += [(p, copies[p.stream.index]) for p in source.demux() if p.size]
        for codec, payloads in (blobs or {}).items():
            stream = output.add_mux_stream(codec, time_base=MS)
            for number, payload in enumerate(payloads):
                packet = av.Packet(payload)
                packet.pts = packet.dts = 200 + 300 * number
                packet.duration, packet.time_base = 200, MS
                waiting.append((packet, stream))
        if whole:
            named(output)
        for packet, stream in sorted(waiting, key=lambda entry: entry[0].dts * entry[0].time_base):
            packet.stream = stream
            output.mux(packet)
    for source in inputs:
        source.close()
    return path


def named(output: av.container.OutputContainer) -> None:
    for stream, language in zip(output.streams, ["und", "fra", "deu", "eng", "spa", "jpn", "ita"], strict=False):
        stream.metadata.update(language=language, title=f"Track {stream.index}")
    output.streams[2].disposition = Disposition.default | Disposition.comment
    output.streams[4].disposition = Disposition.forced | Disposition.hearing_impaired
    output.add_attachment("font.ttf", "application/x-truetype-font", b"FONT" * 300)
    output.add_attachment("notes.txt", "text/plain", b"hello")
    output.set_chapters(CHAPTERS)
    output.metadata.update(TAGS)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Matroska file with everything: #1, #2 audio, #3 to #6 subtitles, #7 and #8 attachments."""
    folder = tmp_path_factory.mktemp("rich")
    video = make_clip(folder / "film.mp4", size=SMALL, pts=[512 * i for i in range(45)], audio=2)
    for name, text in (("a.srt", SRT), ("a.ass", ASS), ("a.vtt", VTT)):
        (folder / name).write_text(text)
    images = [bytes([0x16, 0, 11]) + bytes([number]) * 11 + bytes([0x80, 0, 0]) for number in range(3)]
    sources = [video, folder / "a.srt", folder / "a.ass", folder / "a.vtt"]
    return muxed(folder / "rich.mkv", sources, blobs={"hdmv_pgs_subtitle": images}, whole=True)


def streams(path: Path) -> list[tuple[str, str, str, Disposition]]:
    """Codec, language, title and disposition of each stream."""
    with av.open(path) as container:
        return [
            (
                stream.codec_context.codec.canonical_name if stream.codec_context else stream.name,
                stream.language or "und",
                stream.metadata.get("title") or stream.metadata.get("name", ""),
                stream.disposition,
            )
            for stream in container.streams
        ]


def chapters(path: Path) -> list[tuple[float, float, str]]:
    with av.open(path) as container:
        return [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]


def tags(path: Path) -> dict[str, str]:
    with av.open(path) as container:
        return {name.lower(): value for name, value in container.metadata.items() if name.lower() in TAGS}


def packet_times(path: Path) -> dict[int, list[float]]:
    with av.open(path) as container:
        times: dict[int, list[float]] = {}
        for packet in container.demux():
            if packet.size and packet.stream.type != "video":
                times.setdefault(packet.stream.index, []).append(float(packet.pts * packet.time_base))
        return times


def decoded_audio(path: Path) -> np.ndarray:
    with av.open(path) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def test_matroska_holds_all_streams(rich: Path, tiny_model: str, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    report = upscale(rich, target, tiny_model)
    assert (len(report.copied), report.left_out, report.damage) == (8, [], [])
    assert read_with_av(target).packets == read_with_av(rich).packets
    assert streams(target) == streams(rich)
    assert packet_times(target) == packet_times(rich)
    assert chapters(target) == chapters(rich)
    assert tags(target) == TAGS
    with av.open(rich) as before, av.open(target) as after:
        pairs = list(zip(before.streams.attachments, after.streams.attachments, strict=True))
        assert len(pairs) == 2
        assert all((a.name, a.mimetype, a.data) == (b.name, b.mimetype, b.data) for a, b in pairs)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "ts"])
def test_dropped_streams_are_reported(suffix: str, rich: Path, tiny_model: str, tmp_path: Path) -> None:
    target = tmp_path / f"out.{suffix}"
    report = upscale(rich, target, tiny_model)
    assert report.copied == ["#1 audio aac fra Track 1", "#2 audio aac deu Track 2"]
    streams_left_out = [name.split()[0] for name in report.left_out if name.startswith("#")]
    assert streams_left_out == [f"#{number}" for number in range(3, 9)]
    assert [stream[0] for stream in streams(target) if stream[0] != "bin_data"] == ["h264", "aac", "aac"]
    if suffix != "ts":
        assert list(read_with_av(target).packets.values()) == list(read_with_av(rich).packets.values())[:2]
        assert np.allclose(chapters(target)[1][:2], (0.5, 1.2), atol=0.001)
        assert tags(target) == TAGS
    if suffix == "mp4":
        assert streams(target)[1:3] == streams(rich)[1:3]


def test_titles_and_dispositions_are_kept_from_mp4_to_mp4(rich: Path, tiny_model: str, tmp_path: Path) -> None:
    upscale(rich, tmp_path / "one.mp4", tiny_model)
    report = upscale(tmp_path / "one.mp4", tmp_path / "two.mp4", tiny_model)
    assert streams(tmp_path / "two.mp4") == streams(tmp_path / "one.mp4")
    assert chapters(tmp_path / "two.mp4") == chapters(tmp_path / "one.mp4")
    assert (len(report.copied), report.left_out) == (2, [])


@pytest.mark.parametrize("target", ["mp4", "mov", "mkv"])
def test_location_tags_of_phones_are_kept(target: str, tiny_model: str, tmp_path: Path) -> None:
    said = {"com.apple.quicktime.location.ISO6709": "+52.5+013.4/", "com.apple.quicktime.model": "Telephone 9"}
    with av.open(tmp_path / "in.mov", "w", container_options={"movflags": "+use_metadata_tags"}) as output:
        output.metadata.update(said)
        with av.open(make_video(tmp_path / "film.mp4", scene_frames(3))) as source:
            copy = output.add_stream_from_template(source.streams.video[0])
            for packet in source.demux():
                if packet.size:
                    packet.stream = copy
                    output.mux(packet)
    upscale(tmp_path / "in.mov", tmp_path / f"out.{target}", tiny_model)
    with av.open(tmp_path / f"out.{target}") as container:
        found = {name.lower(): value for name, value in container.metadata.items()}
    assert {name.lower(): value for name, value in said.items()}.items() <= found.items()


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "mov_text"), ("mov", "mov_text"), ("mkv", "subrip")])
def test_mov_text_is_kept_in_mp4_and_becomes_subrip_in_matroska(
    suffix: str, codec: str, tiny_model: str, tmp_path: Path
) -> None:
    make_video(tmp_path / "film.mp4", scene_frames(45))
    texts = [len(text).to_bytes(2, "big") + text for text in (b"First", b"", b"Second")]
    muxed(tmp_path / "in.mp4", [tmp_path / "film.mp4"], blobs={"mov_text": texts})
    target = tmp_path / f"out.{suffix}"
    report = upscale(tmp_path / "in.mp4", target, tiny_model)
    assert report.left_out == []
    assert streams(target)[1][0] == codec
    shown = [packet for packet in read_with_av(target).packets[1] if packet.strip(b"\0")]
    prefix = [b"", b""] if suffix == "mkv" else [b"\0\5", b"\0\6"]
    assert shown == [prefix[0] + b"First", prefix[1] + b"Second"]
    times = packet_times(target)[1]
    assert {0.2, 0.8} <= {round(time, 3) for time in times}


@pytest.mark.parametrize("target", ["mov", "mp4", "mkv"])
def test_the_timecode_is_kept(target: str, tiny_model: str, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mov", scene_frames(10), tags={"timecode": "01:02:03:04"})
    assert [stream[0] for stream in streams(source)] == ["h264", None]
    report = upscale(source, tmp_path / f"out.{target}", tiny_model)
    assert (len(report.copied), report.left_out) == (1, [])
    with av.open(tmp_path / f"out.{target}") as container:
        video = container.streams.video[0].metadata
        assert {name.lower(): value for name, value in video.items()}["timecode"] == "01:02:03:04"
        assert len(container.streams) == (1 if target == "mkv" else 2)


def test_pcm_is_copied_from_matroska_to_mp4(tiny_model: str, tmp_path: Path) -> None:
    make_clip(tmp_path / "film.mp4", size=SMALL, pts=[512 * i for i in range(45)])
    noise = np.random.default_rng(0).integers(-9000, 9000, 96000, dtype=np.int16).tobytes()
    with wave.open(str(tmp_path / "sound.wav"), "wb") as wav:
        wav.setparams((2, 2, 32000, 0, "NONE", ""))
        wav.writeframes(noise)
    source = muxed(tmp_path / "in.mkv", [tmp_path / "film.mp4", tmp_path / "sound.wav"])
    report = upscale(source, tmp_path / "out.mp4", tiny_model)
    assert report.left_out == []
    assert b"".join(read_with_av(tmp_path / "out.mp4").packets[1]) == noise


@pytest.mark.parametrize(("source", "target"), [("ts", "mp4"), ("ts", "mkv"), ("mp4", "ts"), ("mkv", "mp4")])
def test_aac_plays_in_another_container(source: str, target: str, tiny_model: str, tmp_path: Path) -> None:
    before, after = tmp_path / f"in.{source}", tmp_path / f"out.{target}"
    make_clip(before, size=SMALL, pts=[512 * i for i in range(45)], audio=1)
    report = upscale(before, after, tiny_model)
    assert (report.left_out, report.warnings, report.damage) == ([], [], [])
    heard, there = decoded_audio(before), decoded_audio(after)
    skipped = there.shape[1] - heard.shape[1]  # priming samples, which MP4 skips by its edit list
    assert skipped in (0, 1024, -1024)
    assert np.array_equal(heard[:, max(0, -skipped) :], there[:, max(0, skipped) :])
