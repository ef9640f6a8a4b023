"""Trimming: exactly the frames in the range, with their audio, and times that count from `start_s`."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import SMALL, make_video, scene_frames, upscale
from made import TIME_BASE, make_clip
from oracles import read_with_av

from vidsr.errors import SourceError
from vidsr.media.reader import Reader

RATE = 30
LONG = {"bf": "2", "g": "20"}


@pytest.fixture(scope="module", params=["mp4", "mkv", "ts"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds with audio, a key frame every 20 frames."""
    path = tmp_path_factory.mktemp("cut") / f"in.{request.param}"
    return make_clip(path, size=SMALL, pts=[512 * i for i in range(90)], options=LONG, audio=1)


def frames(path: Path, start_s: float | None, end_s: float | None) -> list[tuple[Fraction, bytes]]:
    """Time and luma of each frame."""
    with Reader(path, start_s=start_s, end_s=end_s) as reader:
        return [(frame.av_frame.pts * reader.time_base, frame.luma.tobytes()) for frame in reader]


@pytest.mark.parametrize(
    ("start_s", "end_s", "first", "behind"),
    [
        (0.0, None, 0, 90),
        (0.1, None, 3, 90),
        (1 / 3, 2 / 3, 10, 20),
        (2 / 3, 0.7, 20, 21),
        (1.99, 2.0, 60, 60),
        (2.0, 100.0, 60, 90),
        (None, 1.5, 0, 45),
        (1.0, 2.9, 30, 87),
    ],
)
def test_exactly_the_frames_between_start_and_end_are_read(
    source: Path, start_s: float | None, end_s: float | None, first: int, behind: int
) -> None:
    if first == behind:
        with pytest.raises(SourceError, match="no frame can be decoded there"):
            frames(source, start_s, end_s)
        return
    every, found = frames(source, None, None), frames(source, start_s, end_s)
    assert [luma for _, luma in found] == [luma for _, luma in every[first:behind]]
    begin = first / RATE - start_s if start_s else float(every[0][0])
    times = [float(time) for time, _ in found]
    assert np.allclose(times, begin + np.arange(len(times)) / RATE, atol=0.0011)


def test_a_start_of_zero_is_no_start(source: Path, tmp_path: Path) -> None:
    late = make_video(tmp_path / "late.mp4", scene_frames(30), pts=[127995 + 512 * i for i in range(30)])
    for path in (source, late):
        with Reader(path) as whole, Reader(path, start_s=0.0) as zero:
            assert zero.template.chapters == whole.template.chapters
            assert all_pts(zero) == all_pts(whole)


@pytest.mark.parametrize("start_s", [None, 0.0, 0.5])
def test_start_pts_is_the_position_of_the_start(source: Path, start_s: float | None) -> None:
    with Reader(source, start_s=start_s) as reader:
        seconds = (reader.first.av_frame.pts - reader.start_pts) * reader.time_base
    assert float(seconds) == pytest.approx(0, abs=0.0011)


def all_pts(reader: Reader) -> list[tuple[int, int | None]]:
    """Stream index and pts of every frame and every packet of other streams, in the order read."""
    found = []
    for frame in reader:
        found += [(packet.stream.index, packet.pts) for packet in frame.packets]
        found.append((reader.video.index, frame.av_frame.pts))
    return found + [(packet.stream.index, packet.pts) for packet in reader.trailing_packets()]


@pytest.mark.parametrize("start_s", [0.5, 1.01])
def test_audio_stays_in_sync(source: Path, start_s: float, tiny_model: str, tmp_path: Path) -> None:
    target = tmp_path / f"out{source.suffix}"
    report = upscale(source, target, tiny_model, start_s=start_s, end_s=2.0)
    assert (report.damage, report.left_out) == ([], [])
    before, after = audio_times(source), audio_times(target)
    assert 0.9 < len(after) * 1024 / 48000 / (2.0 - start_s) < 1.1
    first = int(np.ceil(start_s * RATE - 1e-9))
    offset = read_with_av(source).pts[first] - read_with_av(target).pts[0]
    assert all(abs(before[packet] - time - offset) < 0.0025 for packet, time in after.items())


def audio_times(path: Path) -> dict[bytes, float]:
    """The time of each audio packet in seconds."""
    with av.open(path) as container:
        stream = container.streams.audio[0]
        skip = 7 if path.suffix == ".ts" else 0  # ADTS has a header before each
        return {
            bytes(packet)[skip:]: float(packet.pts * stream.time_base)
            for packet in container.demux(stream)
            if packet.size
        }


def test_chapters_are_shifted_with_the_frames(tiny_model: str, tmp_path: Path) -> None:
    make_video(tmp_path / "film.mp4", scene_frames(90))
    base = Fraction(1, 1000)
    spans = [(0, 500), (500, 1500), (1500, 2500), (2500, 3000)]
    with av.open(tmp_path / "film.mp4") as source, av.open(tmp_path / "in.mkv", "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        target.set_chapters(
            [
                {"id": i, "start": a, "end": b, "time_base": base, "metadata": {"title": f"{i}"}}
                for i, (a, b) in enumerate(spans)
            ]
        )
        for packet in source.demux():
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    upscale(tmp_path / "in.mkv", tmp_path / "out.mkv", tiny_model, start_s=0.6, end_s=2.0)
    with av.open(tmp_path / "out.mkv") as container:
        found = [
            (c["metadata"]["title"], c["start"] * c["time_base"], c["end"] * c["time_base"])
            for c in container.chapters()
        ]
    assert found == [("1", 0, Fraction(9, 10)), ("2", Fraction(9, 10), Fraction(7, 5))]


def test_start_and_end_count_from_the_first_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "late.mp4", scene_frames(30), pts=[127995 + 512 * i for i in range(30)])
    assert len(frames(path, 0.0, None)) == 30
    assert [time for time, _ in frames(path, 0.5, 0.6)] == [0, 512 * TIME_BASE, 1024 * TIME_BASE]


def test_a_raw_stream_is_trimmed(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.h264", scene_frames(30), options=LONG)
    half = Fraction(1, 2)
    every = frames(path, None, None)
    assert frames(path, 0.5, None) == [(time - half, luma) for time, luma in every if time >= half]


def test_reading_stops_soon_after_the_end(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mp4", scene_frames(40), pts=[15360 * i for i in range(40)])
    with Reader(path, end_s=2.0) as reader:
        assert len(list(reader)) == 2
        assert reader.truncation_check.packets[0] < 20
