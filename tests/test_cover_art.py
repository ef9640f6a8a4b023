"""Cover art is copied, and never read as the video."""

from pathlib import Path

import av
import pytest
from av.stream import Disposition
from footage import SMALL, make_video, scene_frames, upscale
from made import make_clip, make_sound
from oracles import read_with_av
from pairwise import half_of_product

from vidsr.errors import SourceError
from vidsr.media.reader import Reader
from vidsr.media.writer import Writer


def with_cover(path: Path, video: Path) -> Path:
    """A copy of the video with a PNG as cover art."""
    cover = make_video(path.with_suffix(".png"), scene_frames(1, "rgb24", size=(40, 40)), codec="png")
    with av.open(video) as source, av.open(path, "w") as output:
        copies = [output.add_stream_from_template(stream) for stream in source.streams]
        with av.open(cover) as art:
            if path.suffix == ".mkv":
                output.add_attachment("cover.png", "image/png", cover.read_bytes())
            else:
                copy = output.add_stream_from_template(art.streams.video[0], opaque=True)
                copy.disposition = Disposition.attached_pic
                packet = next(art.demux())
                packet.stream = copy
                output.mux(packet)
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    return path


@pytest.mark.parametrize(("start_s", "source", "target"), half_of_product([None, 0.2], ["mp4", "mkv"], ["mp4", "mkv"]))
def test_cover_art_is_copied_and_never_the_video(
    source: str, target: str, start_s: float | None, tiny_model: str, tmp_path: Path
) -> None:
    before, after = tmp_path / f"in.{source}", tmp_path / f"out.{target}"
    with_cover(before, make_clip(tmp_path / "film.mp4", size=SMALL, pts=[512 * i for i in range(24)], audio=1))
    with Reader(before) as reader:
        assert (reader.info.codec, reader.info.width) == ("h264", 32)
    report = upscale(before, after, tiny_model, start_s=start_s)
    assert (report.left_out, report.damage) == ([], [])
    with av.open(after) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "video"]
        assert container.streams[2].disposition & Disposition.attached_pic
    assert read_with_av(after).packets[2] == [(tmp_path / "in.png").read_bytes()]


def test_the_source_is_opened_once(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.mkv"
    with_cover(source, make_clip(tmp_path / "film.mp4", size=SMALL, pts=[512 * i for i in range(24)], audio=1))
    with Reader(source) as reader:
        source.unlink()
        with Writer(target, reader.template, size=SMALL) as writer:
            for frame in reader:
                writer.write(frame.av_frame, frame.packets)
            writer.finish(reader.trailing_packets())
    assert read_with_av(target).packets[2] == [(tmp_path / "in.png").read_bytes()]


def test_a_file_with_cover_art_only_holds_no_video(tmp_path: Path) -> None:
    with_cover(tmp_path / "song.mp4", make_sound(tmp_path / "sound.mp4"))
    with av.open(tmp_path / "song.mp4") as song:
        assert len(song.streams.video) == 1
    with pytest.raises(SourceError, match="holds no video"):
        Reader(tmp_path / "song.mp4")


def test_quicktime_drops_cover_art(tiny_model: str, tmp_path: Path) -> None:
    with_cover(tmp_path / "in.mp4", make_clip(tmp_path / "film.mp4", size=SMALL, pts=[512 * i for i in range(24)]))
    assert upscale(tmp_path / "in.mp4", tmp_path / "out.mov", tiny_model).left_out == ["#1 video png"]
