"""The quantiser in the headers of HEVC, against what FFmpeg's own reader of headers prints."""

import random
import re
from pathlib import Path

import av
import pytest
from av import Packet
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream
from footage import make_video, scene_frames

from vidsr.media.ffmpeg_log import ffmpeg_log
from vidsr.media.hevc import key_frame_quantiser
from vidsr.media.nal_units import length_bytes, nal_units
from vidsr.media.reader import Reader

SIZE = (192, 128)
FINER = 9
"""The quantiser of blocks that have their own, below that of their slice."""


def encoded(path: Path, parameters: str, pixel_format: str = "yuv420p") -> Path:
    options = {"preset": "ultrafast", "x265-params": f"log-level=none:pools=none:frame-threads=1:{parameters}"}
    return make_video(path, scene_frames(3, pixel_format, size=SIZE), codec="libx265", options=options)


def first_packets(path: Path, count: int = 1) -> tuple[bytes, list["Packet[VideoStream]"], VideoStream]:
    container = av.open(path)
    stream = container.streams.video[0]
    packets = [packet for packet in container.demux(stream) if packet.size][:count]
    return bytes(stream.codec_context.extradata or b""), packets, stream


def traced(packet: "Packet[VideoStream]", stream: VideoStream) -> int:
    """What `trace_headers` of FFmpeg prints, by the names of the standard."""
    with ffmpeg_log(av.logging.INFO) as lines:
        BitStreamFilterContext("trace_headers", stream).filter(packet)
    text = "".join(line for _, _, line in lines)

    def value(name: str) -> int:
        return int(re.findall(rf"\b{name}\b.*= (-?\d+)", text)[-1])

    return 26 + value("init_qp_minus26") + value("slice_qp_delta") - FINER * value("cu_qp_delta_enabled_flag")


@pytest.mark.parametrize(
    ("parameters", "pixel_format", "name"),
    [
        ("crf=20", "yuv420p", "clip.mkv"),
        ("crf=40:repeat-headers=1", "yuv420p", "clip.ts"),
        ("crf=30:no-sao=1", "yuv420p", "clip.mp4"),
        ("crf=30:sao=1:temporal-layers=3", "yuv420p10le", "clip.mkv"),
        ("crf=30:sao=1", "yuv444p", "clip.mp4"),
        ("crf=30:sao=1", "gray", "clip.mkv"),
        ("crf=30:scaling-list=default:vui-timing-info=1:colorprim=bt709", "yuv422p10le", "clip.mkv"),
        ("qp=33:aq-mode=0", "yuv420p", "clip.hevc"),
    ],
)
def test_the_quantiser_is_that_of_the_first_slice(
    tmp_path: Path, parameters: str, pixel_format: str, name: str
) -> None:
    clip = encoded(tmp_path / name, parameters, pixel_format)
    headers, (packet,), stream = first_packets(clip)
    found = key_frame_quantiser(headers, bytes(packet))
    assert found == traced(packet, stream)
    with Reader(clip) as reader:
        assert reader.info.compression.quantiser == found


def test_blocks_without_quantisers_of_their_own_have_that_of_the_slice(tmp_path: Path) -> None:
    headers, (packet,), _ = first_packets(encoded(tmp_path / "clip.mkv", "qp=33:aq-mode=0:ipratio=1"))
    assert key_frame_quantiser(headers, bytes(packet)) == 33


def test_a_picture_that_is_no_key_frame_tells_nothing(tmp_path: Path) -> None:
    headers, (key, other), _ = first_packets(encoded(tmp_path / "clip.mkv", "crf=30:bframes=0"), count=2)
    assert key_frame_quantiser(headers, bytes(key)) is not None
    assert key_frame_quantiser(headers, bytes(other)) is None


def test_damaged_headers_tell_nothing_or_a_number(tmp_path: Path) -> None:
    headers, (packet,), _ = first_packets(encoded(tmp_path / "clip.mkv", "crf=30:info=0"))
    size = length_bytes("hevc", headers)
    (unit,) = nal_units(bytes(packet), size)
    data = (100).to_bytes(size, "big") + bytes(unit[:100])
    whole, chance = key_frame_quantiser(headers, data), random.Random(1)
    found = set()
    for _ in range(2_000):
        damaged = [bytearray(headers), bytearray(data)]
        for part in damaged:
            part[chance.randrange(len(part))] = chance.randrange(256)
            del part[chance.randrange(len(part)) if chance.random() < 0.2 else len(part) :]
        found.add(key_frame_quantiser(*map(bytes, damaged)))
    assert found > {None, whole}
