"""The supervisor: hung processes are killed, ended ones restarted, none left behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live.supervisor_process import alive, eventually, supervised

from vidsr.live.status import Status

SIGHUP, SIGINT, SIGKILL, SIGTERM = 1, 2, 9, 15


def test_importing_the_supervisor_loads_no_heavy_package() -> None:
    heavy = {"av", "numpy", "openvino", "ray", "torch", "tqdm"}
    code = f"import sys, vidsr.live.__main__, vidsr.live.http_server; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("number", "code"), [(SIGTERM, 0), (SIGINT, 0), (SIGHUP, 129)])
def test_a_signal_ends_every_process_in_order(tmp_path: Path, number: int, code: int) -> None:
    with supervised(tmp_path, "good", "good-2") as running:
        eventually(lambda: running.starts("good") and running.starts("good-2"))
        running.process.send_signal(number)
        assert running.exit_code() == code
        assert (tmp_path / "good/ended").exists()
        assert (tmp_path / "good-2/ended").exists()
        assert running.process.stdout
        assert running.process.stdout.read() == "loaded: []\n"


@pytest.mark.parametrize("code", [2, 4, 5])
def test_what_has_been_recorded_is_started_again_whatever_its_exit_code(tmp_path: Path, code: int) -> None:
    with supervised(tmp_path, f"fails-{code}") as running:
        eventually(lambda: len(running.starts(f"fails-{code}")) == 2)


@pytest.mark.parametrize("name", ["stalls", "hangs"])
def test_what_writes_no_frame_or_says_nothing_is_killed_and_started_again(tmp_path: Path, name: str) -> None:
    with supervised(tmp_path, name, "good") as running:
        eventually(lambda: len(running.starts(name)) == 2)
        first = running.starts(name)[0]
        assert not alive(int(first["pid"]))
        assert len(running.starts("good")) == 1
        running.process.send_signal(SIGTERM)
        assert running.exit_code() == 0
        words = {"stalls": "no frame was upscaled", "hangs": "no status"}[name]
        assert f"vidsr: {name}: {words}" in running.stderr_text()


def test_a_process_whose_attempts_to_connect_are_refused_at_once_is_not_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, "waits") as running:
        eventually(lambda: running.starts("waits"))
        time.sleep(5)  # more than the limit of any state
        assert running.stderr_text().count("its process") == 0
        assert len(running.starts("waits")) == 1
        running.process.send_signal(SIGTERM)
        assert running.exit_code() == 0


def test_a_process_that_always_fails_is_started_ever_more_slowly(tmp_path: Path) -> None:
    with supervised(tmp_path, "exits-1") as running:
        eventually(lambda: len(running.starts("exits-1")) == 3)
        times = [start["at"] for start in running.starts("exits-1")]
        assert times[1] - times[0] > 0.5
        assert times[2] - times[1] > 1.0
        running.process.send_signal(SIGTERM)
        assert running.exit_code() == 0


@pytest.mark.parametrize(("name", "code"), [("exits-2", 2), ("exits-4", 4), ("exits-5", 5), ("exits-3-fast", 3)])
def test_what_can_never_work_is_not_tried_again_and_its_exit_code_is_handed_on(
    tmp_path: Path, name: str, code: int
) -> None:
    with supervised(tmp_path, name) as running:
        assert running.exit_code() == code
        assert len(running.starts(name)) == 1


def test_a_source_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    with supervised(tmp_path, "exits-3") as running:
        eventually(lambda: len(running.starts("exits-3")) == 2)


def test_one_that_can_never_work_leaves_the_others_alone(tmp_path: Path) -> None:
    with supervised(tmp_path, "exits-4", "good") as running:
        eventually(lambda: "is not restarted" in running.stderr_text() and running.starts("good"))
        running.process.send_signal(SIGTERM)
        assert running.exit_code() == 0
        assert (tmp_path / "good/ended").exists()


def test_a_process_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, "deaf", "good") as running:
        eventually(lambda: running.starts("deaf") and running.starts("good"))
        running.process.send_signal(SIGTERM)
        assert running.exit_code() == 0
        assert (tmp_path / "good/ended").exists()
        assert not alive(int(running.starts("deaf")[0]["pid"]))
        assert "killed after 1 s without stopping: deaf" in running.stderr_text()


def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    with supervised(tmp_path, "deaf") as running:
        eventually(lambda: running.starts("deaf"))
        running.process.send_signal(SIGINT)
        eventually(lambda: "stopping" in running.stderr_text())
        time.sleep(0.6)
        running.process.send_signal(SIGTERM)
        assert running.exit_code() == 128 + SIGTERM
        assert not alive(int(running.starts("deaf")[0]["pid"]))


def test_two_signals_at_once_are_one(tmp_path: Path) -> None:
    with supervised(tmp_path, "good") as running:
        eventually(lambda: running.starts("good"))
        running.process.send_signal(SIGTERM)
        running.process.send_signal(SIGTERM)
        assert running.exit_code() == 0
        assert (tmp_path / "good/ended").exists()
        assert "SIGKILL" not in running.stderr_text()
        assert "starts in" not in running.stderr_text()


def test_grandchildren_in_sessions_of_their_own_end_with_a_killed_process(tmp_path: Path) -> None:
    with supervised(tmp_path, "family") as running:
        eventually(lambda: running.starts("family"))
        pid = int(running.starts("family")[0]["pid"])
        eventually(lambda: len(below(pid)) == 2)
        family = below(pid)
        os.kill(pid, SIGKILL)
        eventually(lambda: not any(map(alive, family)))
        eventually(lambda: len(running.starts("family")) == 2)
        running.process.send_signal(SIGTERM)
        assert running.exit_code() == 0


def test_the_processes_of_a_killed_supervisor_end_in_order(tmp_path: Path) -> None:
    with supervised(tmp_path, "good") as running:
        eventually(lambda: running.starts("good"))
        running.process.kill()
        eventually((tmp_path / "good/ended").exists)


def test_what_a_process_says_bears_its_name_and_no_password(tmp_path: Path) -> None:
    with supervised(tmp_path, "good") as running:
        eventually(lambda: "I am good" in running.stderr_text())
        assert "vidsr: good: I am good at rtsp://camera.lan\n" in running.stderr_text()
        assert "hunter22" not in running.stderr_text()


def test_counts_of_earlier_processes_are_added() -> None:
    earlier = Status(frames_in=5, upscaled={"a": 2}, delay_sum_s=0.5, targets={"old": "ok"})
    earlier.add_frame("a", 0.1)
    newest = Status(frames_in=1, upscaled={"a": 1, "b": 4}, targets={"new": "ok"}, rung="b")
    newest.add_frame("a", 0.1)
    total = earlier + newest
    assert (total.frames_in, total.upscaled, total.rung, total.targets) == (6, {"a": 5, "b": 4}, "b", {"new": "ok"})
    assert total.delays[1] == 2
    assert total.delay_sum_s == pytest.approx(0.7)


def below(pid: int) -> list[int]:
    """The processes below one, however deep."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(child) for child in path.read_text().split()] if path.exists() else []
    return children + [each for child in children for each in below(child)]
