"""Cameras, and the scheduler of their learning, with processes that stand for the work."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from live.status_server import status

from kit.processes import hurry
from vidsr.live.camera_watchdog import CameraStatus
from vidsr.live.config import CameraConfig
from vidsr.live.learning_scheduler import LearningScheduler
from vidsr.live.supervisor import reap

WORK = "kit.learning_work"


@dataclass
class House:
    """Cameras, their statuses, and the scheduler of their learning."""

    configs: list[CameraConfig]
    statuses: list[CameraStatus] = field(default_factory=list)
    learned: dict[str, Path | None] = field(default_factory=dict)
    exits: list[int] = field(default_factory=list)

    def until(self, is_so: Callable[[LearningScheduler], bool], scheduler: LearningScheduler) -> None:
        """Do what the supervisor does, until it is so."""
        end = time.monotonic() + 60
        while not is_so(scheduler):
            assert time.monotonic() < end
            for pid, code in reap():
                if scheduler.on_exit(pid, code):
                    self.exits.append(code)
            self.learned.update(scheduler.take_changes())
            time.sleep(0.02)


@contextmanager
def scheduling(house: House, *, idle: bool = False) -> Iterator[LearningScheduler]:
    scheduler = LearningScheduler(
        configs=lambda: house.configs,
        statuses=lambda: house.statuses,
        collect_module=WORK + "_never",
        learn_module=WORK,
        calm_s=0.1,
        wait_s=2.0,
        idle=idle,
    )
    try:
        with scheduler:
            yield scheduler
    finally:
        house.until(has_ended, scheduler)


def has_ended(scheduler: LearningScheduler) -> bool:
    """Whether none of its processes is left; those that yield to all others are pushed to end soon, too."""
    for pid in scheduler.pids():
        hurry(pid)
    return not scheduler.pids()


def calm(**more: object) -> CameraStatus:
    return status(rung="net", best_rung="net", **more)
