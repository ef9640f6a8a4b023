"""Which moments of a camera are kept: bounded in days and bytes, spread over hours and days, and different."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from training.films import place, with_car, write_film

from vidsr.learn_dir import LearnDir, Moment
from vidsr.learning.moment_selection import expired_moments, surplus_moments, thin_moments
from vidsr.learning.moment_survey import survey_video, write_survey
from vidsr.settings import LearnSettings
from vidsr.training.finetune.frame_selection import picture_features

DAY_S, HOUR_S = 86_400.0, 3_600.0
NOW_S = 1.8e9
MB = 1_000_000


def moment(time_s: float, *, motion: float = 10.0, detail: float = 1.0, has_main: bool = True) -> Moment:
    return Moment(
        folder=Path(f"{time_s:.0f}"), time_s=time_s, has_main=has_main, motion=motion, detail=detail, size=MB
    )


def kept(moments: list[Moment], pictures: np.ndarray, *, megabytes: float) -> list[Moment]:
    settings = LearnSettings(keep_gb=megabytes / 1000)
    surplus = surplus_moments(moments, picture_features(list(pictures)), settings)
    rest = [each for each in moments if each not in surplus]
    assert sum(each.size for each in rest) <= megabytes * MB
    assert len(rest) == int(megabytes)
    return rest


def test_a_fortnight_is_spread_over_days_and_hours() -> None:
    random = np.random.default_rng(0)
    times = [NOW_S + HOUR_S / 4 * number for number in range(14 * 96)]
    base = random.integers(60, 190, (48, 64))
    pictures = [np.clip(base + random.normal(0, 12, base.shape), 0, 255).astype(np.uint8) for _ in times]
    motion = random.uniform(3, 30, len(times))
    moments = [moment(time_s, motion=float(each)) for time_s, each in zip(times, motion, strict=True)]
    rest = kept(moments, np.array(pictures), megabytes=336)
    days = Counter(int((each.time_s - NOW_S) // DAY_S) for each in rest)
    hours = Counter(int(each.time_s % DAY_S // HOUR_S) for each in rest)
    assert len(days) == 14
    assert len(hours) == 24
    assert min(days.values()) > 12  # of 24 on average
    assert min(hours.values()) > 7  # of 14
    assert np.mean([each.motion for each in rest]) > 1.1 * motion.mean()


def test_of_a_quiet_night_less_is_kept_than_of_a_busy_day_but_every_night_stays() -> None:
    random = np.random.default_rng(1)
    moments, pictures = [], []
    night = random.integers(20, 60, (48, 64))
    for number in range(4 * 96):
        time_s = NOW_S - NOW_S % DAY_S + HOUR_S / 4 * number
        is_night = time_s % DAY_S < 8 * HOUR_S
        picture = night if is_night else night + random.integers(0, 150, night.shape)
        moments.append(moment(time_s))
        pictures.append(picture.astype(np.uint8))
    rest = kept(moments, np.array(pictures), megabytes=128)
    nights = Counter(int(each.time_s // DAY_S) for each in rest if each.time_s % DAY_S < 8 * HOUR_S)
    assert len(nights) == 4
    assert min(nights.values()) >= 3
    assert sum(nights.values()) < 128 / 3 / 1.5


def test_of_two_alike_the_sharper_and_livelier_one_stays() -> None:
    picture = np.random.default_rng(2).integers(0, 255, (48, 64)).astype(np.uint8)
    pictures = np.stack([picture, picture, 255 - picture])
    first, second, other = (moment(NOW_S + HOUR_S * hour) for hour in (0, 1, 12))
    assert kept([first, replace(second, motion=20.0), other], pictures, megabytes=2)[0].motion == 20.0
    assert kept([replace(first, detail=2.0), second, other], pictures, megabytes=2)[0].detail == 2.0
    assert kept([first, replace(second, motion=12, has_main=False), other], pictures, megabytes=2)[0] == first


def test_moments_expire_by_days_and_a_wrong_clock_costs_few() -> None:
    settings = LearnSettings(keep_days=2)
    moments = [moment(NOW_S + HOUR_S * number) for number in range(100)]
    last_s = moments[-1].time_s
    old = [each for each in moments if last_s - each.time_s > 2 * DAY_S]
    assert expired_moments(moments, settings, now_s=last_s) == old[:16]
    assert len(expired_moments(moments, settings, now_s=last_s + 365 * DAY_S)) == 16
    assert len(expired_moments(moments, settings, now_s=0.0)) == 16
    assert expired_moments(moments, replace(settings, keep_days=10), now_s=NOW_S + 80 * HOUR_S) == []
    assert expired_moments(moments, replace(settings, keep_days=48, day_s=HOUR_S), now_s=last_s) == old[:16]


def test_a_folder_is_thinned_on_disk(tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    for number in range(6):
        folder = learn_dir.moment_folder(NOW_S + number * HOUR_S)
        folder.mkdir(parents=True)
        columns = range(0, 90, 3) if number < 5 else range(90, 0, -3)
        film = write_film(folder / "source.mkv", [with_car(place(number // 5), column) for column in columns])
        write_survey(folder, survey_video(film))
        learn_dir.write_moment(replace(moment(NOW_S + number * HOUR_S), folder=folder))
    settings = LearnSettings(keep_gb=2 * MB / 1e9)
    removed = thin_moments(learn_dir, settings, now_s=NOW_S + DAY_S)
    rest = learn_dir.moments()
    assert len(removed) == 4
    assert len(rest) == 2
    assert rest[-1].time_s == NOW_S + 5 * HOUR_S  # the other view
    assert not any(each.folder.exists() for each in removed)
    assert thin_moments(learn_dir, replace(settings, keep_days=0.5), now_s=NOW_S + 60 * HOUR_S) == rest
    assert not list((tmp_path / "moments").iterdir())
