"""The scheduler of what cameras learn: processes that collect and learn, beside the cameras and behind them.

It works in a thread of its own, since the disk that it reads may hang, and the supervisor must not.
"""

import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vidsr.errors import DAMAGED, STOPPED, USAGE, TargetError, VidsrError
from vidsr.learn_dir import LearnDir
from vidsr.live.background_process import BackgroundProcess
from vidsr.live.camera_watchdog import CameraStatus, output_log
from vidsr.live.config import CameraConfig
from vidsr.live.cpu_wait import CpuWait
from vidsr.live.health import Health, camera_health
from vidsr.live.status import ORIGINAL_ONLY
from vidsr.settings import LearnSettings

log = logging.getLogger(__name__)

COLLECT, LEARN = "vidsr.learning.collect_process", "vidsr.learning.learn_process"
_TURN_S = 0.5
CALM_S = 10.0
"""Seconds without load before learning goes on."""
WAIT_S = 600.0
"""Seconds with next to no CPU time after which learning counts as waiting for it."""
_LIVE_GAIN_S = 60.0
_MAX_COLLECT_S = 120.0
_ATTEMPT_SHARE = 0.75
"""Of a day: the least time between two attempts to learn."""
_RETRY_S = 600.0
"""The pause after an attempt whose end the folder cannot keep, as its disk is full."""
_GB = 1e9
_ASKED_TO_STOP = (STOPPED + signal.SIGTERM, -signal.SIGTERM)


@dataclass(frozen=True, kw_only=True)
class _Learner:
    """A camera that learns, in one turn."""

    config: CameraConfig
    settings: LearnSettings
    folder: LearnDir

    @property
    def key(self) -> tuple[str, Path]:
        """Of its state."""
        return self.config.name, self.folder.path


@dataclass(kw_only=True)
class _Running:
    process: BackgroundProcess
    learner: _Learner
    module: str
    began: float
    reason: str = ""
    """Why it was ended."""


@dataclass(kw_only=True)
class _CameraState:
    """What is known of a camera from turn to turn."""

    cpu_wait: CpuWait
    changed_ns: int = -1
    collect_at: float = 0.0
    learn_at: float = 0.0


class LearningScheduler:
    """Runs the learning of all cameras; closed by `with`. The caller reaps the processes, and calls `on_exit`."""

    def __init__(
        self,
        *,
        configs: Callable[[], Sequence[CameraConfig]],
        statuses: Callable[[], Sequence[CameraStatus]],
        collect_module: str = COLLECT,
        learn_module: str = LEARN,
        calm_s: float = CALM_S,
        wait_s: float = WAIT_S,
        idle: bool = True,
    ) -> None:
        """With `idle`, its processes run while nothing else wants to."""
        self._configs, self._statuses = configs, statuses
        self._collect_module, self._learn_module = collect_module, learn_module
        self.starting = threading.Lock()
        """Held while a process is started: it is a child that `pids` does not have yet."""
        self._calm_s, self._wait_s, self._idle = calm_s, wait_s, idle
        self._running: dict[int, _Running] = {}
        self._states: dict[tuple[str, Path], _CameraState] = {}
        self._exits: deque[tuple[int, int]] = deque()
        self._learned: deque[tuple[str, Path | None]] = deque()
        self._busy_at = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="learning", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask all processes to end, and start no more. Thread-safe."""
        self._stop.set()
        with self.starting:  # what is started just now has to end, too
            for running in list(self._running.values()):
                running.process.end()

    def pids(self) -> Sequence[int]:
        """The ids of its processes. Thread-safe."""
        return [*self._running]

    def on_exit(self, pid: int, code: int) -> bool:
        """Whether a process that was reaped was one of these. Thread-safe."""
        with self.starting:
            if known := pid in self._running:
                self._exits.append((pid, code))
        return known

    def take_changes(self) -> Mapping[str, Path | None]:
        """The folders of the networks that cameras are to use from now on, by camera; None for the general one.

        Each change is returned once. Thread-safe.
        """
        changes: dict[str, Path | None] = {}
        while self._learned:
            name, folder = self._learned.popleft()
            changes[name] = folder
        return changes

    def _run(self) -> None:
        while self._running or not self._stop.is_set():
            try:
                self._turn(time.monotonic(), time.time())
            except (VidsrError, OSError) as error:  # a disk that is full, or gone for a while
                log.debug("learning: %s", error)
            time.sleep(_TURN_S)
        self._forget_all_but(())

    def _turn(self, now: float, clock_s: float) -> None:
        self._end_reaped(clock_s)
        learners = [
            _Learner(config=config, settings=config.learn, folder=LearnDir(config.learn_dir))
            for config in self._configs()
            if config.learn and config.learn_dir
        ]
        self._forget_all_but({learner.key for learner in learners})
        if not learners and not self._running:
            return
        if any(_is_loaded(status, now) for status in self._statuses()):
            self._busy_at = now
        is_calm = now - self._busy_at > self._calm_s
        self._watch(learners, now, clock_s, is_busy=self._busy_at == now, is_calm=is_calm)
        for learner in learners:
            self._follow_current(learner)
            self._state(learner).cpu_wait.update(self._learning_cpu_s(learner, now, clock_s), now, clock_s)
            if is_calm:
                self._collect(learner, now)
        if is_calm and not self._is_running(self._learn_module):
            self._learn(learners, now, clock_s)

    def _forget_all_but(self, keys: Container[tuple[str, Path]]) -> None:
        """Forget the cameras that learn no more, and the marks in their folders that learning waits."""
        for key in [key for key in self._states if key not in keys]:
            self._states.pop(key).cpu_wait.end()

    def _watch(
        self, learners: Iterable[_Learner], now: float, clock_s: float, *, is_busy: bool, is_calm: bool
    ) -> None:
        """Pause, resume and end what runs."""
        by_name = {learner.config.name: learner for learner in learners}
        for running in list(self._running.values()):
            process, learner = running.process, by_name.get(running.process.camera)
            self._relay(process.camera, process.lines())
            if learner is None:
                process.end()
            elif running.module == self._collect_module:
                if now - running.began > _MAX_COLLECT_S:
                    running.reason = f"collecting took longer than {_MAX_COLLECT_S:g} s"
                    process.kill()
            elif process.memory() > learner.settings.memory_gb * _GB:
                running.reason = f"learning took more than {learner.settings.memory_gb:g} GB of memory"
                process.kill()
            elif not (learner.settings.is_hour(clock_s) or learner.folder.is_requested):
                process.end()
            elif is_busy or is_calm:
                process.pause(is_busy)

    def _learning_cpu_s(self, learner: _Learner, now: float, clock_s: float) -> float | None:
        """The CPU time of its process that learns, 0 where that cannot begin; None where it is not to learn now."""
        running = [each for each in self._running.values() if each.module == self._learn_module]
        if not running:
            return 0.0 if self._is_due(learner, now, clock_s) else None
        own = [each.process.cpu_s() for each in running if each.process.camera == learner.config.name]
        return own[0] if own else None

    def _follow_current(self, learner: _Learner) -> None:
        """Have a camera take the network that its folder names now."""
        state, changed_ns = self._state(learner), learner.folder.current_changed_ns()
        if changed_ns != state.changed_ns:
            state.changed_ns = changed_ns
            current = learner.folder.current()
            self._learned.append((learner.config.name, current.folder if current else None))

    def _collect(self, learner: _Learner, now: float) -> None:
        state = self._state(learner)
        if now < state.collect_at or self._is_running(self._collect_module, learner.config.name):
            return
        watches_gain = learner.config.main is not None and learner.folder.current() is not None
        every_s = min(learner.settings.every_s, _LIVE_GAIN_S) if watches_gain else learner.settings.every_s
        state.collect_at = now + every_s
        self._start(self._collect_module, learner, now)

    def _learn(self, learners: Iterable[_Learner], now: float, clock_s: float) -> None:
        """Start to learn for the camera that has waited for longest, if it is time."""
        due = [learner for learner in learners if self._is_due(learner, now, clock_s)]
        if due:
            self._start(self._learn_module, min(due, key=lambda learner: learner.folder.attempt_s), now)

    def _start(self, module: str, learner: _Learner, now: float) -> None:
        cpus = frozenset(sorted(os.sched_getaffinity(0))[-learner.settings.cores :])
        with self.starting:
            if self._stop.is_set():
                return
            try:
                process = BackgroundProcess(module, learner.config, cpus=cpus, idle=self._idle)
            except OSError as error:
                log.warning("%s: no process can be started: %s", learner.config.name, error.strerror)
                return
            self._running[process.pid] = _Running(process=process, learner=learner, module=module, began=now)

    def _end_reaped(self, clock_s: float) -> None:
        while self._exits:
            pid, code = self._exits.popleft()
            running = self._running.pop(pid)
            self._relay(running.process.camera, running.process.close(code))
            try:
                self._end(running, code, clock_s)
            except TargetError as error:
                self._state(running.learner).learn_at = time.monotonic() + _RETRY_S
                log.warning("%s: %s; learning goes on in %g min", running.process.camera, error, _RETRY_S / 60)

    def _end(self, running: _Running, code: int, clock_s: float) -> None:
        """Log how a process ended; learning that was not asked to stop is over until the next day.

        Raises TargetError.
        """
        folder = running.learner.folder
        is_over = code not in _ASKED_TO_STOP or bool(running.reason)
        if code and is_over and not USAGE <= code <= DAMAGED:  # of which it says the reason itself
            reason = running.reason or f"{running.module} ended with exit code {code}"
            log.warning("%s: %s", running.process.camera, reason)
            if running.module == self._learn_module:  # of a moment that is not collected there is another one soon
                folder.add_event(reason, now_s=clock_s)
        if running.module == self._learn_module and is_over:
            folder.end_attempt(clock_s)

    def _relay(self, camera: str, lines: Iterable[str]) -> None:
        for line in lines:
            output_log.info("%s: %s", camera, line)

    def _is_running(self, module: str, camera: str | None = None) -> bool:
        return any(
            running.module == module and camera in (None, running.process.camera) for running in self._running.values()
        )

    def _state(self, learner: _Learner) -> _CameraState:
        if learner.key not in self._states:
            wait = CpuWait(camera=learner.config.name, folder=learner.folder, patience_s=self._wait_s)
            self._states[learner.key] = _CameraState(cpu_wait=wait)
        return self._states[learner.key]

    def _is_due(self, learner: _Learner, now: float, clock_s: float) -> bool:
        if now < self._state(learner).learn_at:
            return False
        if learner.folder.is_requested:
            return True
        if not learner.settings.is_hour(clock_s):
            return False
        return not 0 <= clock_s - learner.folder.attempt_s < _ATTEMPT_SHARE * learner.settings.day_s


def _is_loaded(status: CameraStatus, now: float) -> bool:
    """Whether a camera needs more CPU than it has, or may: one that sends nothing needs none."""
    total = status.total
    return status.is_flowing(now) and (
        total.rung not in (total.best_rung, ORIGINAL_ONLY) or camera_health(status, now).state is not Health.OK
    )
