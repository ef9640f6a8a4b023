"""The scheduler of learning, with processes of its own that stand for the work."""

import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from kit.learning_house import WORK, House, calm, has_ended, scheduling
from live.status_server import status

from vidsr.learn_dir import LearnDir, Proof, time_name
from vidsr.live import learning_scheduler
from vidsr.live.background_process import BackgroundProcess
from vidsr.live.config import CameraConfig
from vidsr.live.learning_scheduler import LearningScheduler
from vidsr.settings import LearnSettings
from vidsr.stream_url import StreamUrl

PROOF = Proof(
    accepted=True, reason="good", moving_gain=0.5, whole_gain=0.5, general_loss=0.0, share=1.0, moments=3, gains={}
)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CameraConfig:
    """A camera that may learn at any hour, and collects once a day only."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    (tmp_path / "order").write_text("work")
    learn = LearnSettings(hours="always", every_s=86_400.0)
    LearnDir(tmp_path).add_event("it begins", now_s=0.0)
    source = StreamUrl("rtsp://camera/1")
    return CameraConfig(name="gate", source=source, targets=(), learn=learn, learn_dir=tmp_path)


def ticks(folder: Path) -> int:
    path = folder / "ticks"
    return len(path.read_text().splitlines()) if path.exists() else 0


def learning(house: House, scheduler: LearningScheduler) -> psutil.Process:
    """The process that learns, once it works."""
    folder = house.configs[0].learn_dir
    assert folder
    house.until(lambda scheduler: ticks(folder) > 3, scheduler)
    (process,) = learners(scheduler)
    return process


def learners(scheduler: LearningScheduler) -> list[psutil.Process]:
    """Those that run; one that has just ended is still known."""
    processes = [psutil.Process(pid) for pid in scheduler.pids() if psutil.pid_exists(pid)]
    return [process for process in processes if WORK in process.cmdline()]


def test_it_runs_behind_all_else(config: CameraConfig) -> None:
    house = House([config], [calm()])
    with scheduling(house, idle=True) as scheduler:
        house.until(lambda scheduler: bool(scheduler.pids()), scheduler)
        process = psutil.Process(scheduler.pids()[0])
        house.until(lambda _: os.sched_getscheduler(process.pid) == os.SCHED_IDLE, scheduler)
        assert process.nice() == 19
        assert len(process.cpu_affinity()) == 1


def test_a_process_that_is_started_while_all_are_to_end_ends(
    config: CameraConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Thread(target=lambda: scheduler.stop())

    def start(module: str, *asked: Any, **how: Any) -> BackgroundProcess:
        if module == WORK:
            stopping.start()
            stopping.join(0.2)
        return BackgroundProcess(module, *asked, **how)

    monkeypatch.setattr(learning_scheduler, "BackgroundProcess", start)
    house = House([config], [calm()])
    with scheduling(house) as scheduler:
        house.until(lambda _: stopping.ident is not None and not stopping.is_alive(), scheduler)
        time.sleep(0.3)
        house.until(has_ended, scheduler)


def test_learning_pauses_at_once_while_a_camera_needs_the_cpu(config: CameraConfig) -> None:
    house = House([config], [calm()])
    with scheduling(house) as scheduler:
        process = learning(house, scheduler)
        house.statuses = [calm(), status("yard", rung="cheaper", best_rung="net")]
        began = time.monotonic()
        house.until(lambda _: process.status() == psutil.STATUS_STOPPED, scheduler)
        assert time.monotonic() - began < 3
        house.statuses = [calm(), calm()]
        house.until(lambda _: process.status() != psutil.STATUS_STOPPED, scheduler)


def waits(folder: Path) -> list[str]:
    return [event["event"] for event in LearnDir(folder).events() if "waits for CPU time since 20" in event["event"]]


def test_it_says_once_that_it_waits_for_the_cameras_and_since_when(config: CameraConfig) -> None:
    folder = config.learn_dir
    assert folder
    (folder / "order").write_text("busy")
    began = time.time()
    house = House([config], [status("gate", rung="cheaper", best_rung="net")])
    with scheduling(house) as scheduler:
        house.until(lambda _: LearnDir(folder).waiting_since_s > 0, scheduler)
        since = LearnDir(folder).waiting_since_s
        assert began - 1 < since < time.time() - 2
        time.sleep(1.2)
        assert (len(waits(folder)), LearnDir(folder).waiting_since_s) == (1, since)
        house.statuses = [calm()]
        house.until(lambda _: LearnDir(folder).waiting_since_s == 0, scheduler)
        assert ticks(folder) > 0
        house.statuses = [status("gate", rung="cheaper", best_rung="net")]  # it is paused
        house.until(lambda _: LearnDir(folder).waiting_since_s > 0, scheduler)
    assert len(waits(folder)) == 2
    house.until(lambda _: LearnDir(folder).waiting_since_s == 0, scheduler)  # with the supervisor, the wait has ended


def test_a_camera_that_is_removed_waits_no_more(config: CameraConfig) -> None:
    folder = config.learn_dir
    assert folder
    house = House([config], [status("gate", rung="cheaper", best_rung="net")])
    with scheduling(house) as scheduler:
        house.until(lambda _: LearnDir(folder).waiting_since_s > 0, scheduler)
        house.configs = []
        house.until(lambda _: LearnDir(folder).waiting_since_s == 0, scheduler)
        house.configs = [config]  # it is read again, and waits from now on
        house.until(lambda _: LearnDir(folder).waiting_since_s > time.time() - 3, scheduler)


def test_it_says_that_other_programs_leave_it_no_cpu_time(config: CameraConfig) -> None:
    folder = config.learn_dir
    assert folder
    (folder / "order").write_text("busy")
    house = House([config], [calm()])
    core = max(os.sched_getaffinity(0))
    with ExitStack() as stack:
        for _ in range(2):
            full = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(full.kill)
            os.sched_setaffinity(full.pid, {core})
        with scheduling(house, idle=True) as scheduler:
            house.until(lambda _: LearnDir(folder).waiting_since_s > 0, scheduler)
            assert learners(scheduler)
            assert len(waits(folder)) == 1


def test_a_camera_that_sends_nothing_stops_no_other_from_learning(config: CameraConfig) -> None:
    house = House([config], [calm(), replace(calm(), last_frame_at=None, name="off")])
    with scheduling(house) as scheduler:
        learning(house, scheduler)


def test_one_camera_learns_at_a_time(config: CameraConfig, tmp_path: Path) -> None:
    other = tmp_path / "other"
    LearnDir(other).end_attempt(time.time() - 2 * 86_400)
    (other / "order").write_text("work")
    house = House([config, replace(config, name="yard", learn_dir=other)], [calm(), calm()])
    with scheduling(house) as scheduler:
        learning(house, scheduler)  # that which has never learned goes first
        time.sleep(1.2)
        assert ticks(other) == 0


def test_learning_ends_above_its_memory_and_waits_for_the_next_day(config: CameraConfig) -> None:
    assert config.learn_dir
    (config.learn_dir / "order").write_text("300")
    settings = replace(config.learn, memory_gb=0.2) if config.learn else None
    house = House([replace(config, learn=settings)], [calm()])
    with scheduling(house) as scheduler:
        house.until(lambda _: LearnDir(config.learn_dir or Path()).attempt_s > 0, scheduler)
        time.sleep(1.2)
        assert learners(scheduler) == []
    events = [event["event"] for event in LearnDir(config.learn_dir).events()]
    assert "learning took more than 0.2 GB of memory" in events


def test_a_crash_is_an_event_and_is_not_tried_again_before_the_next_day(config: CameraConfig) -> None:
    folder = config.learn_dir
    assert folder
    (folder / "order").write_text("crash")
    house = House([config], [calm()])
    with scheduling(house) as scheduler:
        house.until(lambda _: LearnDir(folder).attempt_s > 0, scheduler)
        events = [event["event"] for event in LearnDir(folder).events()]
        assert f"{WORK} ended with exit code 1" in events
        (folder / "order").write_text("work")
        time.sleep(1.2)
        assert ticks(folder) == 0
        LearnDir(folder).request()  # by hand it is
        learning(house, scheduler)


def test_a_disk_that_is_full_has_no_attempt_repeated_at_once(config: CameraConfig) -> None:
    folder = config.learn_dir
    assert folder
    (folder / "order").write_text("crash")
    (folder / "attempt.json").mkdir()  # cannot be written, as on such a disk
    house = House([config], [calm()])
    with scheduling(house) as scheduler:
        until = time.monotonic() + 5
        house.until(lambda _: time.monotonic() > until, scheduler)
    assert [event["event"] for event in LearnDir(folder).events()][1:] == [f"{WORK} ended with exit code 1"]


def test_the_full_disk_of_a_camera_costs_no_other_its_network(config: CameraConfig, tmp_path: Path) -> None:
    assert config.learn_dir
    (config.learn_dir / "waiting.json").mkdir()  # cannot be written, as on such a disk
    other = LearnDir(tmp_path / "other")
    other.write_proof(name := time_name(1.7e9), PROOF)
    yard = replace(config, name="yard", learn_dir=other.path, learn=replace(LearnSettings(), hours="3-4"))
    house = House([config, yard], [status("gate", rung="cheaper", best_rung="net")])
    with scheduling(house) as scheduler:
        until = time.monotonic() + 4  # the first one waits for CPU time, and cannot say so
        house.until(lambda _: time.monotonic() > until, scheduler)
        other.set_current(name, "good", now_s=1.7e9)
        house.until(lambda _: house.learned.get("yard") == other.network_folder(name), scheduler)


def test_a_clock_that_was_set_back_stops_no_camera_from_learning(config: CameraConfig) -> None:
    assert config.learn_dir
    LearnDir(config.learn_dir).end_attempt(time.time() + 30 * 86_400)
    house = House([config], [calm()])
    with scheduling(house) as scheduler:
        learning(house, scheduler)


def test_the_end_of_its_hours_ends_it_and_counts_as_no_attempt(config: CameraConfig) -> None:
    folder, settings = config.learn_dir, config.learn
    assert folder
    assert settings
    house = House([config], [calm()])
    with scheduling(house) as scheduler:
        process = learning(house, scheduler)
        hour = (time.localtime().tm_hour + 2) % 24
        house.configs = [replace(config, learn=replace(settings, hours=f"{hour}-{(hour + 1) % 24}"))]
        house.until(lambda _: not psutil.pid_exists(process.pid), scheduler)
        assert LearnDir(folder).attempt_s == 0
    assert 143 in house.exits


def test_another_network_is_sent_to_the_camera_once(config: CameraConfig) -> None:
    assert config.learn_dir
    folder, house = LearnDir(config.learn_dir), House([config], [calm()])
    folder.write_proof(name := time_name(1.7e9), PROOF)
    with scheduling(house) as scheduler:
        house.until(lambda _: house.learned == {"gate": None}, scheduler)
        folder.set_current(name, "good", now_s=1.7e9)
        house.until(lambda _: house.learned == {"gate": folder.network_folder(name)}, scheduler)
        folder.set_current(None, "bad", now_s=1.7e9)
        house.until(lambda _: house.learned == {"gate": None}, scheduler)


def test_nothing_is_left_when_it_stops(config: CameraConfig) -> None:
    house = House([config], [calm()])
    with scheduling(house) as scheduler:
        process = learning(house, scheduler)
        process.suspend()
    assert not psutil.pid_exists(process.pid)
