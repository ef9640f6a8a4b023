"""Repair of discontinuous time stamps: the offsets added to the packets of each stream."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from footage import SMALL, upscale
from made import make_clip
from oracles import read_with_av

from vidsr.media.timestamps import TimestampRepair

BASE = Fraction(1, 1000)
STEP = 40
DAY = 86_400_000


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[av.stream.Stream, ...]]:
    """Video and audio stream of a real file, to create packets of."""
    path = make_clip(tmp_path_factory.mktemp("line") / "clip.mp4", size=SMALL, audio=1)
    with av.open(path) as container:
        yield tuple(container.streams)


def repaired(repair: TimestampRepair, stream: av.stream.Stream, times: list[int]) -> list[int]:
    """The times of packets in milliseconds after the repair."""
    found = []
    for time in times:
        packet = av.Packet(b"x")
        packet.stream, packet.time_base = stream, BASE
        packet.pts = packet.dts = time
        packet.duration = STEP
        repair.fix_packet(packet)
        assert packet.pts == packet.dts
        found.append(packet.dts)
    return found


def broadcast() -> TimestampRepair:
    return TimestampRepair(discontinuous=True, dts_only=False)


def recording() -> TimestampRepair:
    return TimestampRepair(discontinuous=False, dts_only=False)


@pytest.mark.parametrize("make", [broadcast, recording])
def test_continuous_times_are_kept(make: Callable[[], TimestampRepair], streams: tuple[av.stream.Stream, ...]) -> None:
    times = [95_000_000, 95_000_040, 95_000_080, 95_000_500, 95_009_000, 95_008_990]
    assert repaired(make(), streams[0], times) == times


@pytest.mark.parametrize("wrong", [-DAY, 20 * DAY, 0])
@pytest.mark.parametrize("make", [broadcast, recording])
def test_a_single_wrong_time_is_ignored(
    make: Callable[[], TimestampRepair], wrong: int, streams: tuple[av.stream.Stream, ...]
) -> None:
    begin = 5_000_000
    times = [begin, begin + 40, wrong, begin + 120, begin + 160, wrong + 7, begin + 240]
    assert repaired(make(), streams[1], times) == [begin + 40 * i for i in range(7)]


@pytest.mark.parametrize("begin", [0, 3 * DAY])
def test_two_wrong_times_in_a_row_start_a_new_part_for_all_streams(
    begin: int, streams: tuple[av.stream.Stream, ...]
) -> None:
    repair, first = broadcast(), DAY
    assert repaired(repair, streams[0], [first, first + 40, first + 80]) == [first, first + 40, first + 80]
    assert repaired(repair, streams[1], [first, first + 40]) == [first, first + 40]
    assert repaired(repair, streams[0], [begin, begin + 40, begin + 80]) == [first + 120, first + 160, first + 200]
    audio = repaired(repair, streams[1], [begin, begin + 40, begin + 80])
    assert audio[1:] == [first + 160, first + 200]  # still in sync with the video


def test_a_long_frame_starts_no_new_part_of_a_recording(streams: tuple[av.stream.Stream, ...]) -> None:
    times = [0, 40, 600_000, 600_040, 1_200_000]
    assert repaired(recording(), streams[0], times) == times


def test_a_gap_in_a_broadcast_is_closed(streams: tuple[av.stream.Stream, ...]) -> None:
    assert repaired(broadcast(), streams[0], [0, 40, 600_000, 600_040, 600_080]) == [0, 40, 80, 120, 160]


def test_a_stream_keeps_its_times_after_a_long_gap(
    streams: tuple[av.stream.Stream, ...],
) -> None:
    repair = broadcast()
    repaired(repair, streams[1], [0, 40])
    repaired(repair, streams[0], list(range(0, 60_000, STEP)))
    assert repaired(repair, streams[1], [59_000, 59_040]) == [59_000, 59_040]


def test_damaged_audio_loses_no_video(tiny_model: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.ts", size=SMALL, pts=[512 * i for i in range(60)], audio=1)
    data, at = bytearray(clip.read_bytes()), 0
    for number in range(40):
        at = data.find(b"\xff\xf1", at + 1)
        if at >= 0 and number % 8 == 3:
            data[at + 2] |= 0x3C  # an invalid sample rate
    clip.write_bytes(data)
    report = upscale(clip, tmp_path / "out.mp4", tiny_model)
    read = read_with_av(tmp_path / "out.mp4")
    assert (len(read.times), report.frames_written, report.left_out) == (60, 60, [])
    assert len(read.packets[1]) > 60
