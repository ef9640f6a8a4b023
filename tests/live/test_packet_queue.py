"""The packet queue, and which packets it drops."""

import threading
import time
from collections import Counter
from contextlib import suppress
from random import Random

import pytest
from kit.races import while_it_runs

from vidsr.errors import SourceLost
from vidsr.live.packet_queue import DroppingQueue


def fill(queue: DroppingQueue[str], packets: str, *, begin_s: float = 0.0) -> None:
    """A packet for each letter, one a second: K a key frame, p a frame that builds on it, s audio."""
    for index, packet in enumerate(packets):
        queue.put(packet, arrived_s=begin_s + index, size=100, video=packet != "s", key=packet == "K")


def take(queue: DroppingQueue[str]) -> str:
    """All that waits, in order; what is dropped as a dot."""
    taken = ""
    while (queued := queue.get(0)) is not None:
        taken += "." if queued.dropped else queued.packet
    return taken


def test_packets_come_out_in_order_with_the_time_of_their_arrival() -> None:
    queue: DroppingQueue[str] = DroppingQueue()
    fill(queue, "Kps")
    assert queue.age_s(5) == 5
    taken = [queued.arrived_s for _ in range(3) if (queued := queue.get(0))]
    assert taken == [0, 1, 2]
    assert queue.age_s(5) == 0
    assert queue.dropped.total() == 0


@pytest.mark.parametrize(
    ("queued", "later", "taken"),
    [
        ("pspKppspKps", "pKp", ".s....s.KpspKp"),
        ("Kpsp", "psKp", "..s..sKp"),
        ("ppsp", "pspp", "..s..s.."),
        ("", "ppKp", "ppKp"),
        ("KKKK", "KK", "...KKK"),
        ("ss", "pK", "sspK"),
    ],
)
def test_what_is_dropped_ends_at_a_key_frame_and_keeps_the_audio(queued: str, later: str, taken: str) -> None:
    queue: DroppingQueue[str] = DroppingQueue()
    fill(queue, queued)
    queue.drop("late")
    fill(queue, later)
    assert take(queue) == taken
    assert queue.dropped["late"] == taken.count(".")


def test_asked_twice_it_drops_the_run_of_the_newest_key_frame_too() -> None:
    queue: DroppingQueue[str] = DroppingQueue()
    fill(queue, "KpKpp")
    queue.drop("late")
    assert queue.age_s(10) == 8
    queue.drop("late")
    assert queue.age_s(10) == 0
    fill(queue, "pKp")
    assert take(queue) == "......Kp"


@pytest.mark.parametrize(
    "bounds", [{"max_packets": 8}, {"max_bytes": 800}, {"max_age_s": 7.5}], ids=["packets", "bytes", "age"]
)
def test_at_its_bound_it_loses_the_oldest_and_all_that_builds_on_them(bounds: dict[str, int]) -> None:
    queue: DroppingQueue[str] = DroppingQueue(**bounds)
    fill(queue, "KpppKpspps")
    assert take(queue) == "..Kpspps"
    assert queue.dropped == {"full": 4}
    fill(queue, "Kppppppppppp")
    fill(queue, "psKp", begin_s=12)
    assert take(queue) == ".....sKp"


def test_with_nobody_who_takes_it_stays_within_its_bounds_and_every_packet_is_counted() -> None:
    queue: DroppingQueue[str] = DroppingQueue(max_packets=100)
    chance = Random(5)
    fill(queue, "".join(chance.choice("Kppppppppss") for _ in range(3000)))
    rest = take(queue)
    assert len(rest) <= 100
    assert queue.dropped.total() == 3000 - len(rest.replace(".", ""))


def test_counts_are_read_while_the_reader_drops() -> None:
    queue: DroppingQueue[str] = DroppingQueue()

    def read() -> None:
        for number in range(3000):
            fill(queue, "KpKp")
            queue.drop(f"reason {number}")
            take(queue)

    for _ in while_it_runs(read):
        assert (Counter() + queue.dropped).total() <= 6000


def test_no_frame_is_decoded_without_those_it_builds_on_whatever_was_dropped_when() -> None:
    chance = Random(7)
    for _ in range(200):
        queue: DroppingQueue[tuple[int, int]] = DroppingQueue(max_packets=20)
        run = place = decoded_run = decoded_place = 0
        for step in range(300):
            key = step == 0 or chance.random() < 0.1
            run, place = (run + 1, 0) if key else (run, place + 1)
            queue.put((run, place), arrived_s=step * 0.04, size=1, video=True, key=key)
            if chance.random() < 0.05:
                queue.drop("late")
            for _ in range(chance.choice([0, 0, 1, 1, 3])):
                if (queued := queue.get(0)) and not queued.dropped:
                    assert queued.packet == (decoded_run, decoded_place + 1) or queued.packet[1] == 0
                    decoded_run, decoded_place = queued.packet


def test_the_loss_of_the_source_comes_after_the_packets_before_it() -> None:
    queue: DroppingQueue[str] = DroppingQueue()
    fill(queue, "Kp")
    queue.close(SourceLost("the camera closed the connection"))
    assert [queued.packet for _ in range(2) if (queued := queue.get(0))] == ["K", "p"]
    for _ in range(2):
        with pytest.raises(SourceLost, match="closed the connection"):
            queue.get(10)


def test_whoever_waits_is_woken_by_a_packet_and_by_the_end_and_else_gets_none_in_time() -> None:
    queue: DroppingQueue[str] = DroppingQueue()
    began = time.monotonic()
    assert queue.get(0.05) is None
    assert 0.04 < time.monotonic() - began < 1
    for wake in (lambda: fill(queue, "K"), lambda: queue.close(SourceLost("gone"))):
        timer = threading.Timer(0.05, wake)
        timer.start()
        with suppress(SourceLost):
            assert queue.get(10) is not None
        timer.join()
    assert time.monotonic() - began < 2
