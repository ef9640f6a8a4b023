"""Stream copy: packets lie beside the frames of their time, and none is lost to its time."""

from pathlib import Path

import av
import numpy as np
import pytest
from footage import SMALL, upscale
from made import make_clip
from oracles import read_with_av
from test_stream_copy import muxed


def test_a_subtitle_far_ahead_holds_up_no_sound(tiny_model: str, tmp_path: Path) -> None:
    """The first subtitle in the file is shown last."""
    film = make_clip(tmp_path / "film.mp4", size=SMALL, pts=[1536 * i for i in range(250)], audio=1)
    (tmp_path / "in.srt").write_text(
        "1\n00:00:00,000 --> 00:00:01,000\nlast\n\n2\n00:00:02,000 --> 00:00:03,000\nfirst\n"
    )
    data = bytearray(muxed(tmp_path / "in.mkv", [film, tmp_path / "in.srt"]).read_bytes())
    at = data.index(b"last")
    data[at - 3 : at - 1] = (22_000).to_bytes(2, "big")  # milliseconds in the cluster
    (tmp_path / "in.mkv").write_bytes(data)
    report = upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model)
    assert (report.frames_written, len(report.copied), report.damage) == (250, 2, [])
    assert not [sentence for sentence in report.warnings if "dropped" in sentence]
    shown = 0.0
    with av.open(tmp_path / "out.mkv") as container:
        for packet in container.demux():
            time = float((packet.dts or 0) * packet.time_base)
            if packet.size and packet.stream.type == "video":
                shown = time
            elif packet.size:
                assert abs(time - shown) < 1
    assert read_with_av(tmp_path / "in.mkv").packets[2] == [b"last", b"first"]
    assert read_with_av(tmp_path / "out.mkv").packets[2] == [b"first", b"last"]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_no_packet_is_lost_to_the_rounding_of_its_time(suffix: str, tiny_model: str, tmp_path: Path) -> None:
    """Matroska counts milliseconds: packets of a third of one have equal times, which MP4 does not take."""
    make_clip(tmp_path / "film.mp4", size=SMALL)
    with av.open(tmp_path / "film.mp4") as source, av.open(tmp_path / "in.mkv", "w") as output:
        copy = output.add_stream_from_template(source.streams.video[0])
        sound = output.add_stream("pcm_s16le", rate=48000, layout="mono")
        for packet in source.demux():
            if packet.size:
                packet.stream = copy
                output.mux(packet)
        for start in range(0, 4800, 16):
            frame = av.AudioFrame.from_ndarray(np.full((1, 16), start, np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48000, start
            output.mux(sound.encode(frame))
    before = read_with_av(tmp_path / "in.mkv").packets[1]
    assert len(before) == 300
    report = upscale(tmp_path / "in.mkv", tmp_path / f"out.{suffix}", tiny_model)
    assert b"".join(read_with_av(tmp_path / f"out.{suffix}").packets[1]) == b"".join(before)
    assert report.damage == []
    assert not [sentence for sentence in report.warnings if "dropped" in sentence]


def test_a_copy_that_would_make_the_target_unreadable_is_left_out(tiny_model: str, tmp_path: Path) -> None:
    """A second VP9 track that begins after all that is probed: MP4 needs to know its pixel format."""
    make_clip(tmp_path / "film.mp4", size=SMALL, pts=[15360 * i for i in range(90)])
    make_clip(tmp_path / "late.webm", size=SMALL, codec="libvpx-vp9", pts=[512 * i for i in range(3)])
    with (
        av.open(tmp_path / "film.mp4") as film,
        av.open(tmp_path / "late.webm") as late,
        av.open(tmp_path / "in.mkv", "w") as output,
    ):
        copies = [output.add_stream_from_template(source.streams.video[0]) for source in (film, late)]
        for source, copy, start_s in ((film, copies[0], 0), (late, copies[1], 80)):
            for packet in source.demux():
                if packet.size:
                    ticks = round(start_s / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, copy
                    output.mux(packet)
    report = upscale(tmp_path / "in.mkv", tmp_path / "out.mp4", tiny_model)
    assert (report.copied, report.left_out) == ([], ["#1 video vp9"])
    assert len(read_with_av(tmp_path / "out.mp4").times) == 90
    report = upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model)
    assert (len(report.copied), report.left_out) == (1, [])
    assert len(read_with_av(tmp_path / "out.mkv").packets[1]) == 3


@pytest.mark.parametrize("target", ["mp4", "mkv"])
def test_sound_that_begins_late_is_found(target: str, tiny_model: str, tmp_path: Path) -> None:
    """MPEG-TS declares it from the start, but its parameters are in its packets."""
    make_clip(tmp_path / "film.mp4", size=SMALL, pts=[1536 * i for i in range(160)])
    make_clip(tmp_path / "sound.mp4", size=SMALL, audio=1)
    with (
        av.open(tmp_path / "film.mp4") as film,
        av.open(tmp_path / "sound.mp4") as sound,
        av.open(tmp_path / "in.ts", "w") as output,
    ):
        streams = (film.streams.video[0], sound.streams.audio[0])
        copies = [output.add_stream_from_template(stream) for stream in streams]
        for source, stream, copy, start_s in zip((film, sound), streams, copies, (0, 14), strict=True):
            for packet in source.demux(stream):
                if packet.size:
                    ticks = round(start_s / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, copy
                    output.mux(packet)
    report = upscale(tmp_path / "in.ts", tmp_path / f"out.{target}", tiny_model)
    assert (len(report.copied), report.left_out, report.damage) == (1, [], [])
    before, after = (read_with_av(tmp_path / name) for name in ("in.ts", f"out.{target}"))
    assert len(before.packets[1]) == len(after.packets[1]) > 30


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_sound_that_an_edit_list_cuts_is_not_heard_before_the_first_frame(
    suffix: str, tiny_model: str, tmp_path: Path
) -> None:
    whole = make_clip(tmp_path / "whole.mp4", size=SMALL, pts=[512 * i for i in range(60)], audio=1)
    with av.open(whole) as source, av.open(tmp_path / "in.mp4", "w") as output:
        copies = [output.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                early = round(0.5 / packet.time_base)
                packet.pts, packet.dts = packet.pts - early, packet.dts - early
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    report = upscale(tmp_path / "in.mp4", tmp_path / f"out.{suffix}", tiny_model)
    assert (report.frames_written, report.damage) == (45, [])
    begin: dict[str, float] = {}
    with av.open(tmp_path / f"out.{suffix}") as container:
        for packet in container.demux():
            if packet.size and not packet.is_discard:
                begin.setdefault(packet.stream.type, float(packet.pts * packet.time_base))
    assert abs(begin["audio"] - begin["video"]) < 0.05
