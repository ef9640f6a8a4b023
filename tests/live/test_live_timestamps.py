"""The timeline of a live source."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest

from vidsr.media.source.live_timestamps import TIME_BASE, FrameTime, LiveTimeline

SECOND = 90_000
FRAME = SECOND // 25
WRAP = 2**33


def run(
    timeline: LiveTimeline, times: list[int | None], *, begin_s: float = 0.0, step_s: float = 0.04
) -> list[FrameTime]:
    """The moments of frames that arrive at an even pace."""
    return [
        timeline.frame_time(pts, time_base=TIME_BASE, arrived_s=begin_s + index * step_s)
        for index, pts in enumerate(times)
    ]


def row(begin: int, count: int, step: int = FRAME) -> list[int | None]:
    return [begin + index * step for index in range(count)]


def steps(times_out: list[FrameTime]) -> list[int]:
    return [after.pts - before.pts for before, after in pairwise(times_out)]


def test_times_in_order_are_left_alone_however_uneven_they_are() -> None:
    chance = Random(1)
    times: list[int | None] = [7_000_000]
    for _ in range(500):
        times.append((times[-1] or 0) + chance.choice([200, 3000, 3600, 3601, 4200, 80_000]))
    timeline = LiveTimeline()
    times_out = [
        timeline.frame_time(pts, time_base=TIME_BASE, arrived_s=(pts or 0) / SECOND + chance.uniform(0, 0.3))
        for pts in times
    ]
    assert [frame_time.pts for frame_time in times_out] == [(pts or 0) - 7_000_000 for pts in times]
    assert [frame_time.discontinuity for frame_time in times_out] == [True] + [False] * 500
    assert timeline.repaired.total() == 0


@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 12_800), Fraction(1001, 30_000), TIME_BASE])
def test_every_time_base_comes_out_in_ours_also_when_it_changes_in_between(base: Fraction) -> None:
    timeline = LiveTimeline()
    times_out = run(timeline, row(0, 10))
    times_out += [
        timeline.frame_time(round(index * Fraction(1, 25) / base), time_base=base, arrived_s=index * 0.04)
        for index in range(10, 40)
    ]
    assert all(abs(frame_time.pts - index * FRAME) <= base / TIME_BASE for index, frame_time in enumerate(times_out))
    assert timeline.repaired.total() == 0


def test_a_missing_time_is_put_at_the_usual_distance() -> None:
    times = row(5000, 100)
    times[30] = times[31] = times[60] = None
    timeline = LiveTimeline()
    assert steps(run(timeline, times)) == [FRAME] * 99
    assert timeline.repaired == {"missing": 3}


def test_a_camera_whose_first_frame_has_no_time_begins_with_it() -> None:
    times_out = run(LiveTimeline(), [None, *row(9000, 50)])
    assert times_out[0] == FrameTime(pts=0, discontinuity=True)
    assert steps(times_out) == [FRAME] * 50


@pytest.mark.parametrize("rate", [5, 12, 50])
@pytest.mark.parametrize("times", [[None], [4711]], ids=["without times", "with times that stand still"])
def test_a_camera_without_usable_times_keeps_the_pace_of_the_wall_clock(times: list[int | None], rate: int) -> None:
    timeline = LiveTimeline()
    times_out = run(timeline, times * rate * 600, step_s=1 / rate)
    assert min(steps(times_out)) > 0
    assert abs(times_out[-1].pts - 600 * SECOND) < 3 * SECOND
    assert not any(frame_time.discontinuity for frame_time in times_out[1:])


def test_a_repeated_time_pushes_nobody_else_away() -> None:
    times = row(0, 100)
    times[50] = times[49]
    timeline = LiveTimeline()
    times_out = run(timeline, times)
    assert min(steps(times_out)) >= 90
    assert [frame_time.pts for frame_time in times_out[52:]] == times[52:]
    assert timeline.repaired == {"repeated": 1}


@pytest.mark.parametrize("error", [-20 * 3600 * SECOND, -30 * SECOND, -2 * SECOND, 2 * SECOND, 3600 * SECOND])
def test_one_time_that_does_not_follow_is_not_believed(error: int) -> None:
    times = row(0, 100)
    times[50] = 50 * FRAME + error
    timeline = LiveTimeline()
    times_out = run(timeline, times)
    assert [frame_time.pts for frame_time in times_out] == row(0, 100)
    assert not any(frame_time.discontinuity for frame_time in times_out[1:])
    assert timeline.repaired.total() == 1


def test_a_clock_that_is_set_back_a_little_goes_on_without_a_gap() -> None:
    timeline = LiveTimeline()
    times_out = run(timeline, row(10**8, 50) + row(10**8 - 3 * SECOND, 50))
    assert steps(times_out) == [FRAME] * 99
    assert not any(frame_time.discontinuity for frame_time in times_out[1:])
    assert timeline.repaired == {"backward": 1}


@pytest.mark.parametrize("jump", [-3600, -20, 20, 3600, 10**6])
def test_a_jump_begins_again_at_the_second_frame_that_bears_it_out_where_the_wall_clock_is(jump: int) -> None:
    timeline = LiveTimeline()
    times_out = run(timeline, row(10**12, 50) + row(10**12 + jump * SECOND, 50))
    assert [index for index, frame_time in enumerate(times_out) if frame_time.discontinuity] == [0, 51]
    assert steps(times_out) == [FRAME] * 99
    assert timeline.repaired == {"jump": 1}


def test_a_pause_of_the_camera_stays_as_long_as_it_was_and_a_long_one_begins_again() -> None:
    timeline = LiveTimeline()
    times_out = run(timeline, row(0, 50))
    times_out += run(timeline, row(6 * SECOND, 50), begin_s=6)
    times_out += run(timeline, row(60 * SECOND, 50), begin_s=60)
    assert [times_out[index].pts for index in (49, 50, 100)] == [49 * FRAME, 6 * SECOND, 60 * SECOND]
    assert [index for index, frame_time in enumerate(times_out) if frame_time.discontinuity] == [0, 100]


@pytest.mark.parametrize("bits", [32, 33])
def test_eighty_hours_and_their_wraps_leave_no_trace(bits: int) -> None:
    timeline, chance, sounds = LiveTimeline(), Random(3), []
    step = 3 * SECOND
    for index in range(80 * 1200):
        time, arrived_s = index * step + 12345, index * 3 + chance.uniform(0, 0.2)
        assert timeline.frame_time(time % 2**bits, time_base=TIME_BASE, arrived_s=arrived_s).pts == index * step
        # Audio is sent half a second earlier or later than its frame: it wraps at another moment.
        heard = time + SECOND // 2 * (index % 3 - 1)
        sounds.append(timeline.audio_pts(heard % 2**bits, time_base=TIME_BASE, arrived_s=arrived_s) == heard - 12345)
    assert all(sounds[1:])
    assert timeline.repaired == {"wrap": 80 * 3600 * SECOND // 2**bits}


def test_a_new_connection_is_placed_by_the_wall_clock_whatever_its_times() -> None:
    timeline = LiveTimeline()
    times_out = run(timeline, row(10**9, 50))
    for begin_s, times in ((12.0, row(0, 50)), (14.1, row(10**9, 50)), (14.2, [None, *row(5, 49)])):
        timeline.on_reconnect()
        assert timeline.audio_pts(5, time_base=TIME_BASE, arrived_s=begin_s) is None
        times_out += run(timeline, times, begin_s=begin_s)
    assert [index for index, frame_time in enumerate(times_out) if frame_time.discontinuity] == [0, 50, 100, 150]
    assert min(steps(times_out)) > 0
    assert [times_out[index].pts for index in (50, 100)] == [12 * SECOND, round(14.1 * SECOND)]
    assert times_out[150].pts == times_out[149].pts + FRAME  # it came before the frames of the last one were over


@pytest.mark.parametrize(("ppm", "anew"), [(50, 0), (-50, 0), (400, 3), (-400, 3)])
def test_a_camera_whose_clock_runs_off_begins_again_every_five_seconds_and_loses_nothing(ppm: int, anew: int) -> None:
    timeline = LiveTimeline()
    rate = 2
    times = [round(index * SECOND / rate * (1 + ppm / 1e6)) for index in range(12 * 3600 * rate)]
    times_out = run(timeline, list(times), step_s=1 / rate)
    assert min(steps(times_out)) > 0.49 * SECOND
    assert timeline.repaired == ({"drift": anew} if anew else {})
    assert sum(frame_time.discontinuity for frame_time in times_out) == 1 + anew
    if ppm < 0:
        assert all(
            abs(frame_time.pts - index * SECOND / rate) < 5.1 * SECOND for index, frame_time in enumerate(times_out)
        )


def test_what_the_network_held_back_is_no_drift() -> None:
    timeline = LiveTimeline()
    arrivals = [index * 0.04 for index in range(2000)]
    for stalled in (400, 900, 1400):  # eight seconds each, then all of them at once
        arrivals[stalled : stalled + 200] = [arrivals[stalled + 200]] * 200
    times_out = [
        timeline.frame_time(index * FRAME, time_base=TIME_BASE, arrived_s=arrived)
        for index, arrived in enumerate(arrivals)
    ]
    assert steps(times_out) == [FRAME] * 1999
    assert sum(frame_time.discontinuity for frame_time in times_out) == 1


def test_what_a_camera_had_kept_before_it_was_asked_is_no_drift() -> None:
    timeline = LiveTimeline()
    times_out = [
        timeline.frame_time(index * FRAME, time_base=TIME_BASE, arrived_s=max(0, index - 200) * 0.04)
        for index in range(2000)
    ]
    assert steps(times_out) == [FRAME] * 1999


def test_audio_without_a_time_goes_on_at_its_own_distance_and_what_comes_twice_is_dropped() -> None:
    timeline = LiveTimeline()
    heard = []
    for index in range(100):
        timeline.frame_time(index * FRAME, time_base=TIME_BASE, arrived_s=index * 0.04)
        pts = None if index in (40, 41, 70) else (index - (index == 50)) * 320
        heard.append(timeline.audio_pts(pts, time_base=Fraction(1, 8000), arrived_s=index * 0.04))
    assert heard == [None if index == 50 else index * FRAME for index in range(100)]


@dataclass
class FaultyCamera:
    """A camera with every fault at once; `truth_s` is when something was taken, on its own wrong clock."""

    chance: Random
    offset: int = WRAP - 60 * SECOND
    now_s: float = 0.0

    def packets(self, seconds: float) -> Iterator[tuple[bool, float, int | None, float]]:
        """Whether it is a frame, when it was taken, its time, when it arrives."""
        end_s, heard_s, arrived_s = self.now_s + seconds, self.now_s, self.now_s
        while self.now_s < end_s:
            self.now_s += self.chance.uniform(0.036, 0.044) if self.chance.random() > 0.002 else 2.5
            if self.chance.random() < 0.001:
                self.offset += self.chance.choice([-4 * SECOND, -SECOND // 2, 2 * SECOND, 3600 * SECOND, -WRAP // 3])
            arrived_s = max(arrived_s, self.now_s + self.chance.expovariate(20))
            yield True, self.now_s, self._time(self.now_s), arrived_s
            while heard_s < self.now_s - 0.02:
                heard_s = max(heard_s + 0.02, self.now_s - 1)
                yield False, heard_s, (round(heard_s * SECOND) + self.offset) % WRAP, arrived_s

    def _time(self, taken_s: float) -> int | None:
        time = round(taken_s * SECOND) + self.offset
        fault = self.chance.random()
        if fault < 0.01:
            return None
        if fault < 0.02:
            time -= self.chance.choice([FRAME, 10 * FRAME, 8 * SECOND, 7200 * SECOND])
        elif fault < 0.03:
            time += self.chance.choice([FRAME, 3 * SECOND, 30 * SECOND])
        return time % WRAP


@pytest.mark.parametrize("seed", range(12))
def test_with_every_fault_at_once_time_goes_on_near_the_wall_clock_and_audio_in_step(seed: int) -> None:
    camera, timeline = FaultyCamera(Random(seed)), LiveTimeline()
    out, last_sound, late, apart, sounds, left_out = -1, -1, [], [], 0, 0
    for _connection in range(4):
        shown: tuple[float, int] = (0.0, 0)
        for is_frame, taken_s, pts, arrived_s in camera.packets(100):
            if is_frame:
                frame_time = timeline.frame_time(pts, time_base=TIME_BASE, arrived_s=arrived_s)
                assert frame_time.pts >= out + 90 or out < 0
                out, shown = frame_time.pts, (taken_s, frame_time.pts)
                late.append(abs(out / SECOND - taken_s))
                continue
            sounds += 1
            heard = timeline.audio_pts(pts, time_base=TIME_BASE, arrived_s=arrived_s)
            if heard is None:
                left_out += 1
                continue
            assert heard > last_sound
            last_sound = heard
            apart.append(abs((heard - shown[1]) / SECOND - (taken_s - shown[0])))
        timeline.on_reconnect()
        camera.now_s += 3
        camera.offset = camera.chance.randrange(WRAP)
    assert max(late) < 6
    apart.sort()
    assert apart[len(apart) * 99 // 100] < 0.02  # the rest is beside frames that were put by guess
    assert left_out < 0.01 * sounds
    assert timeline.repaired.keys() >= {"missing", "backward", "jump"}
