"""What waits to be decoded, and what of it is dropped."""

import threading
import time
from contextlib import suppress
from random import Random

import pytest

from vidsr.errors import SourceLost
from vidsr.live.packet_queue import Backlog


def fill(backlog: Backlog[str], packets: str, *, begin_s: float = 0.0) -> None:
    """A packet for each letter, one a second: K a key frame, p a picture that builds on it, s sound."""
    for index, packet in enumerate(packets):
        backlog.put(packet, arrived_s=begin_s + index, size=100, video=packet != "s", key=packet == "K")


def take(backlog: Backlog[str]) -> str:
    """All that waits, in order; what is dropped as a dot."""
    taken = ""
    while (waiting := backlog.get(0)) is not None:
        taken += "." if waiting.dropped else waiting.packet
    return taken


def test_packets_come_out_in_order_with_the_time_of_their_arrival() -> None:
    backlog: Backlog[str] = Backlog()
    fill(backlog, "Kps")
    assert backlog.age_s(5) == 5
    taken = [waiting.arrived_s for _ in range(3) if (waiting := backlog.get(0))]
    assert taken == [0, 1, 2]
    assert backlog.age_s(5) == 0
    assert backlog.dropped.total() == 0


@pytest.mark.parametrize(
    ("waiting", "later", "taken"),
    [
        ("pspKppspKps", "pKp", ".s....s.KpspKp"),
        ("Kpsp", "psKp", "..s..sKp"),
        ("ppsp", "pspp", "..s..s.."),
        ("", "ppKp", "ppKp"),
        ("KKKK", "KK", "...KKK"),
        ("ss", "pK", "sspK"),
    ],
)
def test_what_is_dropped_ends_at_a_key_frame_and_keeps_the_sound(waiting: str, later: str, taken: str) -> None:
    backlog: Backlog[str] = Backlog()
    fill(backlog, waiting)
    backlog.drop("late")
    fill(backlog, later)
    assert take(backlog) == taken
    assert backlog.dropped["late"] == taken.count(".")


def test_asked_twice_it_drops_the_run_of_the_newest_key_frame_too() -> None:
    backlog: Backlog[str] = Backlog()
    fill(backlog, "KpKpp")
    backlog.drop("late")
    assert backlog.age_s(10) == 8
    backlog.drop("late")
    assert backlog.age_s(10) == 0
    fill(backlog, "pKp")
    assert take(backlog) == "......Kp"


@pytest.mark.parametrize(
    "bounds", [{"most_packets": 8}, {"most_bytes": 800}, {"most_s": 7.5}], ids=["packets", "bytes", "age"]
)
def test_at_its_bound_it_loses_the_oldest_and_all_that_builds_on_them(bounds: dict[str, int]) -> None:
    backlog: Backlog[str] = Backlog(**bounds)
    fill(backlog, "KpppKpspps")
    assert take(backlog) == "..Kpspps"
    assert backlog.dropped == {"full": 4}
    fill(backlog, "Kppppppppppp")
    fill(backlog, "psKp", begin_s=12)
    assert take(backlog) == ".....sKp"


def test_with_nobody_who_takes_it_stays_within_its_bounds_and_every_packet_is_counted() -> None:
    backlog: Backlog[str] = Backlog(most_packets=100)
    chance = Random(5)
    fill(backlog, "".join(chance.choice("Kppppppppss") for _ in range(3000)))
    rest = take(backlog)
    assert len(rest) <= 100
    assert backlog.dropped.total() == 3000 - len(rest.replace(".", ""))


def test_no_picture_is_decoded_without_those_it_builds_on_whatever_was_dropped_when() -> None:
    chance = Random(7)
    for _ in range(200):
        backlog: Backlog[tuple[int, int]] = Backlog(most_packets=20)
        run = place = decoded_run = decoded_place = 0
        for step in range(300):
            key = step == 0 or chance.random() < 0.1
            run, place = (run + 1, 0) if key else (run, place + 1)
            backlog.put((run, place), arrived_s=step * 0.04, size=1, video=True, key=key)
            if chance.random() < 0.05:
                backlog.drop("late")
            for _ in range(chance.choice([0, 0, 1, 1, 3])):
                if (waiting := backlog.get(0)) and not waiting.dropped:
                    assert waiting.packet == (decoded_run, decoded_place + 1) or waiting.packet[1] == 0
                    decoded_run, decoded_place = waiting.packet


def test_the_loss_of_the_source_comes_after_the_packets_before_it() -> None:
    backlog: Backlog[str] = Backlog()
    fill(backlog, "Kp")
    backlog.end(SourceLost("the camera closed the connection"))
    assert [waiting.packet for _ in range(2) if (waiting := backlog.get(0))] == ["K", "p"]
    for _ in range(2):
        with pytest.raises(SourceLost, match="closed the connection"):
            backlog.get(10)


def test_whoever_waits_is_woken_by_a_packet_and_by_the_end_and_else_gets_none_in_time() -> None:
    backlog: Backlog[str] = Backlog()
    began = time.monotonic()
    assert backlog.get(0.05) is None
    assert 0.04 < time.monotonic() - began < 1
    for wake in (lambda: fill(backlog, "K"), lambda: backlog.end(SourceLost("gone"))):
        timer = threading.Timer(0.05, wake)
        timer.start()
        with suppress(SourceLost):
            assert backlog.get(10) is not None
        timer.join()
    assert time.monotonic() - began < 2
