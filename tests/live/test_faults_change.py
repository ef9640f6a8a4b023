"""The camera changes its size, codec, pixel format or timestamps."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kit.cameras import Camera, camera
from kit.recordings import decode_all, decode_file, frame_numbers, recordings
from kit.runs import BUSY_S, RecordFigure, running_stream
from kit.servers import http
from kit.transport import Kind, Times, changing, mpeg_ts, right

pytestmark = pytest.mark.fault


def another(source: Camera, *arguments: str) -> None:
    """The camera at the same place becomes another."""
    source.kill()
    source.start(*arguments)


CHANGES = {
    "size": (("--size", "160x120"), (320, 240)),
    "codec h265": (("--codec", "h265"), (640, 480)),
    "codec mjpeg": (("--codec", "mjpeg"), (640, 480)),
    "pixel format": (("--pixels", "Y444"), (640, 480)),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_camera_that_becomes_another_begins_a_segment(
    quick: list[str], place: Path, figure: RecordFigure, change: str
) -> None:
    arguments, size = CHANGES[change]
    with camera() as source, running_stream(source.url, place, quick) as run:
        another(source, *arguments)
        figure("back after s", run.wait_for_frames(within_s=10 + BUSY_S))
        run.wait_for_frames(more=10)
        assert run.end() == 0
    files = decode_all(place)
    figure("sizes", " ".join(sorted({"{}x{}".format(*file.size) for file in files})))
    assert files[0].size == (640, 480)
    assert files[-1].size == size
    frame_numbers(files)


FIRST = Kind(fps=20)
H265 = replace(FIRST, codec="libx265")
WITHIN = {
    "size": (FIRST, replace(FIRST, size=(320, 240))),
    "pixel format": (FIRST, replace(FIRST, pixels="yuv444p")),
    "range": (H265, replace(H265, pixels="yuvj420p")),
}


@pytest.mark.parametrize("change", ["size", *(pytest.param(name, marks=pytest.mark.slow) for name in [*WITHIN][1:])])
def test_a_change_within_a_connection_begins_a_segment_and_costs_no_frame(
    quick: list[str], place: Path, figure: RecordFigure, change: str
) -> None:
    first, then = WITHIN[change]
    options = [
        *quick,
        "--original",
        "--segment",
        "60",
        "--max-delay",
        "20",
    ]  # however slow the machine: none is dropped
    with http(lambda: changing(first, then, after=50)) as url, running_stream(url, place, options) as run:
        run.wait_for_frames(more=80)
        assert run.number("vidsr_reconnects_total") == run.number("vidsr_frames_missed_total") == 0
        assert run.end() == 0
    originals = {path for path in recordings(place) if ".original." in path.name}
    files = [decode_file(path) for path in recordings(place) if path not in originals]
    figure("segments", len(files))
    assert [file.size for file in files] == [(2 * kind.size[0], 2 * kind.size[1]) for kind in (first, then)]
    assert [decode_file(path).size for path in sorted(originals)] == [first.size, then.size]
    numbers = frame_numbers(files)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert frame_numbers([decode_file(path) for path in sorted(originals)]) == numbers


@pytest.mark.slow
def test_another_codec_within_a_connection_is_noticed_and_followed(
    quick: list[str], place: Path, figure: RecordFigure
) -> None:
    calls: list[float] = []

    def body() -> Iterator[bytes]:
        calls.append(time.monotonic())
        return changing(FIRST, H265, after=50) if len(calls) == 1 else changing(H265, after=50)

    with http(body) as url, running_stream(url, place, quick) as run:
        run.wait_for_text("sends frames that can no longer be decoded", within_s=15)
        figure("back after s", run.wait_for_frames(within_s=10))
        assert run.number("vidsr_process_restarts_total") == 0
        assert run.end() == 0
    frame_numbers(decode_all(place), unread=1)  # of what the old decoder made one frame, perhaps


FPS, WRAP, TICKS = 20, 1 << 33, 90_000
_LATER = 30
"""The frame at which time goes wrong."""


def _leap(index: int, last: int) -> int:
    """From the frame after `last` on 26.5 h: two seconds less than brings the clock of 33 bits round."""
    return WRAP - 2 * TICKS if index > last else 0


TIMES: dict[str, tuple[Times, str]] = {
    "missing": (lambda index, ticks: None if index % 5 == 3 else ticks, "missing"),
    "repeated": (lambda index, ticks: ticks - TICKS // FPS if index % 7 == 6 else ticks, "repeated"),
    "backward": (lambda index, ticks: ticks - 2 * TICKS if index % 25 == 24 else ticks, "backward"),
    "an hour later": (lambda index, ticks: ticks + 3600 * TICKS * (index >= _LATER), "jump"),
    "an hour earlier": (lambda index, ticks: ticks + 3600 * TICKS * (index < _LATER), "jump"),
    "two wraps": (lambda index, ticks: ticks + _leap(index, 20) + _leap(index, 60), "wrap"),
}


@pytest.mark.parametrize("case", [pytest.param(n, marks=pytest.mark.slow) for n in TIMES])
def test_time_goes_forward_whatever_the_camera_says(
    quick: list[str], place: Path, figure: RecordFigure, case: str
) -> None:
    times, fault = TIMES[case]
    with http(lambda: mpeg_ts(Kind(fps=FPS), times)) as url, running_stream(url, place, quick) as run:
        run.wait_for_frames(more=90)
        repaired = run.number("vidsr_timestamps_repaired_total", f'fault="{fault}"')
        figure(f"{fault} repaired", int(repaired))
        assert repaired >= (2 if case == "two wraps" else 1)
        assert run.number("vidsr_reconnects_total") == 0
        assert run.end() == 0
    numbers = frame_numbers(decode_all(place))
    figure("frames", len(numbers))
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


@pytest.mark.slow
def test_right_times_are_left_alone(quick: list[str], place: Path) -> None:
    with http(lambda: mpeg_ts(Kind(fps=FPS), right)) as url, running_stream(url, place, quick) as run:
        run.wait_for_frames(more=20)
        assert run.number("vidsr_timestamps_repaired_total") == 0
        assert run.end() == 0
    assert all(len(file.times) == len(file.marks) for file in decode_all(place))
