"""Packets in, frames out: a frame that the decoder drops without an error is noticed, and hidden ones are none."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from footage import make_video, scene_frames, upscale
from oracles import read_with_av
from test_media_damage import rewrite

from vidsr.media.reader import Reader


def from_second_key(source: Path, target: Path) -> int:
    """Writes the packets from the second key frame on; the number of those that are shown before it."""
    with av.open(source) as container, av.open(target, "w") as output:
        copy = output.add_stream_from_template(container.streams.video[0])
        packets = [packet for packet in container.demux(video=0) if packet.size]
        second = [number for number, packet in enumerate(packets) if packet.is_keyframe][1]
        orphans = sum(packet.pts < packets[second].pts for packet in packets[second:])
        for packet in packets[second:]:
            packet.stream = copy
            output.mux(packet)
        return orphans


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"x264-params": "open-gop=1:keyint=12:bframes=2:b-adapt=0:scenecut=0"}),
        ("mpeg2video", {"g": "10", "bf": "2"}),
    ],
)
def test_frames_whose_references_are_missing_are_named(
    codec: str, options: dict[str, str], tiny_model: str, tmp_path: Path
) -> None:
    frames, base = scene_frames(40, size=(64, 48)), Fraction(1, 25)
    whole = make_video(
        tmp_path / "whole.mkv", frames, codec=codec, options=options, time_base=base, pts=list(range(40)), rate=25
    )
    orphans = from_second_key(whole, tmp_path / "in.mkv")
    assert orphans > 0
    report = upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model)
    with av.open(tmp_path / "in.mkv") as container:
        packets = sum(packet.size > 0 for packet in container.demux(video=0))
    assert report.frames_written == packets - orphans
    assert report.warnings == [f"{orphans} packets of the video made no frame: they refer to frames that are missing"]


def test_frames_that_vp9_hides_are_not_missing(tmp_path: Path) -> None:
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "60k"}
    make_video(tmp_path / "in.webm", scene_frames(60, size=(96, 64)), codec="libvpx-vp9", options=options)
    with Reader(tmp_path / "in.webm") as reader:
        assert len(list(reader)) == 60
        assert (reader.frame_count.undecoded, reader.frame_count.before_key) == (0, 0)


def test_a_frame_that_vp8_hides_is_not_missing(tmp_path: Path) -> None:
    """VP8's frames that are references only have packets of their own, with another bit in the first byte."""
    whole = make_video(tmp_path / "whole.mkv", scene_frames(10, size=(64, 48)), codec="libvpx")

    def change(index: int, packet: av.Packet, data: bytes) -> bytes:
        return bytes([data[0] & ~0x10]) + data[1:] if index == 5 else data

    with Reader(rewrite(whole, tmp_path / "in.mkv", change)) as reader:
        assert len(list(reader)) == 9
        assert reader.frame_count.undecoded == 0


def test_frames_that_an_edit_list_cuts_are_not_missing(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mp4", scene_frames(30, size=(64, 48)), options={"g": "30", "bf": "2"})
    with av.open(whole) as container, av.open(tmp_path / "in.mp4", "w") as output:
        copy = output.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - 5120, packet.dts - 5120, copy
                output.mux(packet)
    shown = len(read_with_av(tmp_path / "in.mp4").pts)
    assert shown == 20
    with Reader(tmp_path / "in.mp4") as reader:
        assert len(list(reader)) == shown
        assert reader.frame_count.undecoded == 0


def test_a_video_without_flags_of_key_frames_begins_with_its_first_frame(tmp_path: Path) -> None:
    frames, base = scene_frames(10, size=(64, 48)), Fraction(1, 25)
    make_video(tmp_path / "in.swf", frames, codec="flv", time_base=base, pts=list(range(10)), rate=25)
    with Reader(tmp_path / "in.swf") as reader:
        assert len(list(reader)) == 10
        assert reader.frame_count.before_key == 0
