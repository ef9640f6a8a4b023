"""Tags and dispositions that the target's container does not store are named before work begins."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition
from footage import make_video, scene_frames, upscale

NAMES = ("title", "DIRECTOR", "SUMMARY", "language")


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A video and a sound with tags that MP4 has, and tags that it does not have."""
    video = make_video(tmp_path / "film.mkv", scene_frames(30))
    with av.open(video) as film, av.open(tmp_path / "in.mkv", "w") as output:
        output.metadata.update({"title": "A film", "DIRECTOR": "Somebody"})
        copy = output.add_stream_from_template(film.streams.video[0], opaque=True)
        copy.metadata["title"] = "Pictures"
        sound = output.add_stream("aac", rate=8000, layout="mono")
        sound.metadata.update({"language": "deu", "SUMMARY": "A sound"})
        sound.disposition = Disposition.default | Disposition.comment
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.planes[0].update(bytes(4096))
        frame.rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        output.start_encoding()
        packets = [*film.demux(video=0), *sound.encode(frame), *sound.encode(None)]
        for packet in packets:
            if packet.size:
                packet.stream = packet.stream if packet.stream is sound else copy
                output.mux(packet)
    return tmp_path / "in.mkv"


@pytest.mark.parametrize(
    ("suffix", "lost"),
    [
        ("mkv", []),
        ("nut", []),
        ("mp4", ["the tags DIRECTOR", "SUMMARY of #1 audio"]),
        ("mov", ["the tags DIRECTOR", "SUMMARY, comment, language of #1 audio"]),
        ("ts", ["the tags DIRECTOR, title", "title of #0 video", "SUMMARY, comment of #1 audio"]),
    ],
)
def test_lost_tags_are_named(suffix: str, lost: list[str], tagged: Path, tiny_model: str, tmp_path: Path) -> None:
    report = upscale(tagged, tmp_path / f"out.{suffix}", tiny_model)
    assert (report.left_out, report.damage) == (lost, [])
    assert report.warnings == [f"out.{suffix} cannot hold {words}; it is dropped" for words in lost]
    with av.open(tagged) as before, av.open(tmp_path / f"out.{suffix}") as after:
        pairs = [(before, after), *zip(before.streams, after.streams, strict=True)] if suffix in ("mkv", "nut") else []
        for source, target in pairs:
            kept = {name.lower(): value for name, value in target.metadata.items()}
            mattering = {name.lower(): value for name, value in source.metadata.items() if name in NAMES}
            assert mattering.items() <= kept.items()
