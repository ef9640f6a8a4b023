"""A source that changes its format within one connection: its frames and its recordings."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path

import av
import pytest
from camera_servers import to_its_loss
from kit.frame_mark import read_mark
from kit.servers import http
from kit.transport import BOUNDARY, Kind, changing, mjpeg
from recorder_feed import recorder, segments

from vidsr.media.source.live_source import LiveSource
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import StreamUrl

SETTINGS = StreamSettings(timeout_s=2)
FIRST = Kind(fps=50)
LARGER = replace(FIRST, size=(320, 240))
H265 = replace(FIRST, codec="libx265")
CHANGES = {
    "size": (FIRST, LARGER, (320, 240, "yuv420p")),
    "pixel format": (FIRST, replace(FIRST, pixels="yuv444p"), (160, 120, "yuv444p")),
    "range": (H265, replace(H265, pixels="yuvj420p"), (160, 120, "yuvj420p")),  # of H.264 FFmpeg marks the range alone
}


def decoded(source: LiveSource, count: int) -> list[av.VideoFrame]:
    return list(islice((frame for packet in source.packets() for frame in source.decode(packet)), count))


def shape(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


@pytest.mark.parametrize("change", ["size", *(pytest.param(name, marks=pytest.mark.slow) for name in [*CHANGES][1:])])
def test_every_frame_before_and_after_a_change_is_whole(change: str) -> None:
    first, then, becomes = CHANGES[change]
    with (
        http(lambda: changing(first, then, after=12)) as url,
        LiveSource(StreamUrl(url), SETTINGS) as source,
    ):
        frames = decoded(source, 24)
        assert source.info.rate == 50
        assert source.corrupt == 0
    assert [(key, len(list(some))) for key, some in groupby(map(shape, frames))] == [
        ((160, 120, "yuv420p"), 12),
        (becomes, 12),
    ]
    marks = [read_mark(frame.to_ndarray(format="gray")) for frame in frames]
    numbers = [mark.number for mark in marks if mark]
    assert len(numbers) == 24
    assert numbers == sorted(set(numbers))


def test_jpegs_of_another_size_are_read_on() -> None:
    def body() -> Iterator[bytes]:
        yield from islice(mjpeg(FIRST), 10)
        yield from mjpeg(LARGER)

    kind = f"multipart/x-mixed-replace;boundary={BOUNDARY.decode()}"
    with http(body, kind=kind) as url, LiveSource(StreamUrl(url), SETTINGS) as source:
        assert [frame.width for frame in decoded(source, 20)] == [160] * 10 + [320] * 10
        assert source.corrupt == 0


@pytest.mark.slow
def test_another_codec_on_the_way_is_a_loss_soon() -> None:
    with (
        http(lambda: changing(FIRST, H265, after=12)) as url,
        LiveSource(StreamUrl(url), SETTINGS) as source,
    ):
        frames = []
        lost = to_its_loss(source, lambda packet: frames.extend(source.decode(packet)))
    assert str(lost).endswith(": sends frames that can no longer be decoded")
    assert 10 <= len(frames) <= 12  # FFmpeg may give up the last two together with their codec


def test_the_original_of_another_size_says_so_in_its_headers(tmp_path: Path) -> None:
    with (
        http(lambda: changing(FIRST, LARGER, after=12)) as url,
        LiveSource(StreamUrl(url), SETTINGS) as source,
        recorder(tmp_path / "cam", original=True, segment_s=60) as made,
    ):
        before = None
        for packet in islice(source.packets(), 24):
            pts, dts = packet.pts, packet.dts
            (frame,) = source.decode(packet)
            made.write_source(packet, pts, dts)
            assert frame.time_base == TIME_BASE
            if shape(frame) != before:
                made.begin(frame, video=source.video, audio=None)
                before = shape(frame)
            made.write_frame(frame)
    assert len(segments(tmp_path / "cam")) == 2
    for path, width in zip(segments(tmp_path / "cam"), (160, 320), strict=True):
        original = path.with_name(f"{path.stem}.original.mp4")
        assert declared_width(path) == declared_width(original) == width
        with av.open(original) as read_recording:
            header = read_recording.streams.video[0].codec_context.extradata or b""
            packets = [packet for packet in read_recording.demux(video=0) if packet.size]
            assert [frame.width for packet in packets for frame in packet.decode()] == [width] * 12
        length = int.from_bytes(header[6:8])
        assert header[8 : 8 + length] in bytes(packets[0])  # the parameters that the camera sent with its first frame


def declared_width(path: Path) -> int:
    """As MP4's own header has it."""
    data = path.read_bytes()
    at = data.index(b"avc1", data.index(b"stsd")) + 28
    return int.from_bytes(data[at : at + 2])
