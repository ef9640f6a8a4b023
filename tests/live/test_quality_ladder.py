"""The ladder with a simulated camera and machine, frame by frame."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from vidsr.live.quality_ladder import QualityLadder

BUSY = dict[str, float]
GOP = 50


@dataclass
class Run:
    """What became of a simulated stream."""

    written: list[tuple[float, str, float]] = field(default_factory=list)
    """When, by whom, how long after it had arrived."""
    dropped: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def share(self, begin_s: float, end_s: float) -> Counter[str]:
        return Counter(rung for now_s, rung, _ in self.written if begin_s <= now_s < end_s)

    def late(self, longest_s: float) -> list[float]:
        return [now_s for now_s, _, delay_s in self.written if delay_s > longest_s]

    def changes(self) -> list[tuple[str, str]]:
        """From whom to whom."""
        words = [said.split(":")[0].split(" instead of ") for said in self.said if " instead of " in said]
        return [(before, after) for after, before in words]


def stream(
    costs_s: BUSY,
    seconds: float,
    *,
    rate: float = 25,
    load: Callable[[float], float] = lambda now_s: 1.0,
    arrivals: Callable[[float], float] = lambda taken_s: taken_s,
    max_delay_s: float = 1.0,
    seed: int = 1,
) -> Run:
    """A camera, and a machine that upscales one frame after the other; `load` is by how much it takes longer."""
    run, chance = Run(), Random(seed)
    ladder = QualityLadder(list(costs_s), max_delay_s, on_warning=run.said.append)
    sent = deque((arrivals(index / rate), index) for index in range(int(seconds * rate)))
    waiting: deque[tuple[float, int]] = deque()
    now_s, skipping = 0.0, False
    ladder.begin(now_s)
    while sent or waiting:
        while sent and sent[0][0] <= now_s:
            waiting.append(sent.popleft())
        if waiting and ladder.should_drop(now_s=now_s, queue_age_s=now_s - waiting[0][0]):
            keys = [place for place, (_, index) in enumerate(waiting) if index % GOP == 0 and place]
            skipping = not keys
            run.dropped += [now_s] * (keys[-1] if keys else len(waiting))
            waiting = deque(list(waiting)[keys[-1] :]) if keys else deque()
        if not waiting:
            now_s = max(now_s, sent[0][0]) if sent else now_s
            continue
        arrived_s, index = waiting.popleft()
        if skipping and index % GOP:
            run.dropped.append(now_s)
            continue
        skipping = False
        rung = ladder.rung
        cost_s = costs_s[rung] * load(now_s) * chance.uniform(0.9, 1.1)
        now_s += cost_s
        run.written.append((now_s, rung, now_s - arrived_s))
        ladder.record(now_s=now_s, rung=rung, time_s=index / rate, delay_s=now_s - arrived_s, cost_s=cost_s)
    return run


THREE = {"best": 0.030, "cheap": 0.018, "swscale": 0.004}


def test_where_the_best_network_fits_nothing_ever_changes() -> None:
    run = stream(THREE, 600)
    assert run.said == []
    assert run.share(0, 1000) == {"best": 15_000}


def test_where_only_the_cheapest_network_fits_real_time_is_kept_without_a_drop_and_with_few_changes() -> None:
    run = stream({"best": 0.070, "better": 0.048, "cheap": 0.030, "swscale": 0.004}, 1200)
    assert run.dropped == []
    assert run.late(1.0) == []
    assert run.share(0, 1300)["cheap"] > 0.9 * len(run.written)
    assert len([when for when, _, _ in run.written if when > 1190]) > 240
    assert len(run.changes()) <= 2 + 2 * 6  # tried after 10 s, 30 s, 90 s, 270 s, 300 s


@pytest.mark.parametrize("seed", range(5))
def test_load_that_comes_and_goes_costs_quality_while_it_lasts_and_no_frame(seed: int) -> None:
    run = stream(THREE, 300, load=lambda now_s: 2.0 if 100 <= now_s < 160 else 1.0, seed=seed)
    assert run.dropped == []
    assert run.late(1.0) == []
    assert run.share(0, 100) == {"best": 2500}
    assert run.share(105, 160)["cheap"] > 0.8 * 25 * 55
    assert run.share(175, 300).keys() == {"best"}
    assert len(run.changes()) <= 8


def test_load_that_lasts_an_hour_is_tried_seldom_and_its_end_is_noticed_at_once() -> None:
    run = stream(THREE, 4200, load=lambda now_s: 2.0 if 100 <= now_s < 3700 else 1.0)
    assert run.dropped == []
    assert run.late(1.0) == []
    assert len(run.changes()) <= 2 * 18
    assert run.share(3710, 4200).keys() == {"best"}


def test_every_step_is_to_the_next_rung_and_drops_are_for_the_last() -> None:
    run = stream(THREE, 400, load=lambda now_s: 1 + 20 * (100 <= now_s < 200))
    order = list(THREE)
    assert all(abs(order.index(before) - order.index(after)) == 1 for before, after in run.changes())
    assert all(100 < when < 210 for when in run.dropped)
    first_drop = run.said.index(next(said for said in run.said if said.startswith("dropping")))
    assert run.changes()[0] == ("best", "cheap")
    assert [after for _, after in run.changes()[:first_drop]][-1] == "swscale"
    assert run.share(260, 400)["best"] > 0.9 * 25 * 140
    assert len(run.late(1.0)) < 0.01 * len(run.written)


def test_a_machine_too_slow_for_any_network_uses_none() -> None:
    run = stream({"best": 0.200, "cheap": 0.100, "swscale": 0.010}, 600)
    assert run.dropped == []
    assert all(when < 3 for when in run.late(1.0))
    assert run.share(60, 700)["swscale"] > 0.95 * 25 * 540


def test_a_machine_too_slow_for_everything_drops_whole_runs_and_is_never_late_for_long() -> None:
    run = stream({"best": 0.200, "cheap": 0.100, "swscale": 0.080}, 600)
    assert 0.4 < len(run.dropped) / (600 * 25) < 0.6
    assert len(run.late(1.0)) < 0.01 * len(run.written)
    assert run.share(10, 700)["swscale"] > 0.95 * len(run.written)
    assert len([said for said in run.said if said.startswith("dropping")]) <= 10


def test_a_camera_of_sixty_frames_a_second_gets_what_fits_them() -> None:
    run = stream(THREE, 300, rate=60)
    assert run.share(5, 40)["cheap"] < run.share(5, 40)["swscale"] + 35 * 60
    assert run.dropped == []
    assert run.late(1.0) == []
    assert len([when for when, _, _ in run.written if when > 290]) > 590
    assert run.share(60, 300)["swscale"] > 0.9 * 60 * 240


@pytest.mark.parametrize("kept_s", [1.0, 3.0])
def test_what_a_camera_had_kept_is_caught_up_with_undropped_and_the_best_is_back_within_seconds(kept_s: float) -> None:
    run = stream(THREE, 60, arrivals=lambda taken_s: max(0.0, taken_s - kept_s))
    assert run.dropped == []
    assert all(when < 5 for when in run.late(1.0))
    assert run.share(15, 60).keys() == {"best"}


def test_a_network_that_brings_frames_in_bursts_is_no_reason_to_change() -> None:
    run = stream(THREE, 300, arrivals=lambda taken_s: 0.4 * (taken_s // 0.4 + 1))
    assert run.changes() == []


@pytest.mark.parametrize("max_delay_s", [0.3, 5.0])
def test_shorter_and_longer_delays_are_kept_the_same_way(max_delay_s: float) -> None:
    run = stream(THREE, 300, load=lambda now_s: 2.0 if 100 <= now_s < 160 else 1.0, max_delay_s=max_delay_s)
    assert run.dropped == []
    assert len(run.late(max_delay_s)) < 5
    assert run.share(180, 300).keys() == {"best"}


def test_when_nothing_is_written_any_more_it_goes_down_and_drops_and_comes_back() -> None:
    said: list[str] = []
    ladder = QualityLadder(list(THREE), 1.0, on_warning=said.append)
    now_s, drops = 100.0, []
    for index in range(100):
        now_s += 0.04
        ladder.record(now_s=now_s, rung="best", time_s=index * 0.04, delay_s=0.1, cost_s=0.03)
    stalled_s = now_s
    while now_s < stalled_s + 5:
        now_s += 0.05
        if ladder.should_drop(now_s=now_s, queue_age_s=now_s - (drops or [stalled_s])[-1]):
            drops.append(now_s)
    assert ladder.rung == "swscale"
    assert [said.split(":")[0] for said in said[:2]] == ["cheap instead of best", "swscale instead of cheap"]
    assert 1.0 < drops[0] - stalled_s < 2.5
    assert ladder.is_dropping(now_s)
    for index in range(800):
        now_s += 0.04
        assert not ladder.should_drop(now_s=now_s, queue_age_s=0.0)
        rung = ladder.rung
        ladder.record(now_s=now_s, rung=rung, time_s=9 + index * 0.04, delay_s=0.1, cost_s=THREE[rung])
    assert ladder.rung == "best"
    assert not ladder.is_dropping(now_s)
