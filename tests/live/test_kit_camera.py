"""The test kit: marks survive encoding and scaling, and cameras behave as the tests need."""

from fractions import Fraction

import av
import numpy as np
import pytest
from kit.cameras import camera
from kit.frame_mark import Mark, read_mark
from kit.pattern import luma
from numpy.typing import NDArray


def plane(size: tuple[int, int], *, camera: int = 0, number: int) -> NDArray[np.uint8]:
    return np.frombuffer(luma(size, camera=camera, number=number), np.uint8).reshape(size[::-1])


def through_x264(planes: list[NDArray[np.uint8]], crf: int) -> list[NDArray[np.uint8]]:
    """The planes after an encoder and a decoder."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = planes[0].shape
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
    encoder.options = {"crf": str(crf), "preset": "veryfast"}
    decoder = av.CodecContext.create("h264", "r")
    packets = []
    for number, values in enumerate(planes):
        frame = av.VideoFrame.from_ndarray(values, format="gray").reformat(format="yuv420p")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return [frame.reformat(format="gray").to_ndarray() for frame in frames]


@pytest.mark.parametrize("size", [(96, 64), (320, 240), (642, 362)])
def test_a_mark_is_read_as_it_was_drawn(size: tuple[int, int]) -> None:
    for number in (0, 1, 255, 256, 4711, 65535):
        assert read_mark(plane(size, camera=number % 251, number=number)) == Mark(number % 251, number)


def test_marks_survive_x264_at_crf_28_and_upscaling_and_halving() -> None:
    drawn = [plane((320, 240), camera=7, number=900 + index) for index in range(12)]
    larger = [np.repeat(np.repeat(values, 2, 0), 2, 1) for values in drawn]
    smaller = [values.reshape(120, 2, 160, 2).mean((1, 3)).astype(np.uint8) for values in drawn]
    for planes in (drawn, larger, smaller):
        marks = [read_mark(values) for values in through_x264(planes, 28)]
        assert marks == [Mark(7, 900 + index) for index in range(12)]


def test_a_frame_of_two_frames_has_no_mark() -> None:
    above, below = plane((320, 240), number=5), plane((320, 240), number=6)
    assert read_mark(np.concatenate([above[:120], below[120:]])) is None


def test_noise_has_no_mark() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 240, 320), dtype=np.uint8)
    assert [read_mark(frame) for frame in noise] == [None] * 200


@pytest.mark.fault
def test_a_camera_shows_every_number_once_and_goes_on_by_the_clock_after_a_pause() -> None:
    with camera("--number", "3", "--size", "160x120") as source:
        before = watch(source.url, 8)
        source.kill()
        source.start()
        after = watch(source.url, 8)
    for marks in (before, after):
        assert all(mark and mark.camera == 3 for mark in marks)
        numbers = [mark.number for mark in marks if mark]
        assert numbers == list(range(numbers[0], numbers[0] + 8))
    assert before[-1].number < after[0].number


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize(
    "options", [("--codec", "h265"), ("--codec", "mjpeg"), ("--bframes", "2"), ("--pixels", "Y444")]
)
def test_a_camera_of_every_kind_shows_its_numbers(options: tuple[str, ...]) -> None:
    with camera(*options) as source:
        numbers = [mark.number for mark in watch(source.url, 8) if mark]
    assert numbers == list(range(numbers[0], numbers[0] + 8))


def watch(url: str, frames: int) -> list[Mark | None]:
    """The marks of so many frames, as plain PyAV reads them."""
    with av.open(url, timeout=10, options={"rtsp_transport": "tcp", "analyzeduration": "300000"}) as source:
        frames = zip(source.decode(video=0), range(frames), strict=False)
        return [read_mark(frame.reformat(format="gray").to_ndarray()) for frame, _ in frames]
