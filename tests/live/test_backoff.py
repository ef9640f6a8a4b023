"""The pauses between attempts."""

from itertools import islice
from pathlib import Path
from random import Random

import pytest
from kit.runs import running_stream
from kit.servers import http
from kit.transport import Kind, mpeg_ts

from vidsr.live.camera_watchdog import Backoff


def test_pauses_grow_by_half_from_one_second_to_a_minute_and_stay_there_for_ever() -> None:
    backoff = Backoff(Random(1))
    pauses = [backoff.next_s() for _ in range(2000)]
    steps = [1.5**number for number in range(11)] + [60] * 1989
    for pause, step in zip(pauses, steps, strict=True):
        assert step / 2 <= pause <= step


def test_cameras_that_were_lost_together_do_not_come_back_at_once() -> None:
    pauses = sorted(Backoff(Random(seed)).next_s() for seed in range(100))
    assert pauses[0] < 0.55
    assert pauses[-1] > 0.95
    assert len(set(pauses)) == 100
    assert Backoff().next_s() != Backoff().next_s()


def test_a_refused_password_is_tried_again_after_a_minute_at_the_earliest_from_the_first_time_on() -> None:
    backoff = Backoff(Random(1))
    pauses = [backoff.next_s(slow=True) for _ in range(50)]
    assert all(60 <= pause <= 90 for pause in pauses)
    assert len(set(pauses)) == 50


def test_half_a_minute_of_frames_makes_the_next_pause_short_and_less_does_not() -> None:
    backoff = Backoff(Random(1))
    for _ in range(12):
        backoff.next_s()
    for seconds in (0, 15, 29.9):
        backoff.on_success(seconds)
        assert backoff.next_s() >= 30
    backoff.on_success(30)
    assert backoff.next_s() <= 1
    assert 0.75 <= backoff.next_s() <= 1.5


@pytest.mark.slow
def test_a_camera_that_ends_every_ten_seconds_is_back_within_a_second(quick: list[str], place: Path) -> None:
    with http(lambda: islice(mpeg_ts(Kind(fps=10)), 110)) as url, running_stream(url, place, quick) as run:
        run.wait_until(lambda: run.number("vidsr_reconnects_total") > 3, within_s=90, what="it ended four times")
        assert run.last_pause_s() <= 1
        assert run.end() == 0
