"""Repair of discontinuous time stamps: the offsets added to the packets of each stream."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
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
    return [packet.dts for packet in repair.packets([timed(stream, time) for time in times])]


def timed(stream: av.stream.Stream, time: int, *, size: int = 1) -> av.Packet:
    packet = av.Packet(size)
    packet.stream, packet.time_base = stream, BASE
    packet.pts = packet.dts = time
    packet.duration = STEP
    return packet


def broadcast() -> TimestampRepair:
    return TimestampRepair(broadcast=True, dts_only=False)


def recording() -> TimestampRepair:
    return TimestampRepair(broadcast=False, dts_only=False)


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


@pytest.mark.parametrize("by", [3_000, -3_000, 8_000])
@pytest.mark.parametrize("lies", [(20,), (20, 21), (20, 21, 22), (0,), (0, 1, 2), (10, 30)])
@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("make", [broadcast, recording])
def test_packets_from_whose_time_the_stream_returns_are_placed_between_their_neighbours(
    make: Callable[[], TimestampRepair],
    index: int,
    lies: tuple[int, ...],
    by: int,
    streams: tuple[av.stream.Stream, ...],
) -> None:
    if 0 in lies and by < 0:
        return  # a pause after the first packets
    times = [10_000 + STEP * i for i in range(60)]
    repair = make()
    assert repaired(repair, streams[index], [t + by * (i in lies) for i, t in enumerate(times)]) == times
    assert (repair.retimed, repair.retimed_packets)[index] == len(lies)
    assert repair.parts == 0


def test_the_last_packet_does_not_go_back(streams: tuple[av.stream.Stream, ...]) -> None:
    assert repaired(recording(), streams[1], [*range(0, 1000, STEP), 0])[-1] == 1000


@pytest.mark.parametrize("jump", [500, 3_000, 600_000])
def test_a_pause_of_a_recording_is_kept(jump: int, streams: tuple[av.stream.Stream, ...]) -> None:
    times = [STEP * i + jump * (i > 50) for i in range(100)]
    for stream in streams:
        repair = recording()
        assert repaired(repair, stream, times) == times
        assert repair.parts == repair.retimed == repair.retimed_packets == 0


@pytest.mark.parametrize("wrapping", [(0, 1), (1,)])
def test_the_count_goes_on_where_33_bits_begin_again(
    wrapping: tuple[int, ...], streams: tuple[av.stream.Stream, ...]
) -> None:
    wrap = 2**33 // 90
    times = [wrap - 1000 + STEP * i for i in range(100)]
    mixed = [
        timed(streams[index], time - wrap * (time >= wrap and index in wrapping)) for time in times for index in (0, 1)
    ]
    repair = broadcast()
    found = [(packet.stream.index, packet.dts) for packet in repair.packets(mixed)]
    for index in (0, 1):
        assert np.allclose([time for stream, time in found if stream == index], times, atol=1)
    assert repair.parts == 0


@pytest.mark.parametrize("begins", [(0, 500), (500, 0), (0, 0)])
@pytest.mark.parametrize("first", [0, 1])
def test_streams_of_a_new_part_stay_in_sync_wherever_they_begin(
    first: int, begins: tuple[int, int], streams: tuple[av.stream.Stream, ...]
) -> None:
    order = (first, 1 - first)
    mixed = [timed(streams[index], DAY + STEP * i) for i in range(50) for index in order]
    mixed += [timed(streams[index], begins[index] + STEP * i) for i in range(50) for index in order]
    repair = broadcast()
    found = [(packet.stream.index, packet.dts) for packet in repair.packets(mixed)]
    video, audio = ([time for stream, time in found if stream == index] for index in (0, 1))
    assert min(video[50], audio[50]) == DAY + 50 * STEP
    assert video[50] - audio[50] == begins[0] - begins[1]
    assert repair.parts == 1


def test_parts_of_large_packets_follow_each_other(streams: tuple[av.stream.Stream, ...]) -> None:
    """Few of them are read ahead."""
    packets = [timed(streams[0], STEP * (i % 6), size=9 * 2**20) for i in range(12)]
    repair = broadcast()
    assert [packet.dts for packet in repair.packets(packets)] == [STEP * i for i in range(12)]
    assert (repair.parts, repair.retimed) == (1, 0)


def test_a_start_of_hours_is_subtracted_from_all_streams(streams: tuple[av.stream.Stream, ...]) -> None:
    repair = TimestampRepair(clock_s=Fraction(DAY, 1000), broadcast=False, dts_only=False)
    packets = [timed(streams[i % 2], DAY + STEP * i) for i in range(10)]
    packets[4].dts = None  # as of the first frames in Matroska
    assert [packet.pts for packet in repair.packets(packets)] == [STEP * i for i in range(10)]


@pytest.mark.parametrize(
    ("stored", "right"),
    [
        ([0, 40, 80, 120], [0, 40, 80, 120]),
        ([0, 40, 3_080, 120, 160], [0, 40, 80, 120, 160]),
        ([0, 3_040, 80, 120], [0, 40, 80, 120]),
        ([3_000, 40, 80, 120], [0, 40, 80, 120]),
        ([0, 40, 10, 120, 160], [0, 40, 80, 120, 160]),
        ([0, 40, 80, 20], [0, 40, 80, 120]),
        ([0, 40, 40, 40, 160, 200], [0, 40, 80, 120, 160, 200]),
        ([7, 7, 7, 7], [7, 47, 87, 127]),
        ([None, None, None], [0, 40, 80]),
        ([0, None, None, 120], [0, 40, 80, 120]),
        ([0, 40, 5_000, 5_040], [0, 40, 5_000, 5_040]),
        ([-80, -40, 0], [-80, -40, 0]),
    ],
)
def test_a_frame_is_later_than_the_one_before_and_earlier_than_the_next(
    stored: list[int | None], right: list[int]
) -> None:
    frames = [av.VideoFrame(16, 16) for _ in stored]
    for frame, pts in zip(frames, stored, strict=True):
        frame.pts = pts
    repair = recording()
    assert [frame.pts for frame in repair.frames(frames, STEP)] == right
    assert repair.retimed == sum(a != b for a, b in zip(stored, right, strict=True))


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
