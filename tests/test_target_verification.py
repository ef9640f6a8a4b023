"""Reading a target back: the report counts what is there, and --verify compares every frame."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from commands import Command
from footage import SMALL, make_video, scene_frames, upscale
from made import TIME_BASE, make_clip
from oracles import read_with_av

from vidsr.media.reader import Reader
from vidsr.media.target_verification import frame_differences, target_content
from vidsr.media.writer import Writer
from vidsr.settings import EncodeSettings

TICKS = [0, 512, 1100, 1536, 3000, 3512]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Six frames at uneven times, two sounds."""
    return make_clip(tmp_path / "film.mp4", size=SMALL, pts=TICKS, audio=2)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts", "nut"])
def test_the_report_has_the_packets_in_the_target(suffix: str, film: Path, tiny_model: str, tmp_path: Path) -> None:
    report = upscale(film, tmp_path / f"out.{suffix}", tiny_model, verify=True)
    there = read_with_av(tmp_path / f"out.{suffix}")
    assert report.copied_packets == {name: len(there.packets[i]) for i, name in enumerate(report.copied, start=1)}
    assert (report.frames_written, report.damage, len(report.copied)) == (6, [], 2)
    assert report.duration_s == pytest.approx(float(there.times[-1]), abs=0.2)
    assert f"#1 audio aac und ({len(there.packets[1])} packets)" in "\n".join(report.lines())


@pytest.fixture
def written(film: Path, tmp_path: Path) -> Iterator[Writer]:
    """A finished Matroska file with both sounds."""
    with Reader(film) as reader, Writer(tmp_path / "out.mkv", reader.template, size=SMALL) as writer:
        for frame in reader:
            writer.write(frame.av_frame, frame.packets)
        writer.finish(reader.trailing_packets())
        yield writer


@pytest.mark.parametrize("found", [0, 1])
def test_a_sound_that_did_not_arrive_is_damage(written: Writer, found: int) -> None:
    video, first, second = written.content.packets
    assert list(written.copier.losses(written.content, exact=True)) == []
    lost = replace(written.content, packets=[video, first, found])
    sentence = f"#2 audio aac und: {second} packets were copied, and {found} are in the target"
    assert list(written.copier.losses(lost, exact=True)) == [sentence]
    assert list(written.copier.losses(lost, exact=False)) == [sentence][found:]
    lost = replace(written.content, packets=[video, first])
    assert written.copier.packets_in(lost)["#2 audio aac und"] == 0


B_FRAMES = EncodeSettings(preset="ultrafast", encoder_option=("bf=3", "b_strategy=0"))


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize("count", range(31, 36))
def test_the_frame_displayed_last_is_displayed_wherever_a_fragment_begins(
    suffix: str, count: int, tmp_path: Path
) -> None:
    """A second has 30 frames, and a fragment a second: one begins with a B-frame behind the last P-frame."""
    make_video(tmp_path / "in.mkv", scene_frames(count))
    target = tmp_path / f"out.{suffix}"
    with (
        Reader(tmp_path / "in.mkv") as reader,
        Writer(target, reader.template, size=SMALL, encode=B_FRAMES) as writer,
    ):
        for frame in reader:
            writer.write(frame.av_frame, frame.packets)
        writer.finish(reader.trailing_packets(), verify=True)
    assert len(read_with_av(target).times) == count
    assert (writer.muxer.damage, writer.written) == ([], count)


@pytest.mark.parametrize("count", [31, 32])
def test_a_second_video_keeps_its_last_frame_too(count: int, tmp_path: Path) -> None:
    with av.open(tmp_path / "in.mkv", "w") as output:
        videos = [output.add_stream("libx264", rate=30, options={"bf": "3", "b_strategy": "0"}) for _ in range(2)]
        for video in videos:
            (video.width, video.height), video.pix_fmt = SMALL, "yuv420p"
            video.codec_context.time_base = TIME_BASE
        for video, length in zip(videos, (40, count), strict=True):
            for number, frame in enumerate(scene_frames(length)):
                frame.pts, frame.time_base = 512 * number, TIME_BASE
                output.mux(video.encode(frame))
            output.mux(video.encode(None))
    with (
        Reader(tmp_path / "in.mkv") as reader,
        Writer(tmp_path / "out.mp4", reader.template, size=SMALL, encode=B_FRAMES) as writer,
    ):
        for frame in reader:
            writer.write(frame.av_frame, frame.packets)
        writer.finish(reader.trailing_packets())
    with av.open(tmp_path / "out.mp4") as container:
        assert len(list(container.decode(video=1))) == count
    assert (writer.muxer.damage, writer.content.packets) == ([], [40, count])


def test_a_frame_that_no_player_shows_is_not_counted(tmp_path: Path) -> None:
    make_video(tmp_path / "all.mp4", scene_frames(12))
    content = (tmp_path / "all.mp4").read_bytes()
    at = content.index(b"elst") + 12  # behind version, flags and the number of entries: the duration of the first
    ticks = int.from_bytes(content[at : at + 4], "big")
    cut = content[:at] + (ticks * 3 // 4).to_bytes(4, "big") + content[at + 4 :]
    (tmp_path / "cut.mp4").write_bytes(cut)
    assert target_content(tmp_path / "all.mp4").packets == [12]
    assert target_content(tmp_path / "cut.mp4").packets == [len(read_with_av(tmp_path / "cut.mp4").times)] == [9]


def seconds(path: Path) -> list[Fraction]:
    return read_with_av(path).times


def test_verification_compares_number_and_times(film: Path, tmp_path: Path) -> None:
    times = seconds(film)
    assert frame_differences(film, times) == []
    assert frame_differences(film, [*times, times[-1] + 1]) == [
        "verification: the target shows 6 frames, and 7 were written"
    ]
    assert frame_differences(film, times[:4]) == ["verification: the target shows 6 frames, and 4 were written"]
    (moved,) = frame_differences(film, [*times[:2], times[2] - Fraction(1, 100), *times[3:]])
    assert moved.startswith("verification: 1 frames have another time; the first at 0.0")


def test_verification_notices_damage(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mkv", scene_frames(30, size=(96, 64)), options={"g": "10"})
    times, data = seconds(whole), bytearray(whole.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    (tmp_path / "broken.mkv").write_bytes(data)
    assert frame_differences(tmp_path / "broken.mkv", times)
    (tmp_path / "none.mkv").write_bytes(b"no film")
    assert "cannot be decoded after 0 frames" in frame_differences(tmp_path / "none.mkv", times)[0]


def test_covers_and_attachments_are_counted_apart(tmp_path: Path) -> None:
    plain = target_content(make_video(tmp_path / "plain.mkv", scene_frames(2)))
    assert (plain.packets, plain.attached, plain.has_timecode) == ([2], 0, False)


def test_verify_is_an_option(vidsr: Command, film: Path, tiny_model: str, tmp_path: Path) -> None:
    command = ("upscale", "-q", "--workers", "0", "--model", tiny_model, "--verify")
    assert vidsr(*command, film, tmp_path / "out.mp4").code == 0


def test_a_sound_without_packets_is_not_called_copied(tiny_model: str, tmp_path: Path) -> None:
    """The sounds begin after the part that is upscaled."""
    film = make_clip(tmp_path / "film.mp4", size=SMALL, pts=[15_360 * i for i in range(4)], audio=1)
    shifted = tmp_path / "late.mkv"
    with av.open(film) as source, av.open(shifted, "w") as output:
        copies = [output.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                if packet.stream.type == "audio":
                    packet.pts += 3 * 48_000
                    packet.dts += 3 * 48_000
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    report = upscale(shifted, tmp_path / "out.mkv", tiny_model, end_s=1.5)
    assert (report.copied, report.left_out, report.damage) == ([], ["#1 audio aac"], [])
    assert report.warnings == ["out.mkv has no packets of #1 audio aac"]
