"""The one line that the times of a live source are brought to."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest

from vidsr.media.source.live_timestamps import TIME_BASE, Clock, Moment

SECOND = 90_000
FRAME = SECOND // 25
WRAP = 2**33


def run(clock: Clock, times: list[int | None], *, begin_s: float = 0.0, step_s: float = 0.04) -> list[Moment]:
    """The moments of pictures that arrive at an even pace."""
    return [
        clock.picture(pts, time_base=TIME_BASE, arrived_s=begin_s + index * step_s) for index, pts in enumerate(times)
    ]


def row(begin: int, count: int, step: int = FRAME) -> list[int | None]:
    return [begin + index * step for index in range(count)]


def steps(moments: list[Moment]) -> list[int]:
    return [after.pts - before.pts for before, after in pairwise(moments)]


def test_times_in_order_are_left_alone_however_uneven_they_are() -> None:
    chance = Random(1)
    times: list[int | None] = [7_000_000]
    for _ in range(500):
        times.append((times[-1] or 0) + chance.choice([200, 3000, 3600, 3601, 4200, 80_000]))
    clock = Clock()
    moments = [
        clock.picture(pts, time_base=TIME_BASE, arrived_s=(pts or 0) / SECOND + chance.uniform(0, 0.3))
        for pts in times
    ]
    assert [moment.pts for moment in moments] == [(pts or 0) - 7_000_000 for pts in times]
    assert [moment.anew for moment in moments] == [True] + [False] * 500
    assert clock.repaired.total() == 0


@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 12_800), Fraction(1001, 30_000), TIME_BASE])
def test_every_time_base_comes_out_in_ours_also_when_it_changes_in_between(base: Fraction) -> None:
    clock = Clock()
    moments = run(clock, row(0, 10))
    moments += [
        clock.picture(round(index * Fraction(1, 25) / base), time_base=base, arrived_s=index * 0.04)
        for index in range(10, 40)
    ]
    assert all(abs(moment.pts - index * FRAME) <= base / TIME_BASE for index, moment in enumerate(moments))
    assert clock.repaired.total() == 0


def test_a_missing_time_is_put_at_the_usual_distance() -> None:
    times = row(5000, 100)
    times[30] = times[31] = times[60] = None
    clock = Clock()
    assert steps(run(clock, times)) == [FRAME] * 99
    assert clock.repaired == {"missing": 3}


def test_a_camera_whose_first_picture_has_no_time_begins_with_it() -> None:
    moments = run(Clock(), [None, *row(9000, 50)])
    assert moments[0] == Moment(pts=0, anew=True)
    assert steps(moments) == [FRAME] * 50


@pytest.mark.parametrize("rate", [5, 12, 50])
@pytest.mark.parametrize("times", [[None], [4711]], ids=["without times", "with times that stand still"])
def test_a_camera_without_usable_times_keeps_the_pace_of_the_wall_clock(times: list[int | None], rate: int) -> None:
    clock = Clock()
    moments = run(clock, times * rate * 600, step_s=1 / rate)
    assert min(steps(moments)) > 0
    assert abs(moments[-1].pts - 600 * SECOND) < 3 * SECOND
    assert not any(moment.anew for moment in moments[1:])


def test_a_repeated_time_pushes_nobody_else_away() -> None:
    times = row(0, 100)
    times[50] = times[49]
    clock = Clock()
    moments = run(clock, times)
    assert min(steps(moments)) >= 90
    assert [moment.pts for moment in moments[52:]] == times[52:]
    assert clock.repaired == {"repeated": 1}


@pytest.mark.parametrize("error", [-20 * 3600 * SECOND, -30 * SECOND, -2 * SECOND, 2 * SECOND, 3600 * SECOND])
def test_one_time_that_does_not_follow_is_not_believed(error: int) -> None:
    times = row(0, 100)
    times[50] = 50 * FRAME + error
    clock = Clock()
    moments = run(clock, times)
    assert [moment.pts for moment in moments] == row(0, 100)
    assert not any(moment.anew for moment in moments[1:])
    assert clock.repaired.total() == 1


def test_a_clock_that_is_set_back_a_little_goes_on_without_a_gap() -> None:
    clock = Clock()
    moments = run(clock, row(10**8, 50) + row(10**8 - 3 * SECOND, 50))
    assert steps(moments) == [FRAME] * 99
    assert not any(moment.anew for moment in moments[1:])
    assert clock.repaired == {"backward": 1}


@pytest.mark.parametrize("jump", [-3600, -20, 20, 3600, 10**6])
def test_a_jump_begins_anew_at_the_second_picture_that_bears_it_out_where_the_wall_clock_is(jump: int) -> None:
    clock = Clock()
    moments = run(clock, row(10**12, 50) + row(10**12 + jump * SECOND, 50))
    assert [index for index, moment in enumerate(moments) if moment.anew] == [0, 51]
    assert steps(moments) == [FRAME] * 99
    assert clock.repaired == {"jump": 1}


def test_a_pause_of_the_camera_stays_as_long_as_it_was_and_a_long_one_begins_anew() -> None:
    clock = Clock()
    moments = run(clock, row(0, 50))
    moments += run(clock, row(6 * SECOND, 50), begin_s=6)
    moments += run(clock, row(60 * SECOND, 50), begin_s=60)
    assert [moments[index].pts for index in (49, 50, 100)] == [49 * FRAME, 6 * SECOND, 60 * SECOND]
    assert [index for index, moment in enumerate(moments) if moment.anew] == [0, 100]


@pytest.mark.parametrize("bits", [32, 33])
def test_eighty_hours_and_their_wraps_leave_no_trace(bits: int) -> None:
    clock, chance, sounds = Clock(), Random(3), []
    step = 3 * SECOND
    for index in range(80 * 1200):
        time, arrived_s = index * step + 12345, index * 3 + chance.uniform(0, 0.2)
        assert clock.picture(time % 2**bits, time_base=TIME_BASE, arrived_s=arrived_s).pts == index * step
        # Sound is sent half a second earlier or later than its picture: it wraps at another moment.
        heard = time + SECOND // 2 * (index % 3 - 1)
        sounds.append(clock.sound(heard % 2**bits, time_base=TIME_BASE, arrived_s=arrived_s) == heard - 12345)
    assert all(sounds[1:])
    assert clock.repaired == {"wrap": 80 * 3600 * SECOND // 2**bits}


def test_a_new_connection_is_placed_by_the_wall_clock_whatever_its_times() -> None:
    clock = Clock()
    moments = run(clock, row(10**9, 50))
    for begin_s, times in ((12.0, row(0, 50)), (14.1, row(10**9, 50)), (14.2, [None, *row(5, 49)])):
        clock.reconnected()
        assert clock.sound(5, time_base=TIME_BASE, arrived_s=begin_s) is None
        moments += run(clock, times, begin_s=begin_s)
    assert [index for index, moment in enumerate(moments) if moment.anew] == [0, 50, 100, 150]
    assert min(steps(moments)) > 0
    assert [moments[index].pts for index in (50, 100)] == [12 * SECOND, round(14.1 * SECOND)]
    assert moments[150].pts == moments[149].pts + FRAME  # it came before the pictures of the last one were over


@pytest.mark.parametrize(("ppm", "anew"), [(50, 0), (-50, 0), (400, 3), (-400, 3)])
def test_a_camera_whose_clock_runs_off_begins_anew_every_five_seconds_and_loses_nothing(ppm: int, anew: int) -> None:
    clock = Clock()
    rate = 2
    times = [round(index * SECOND / rate * (1 + ppm / 1e6)) for index in range(12 * 3600 * rate)]
    moments = run(clock, list(times), step_s=1 / rate)
    assert min(steps(moments)) > 0.49 * SECOND
    assert clock.repaired == ({"drift": anew} if anew else {})
    assert sum(moment.anew for moment in moments) == 1 + anew
    if ppm < 0:
        assert all(abs(moment.pts - index * SECOND / rate) < 5.1 * SECOND for index, moment in enumerate(moments))


def test_what_the_network_held_back_is_no_drift() -> None:
    clock = Clock()
    arrivals = [index * 0.04 for index in range(2000)]
    for stalled in (400, 900, 1400):  # eight seconds each, then all of them at once
        arrivals[stalled : stalled + 200] = [arrivals[stalled + 200]] * 200
    moments = [
        clock.picture(index * FRAME, time_base=TIME_BASE, arrived_s=arrived) for index, arrived in enumerate(arrivals)
    ]
    assert steps(moments) == [FRAME] * 1999
    assert sum(moment.anew for moment in moments) == 1


def test_what_a_camera_had_kept_before_it_was_asked_is_no_drift() -> None:
    clock = Clock()
    moments = [
        clock.picture(index * FRAME, time_base=TIME_BASE, arrived_s=max(0, index - 200) * 0.04)
        for index in range(2000)
    ]
    assert steps(moments) == [FRAME] * 1999


def test_sound_without_a_time_goes_on_at_its_own_distance_and_what_comes_twice_is_left_out() -> None:
    clock = Clock()
    heard = []
    for index in range(100):
        clock.picture(index * FRAME, time_base=TIME_BASE, arrived_s=index * 0.04)
        pts = None if index in (40, 41, 70) else (index - (index == 50)) * 320
        heard.append(clock.sound(pts, time_base=Fraction(1, 8000), arrived_s=index * 0.04))
    assert heard == [None if index == 50 else index * FRAME for index in range(100)]


@dataclass
class Camera:
    """A camera with every fault at once; `truth_s` is when something was taken, on its own wrong clock."""

    chance: Random
    offset: int = WRAP - 60 * SECOND
    now_s: float = 0.0

    def packets(self, seconds: float) -> Iterator[tuple[bool, float, int | None, float]]:
        """Whether it is a picture, when it was taken, its time, when it arrives."""
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
def test_with_every_fault_at_once_time_goes_on_near_the_wall_clock_and_sound_in_step(seed: int) -> None:
    camera, clock = Camera(Random(seed)), Clock()
    out, last_sound, late, apart, sounds, left_out = -1, -1, [], [], 0, 0
    for _connection in range(4):
        shown: tuple[float, int] = (0.0, 0)
        for is_picture, taken_s, pts, arrived_s in camera.packets(100):
            if is_picture:
                moment = clock.picture(pts, time_base=TIME_BASE, arrived_s=arrived_s)
                assert moment.pts >= out + 90 or out < 0
                out, shown = moment.pts, (taken_s, moment.pts)
                late.append(abs(out / SECOND - taken_s))
                continue
            sounds += 1
            heard = clock.sound(pts, time_base=TIME_BASE, arrived_s=arrived_s)
            if heard is None:
                left_out += 1
                continue
            assert heard > last_sound
            last_sound = heard
            apart.append(abs((heard - shown[1]) / SECOND - (taken_s - shown[0])))
        clock.reconnected()
        camera.now_s += 3
        camera.offset = camera.chance.randrange(WRAP)
    assert max(late) < 6
    apart.sort()
    assert apart[len(apart) * 99 // 100] < 0.02  # the rest is beside pictures that were put by guess
    assert left_out < 0.01 * sounds
    assert clock.repaired.keys() >= {"missing", "backward", "jump"}
