"""Whole days, or hours, of the moments of a camera are held out; never single moments."""

from pathlib import Path

from moments import DAY_S, HOUR_S

from vidsr.learn_dir import Moment
from vidsr.learning.moment_split import split_moments, thin


def moments(*times_s: float, motion: float = 1.0) -> list[Moment]:
    return [
        Moment(folder=Path(f"{time_s:g}"), time_s=time_s, has_main=False, motion=motion, detail=1.0, size=1)
        for time_s in times_s
    ]


def hours(*numbers: float) -> list[Moment]:
    return moments(*(number * HOUR_S for number in numbers))


def test_the_newest_day_is_held_out_with_a_gap_before_it() -> None:
    split = split_moments(hours(0, 10, 23, 30, 46.5, 48, 60, 71), DAY_S)
    assert split
    assert split.held_out_part == "the newest day"
    assert [moment.time_s / HOUR_S for moment in split.training] == [0, 10, 23, 30]
    assert [moment.time_s / HOUR_S for moment in split.held_out] == [48, 60, 71]


def test_of_one_day_every_fourth_hour_is_held_out() -> None:
    split = split_moments(hours(*(number / 2 for number in range(20))), DAY_S)
    assert split
    assert split.held_out_part == "every fourth hour"
    ages = [int(9.5 - moment.time_s / HOUR_S) for moment in split.held_out]
    assert ages == [8, 8, 4, 4, 0, 0]
    assert not {moment.time_s for moment in split.held_out} & {moment.time_s for moment in split.training}
    assert len(split.training) == 14


def test_too_few_moments_or_hours_give_no_split() -> None:
    assert split_moments([], DAY_S) is None
    assert split_moments(hours(0, 1, 30), DAY_S) is None
    assert split_moments(hours(0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7), DAY_S) is None


def test_a_day_may_be_short() -> None:
    split = split_moments(moments(0, 10, 20, 30, 100, 110, 119), 60.0)
    assert split
    assert [moment.time_s for moment in split.held_out] == [100, 110, 119]


def test_thinning_keeps_all_times_and_what_moves() -> None:
    calm, busy = moments(*range(0, 100, 2)), moments(*range(1, 100, 10), motion=9.0)
    kept = thin([*calm, *busy], 10)
    assert len(kept) == 10
    assert [moment.time_s for moment in kept] == [moment.time_s for moment in busy]
    assert thin(calm, 1000) == calm
