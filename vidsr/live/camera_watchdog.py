"""The watchdog of a camera: starts its process, kills it when it hangs, and restarts it after a pause."""

import logging
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from vidsr.errors import MODEL, SOURCE, TARGET, USAGE
from vidsr.live.camera_handle import CameraHandle, Limits, kill
from vidsr.live.config import CameraConfig, only_pipe
from vidsr.live.status import State, Status
from vidsr.redaction import Redactor
from vidsr.versions import InstalledCode

MIN_S, MAX_S = 1.0, 60.0
_RESET_S = 30.0
"""Seconds of continuous frames after which the pauses between processes start from the shortest again."""


class Backoff:
    """Pauses that grow by half with each attempt, from 1 to 60 s, until `on_success` resets them.

    Each pause is drawn from the upper half of its step, so that cameras lost together do not reconnect together.
    """

    def __init__(self, chance: Random | None = None, *, reset_s: float = _RESET_S) -> None:
        self._chance = chance or Random()
        self._step_s, self._reset_s = MIN_S, reset_s

    def next_s(self, *, slow: bool = False) -> float:
        """Seconds to wait now, at most 60; with `slow` 60 to 90, as frequent attempts may lock an account."""
        step_s = self._step_s
        self._step_s = min(1.5 * step_s, MAX_S)
        if slow:
            return MAX_S * self._chance.uniform(1, 1.5)
        return step_s * self._chance.uniform(0.5, 1)

    def on_success(self, seconds: float) -> None:
        """Frames have flowed for `seconds` without a break; `reset_s` of them reset the pauses."""
        if seconds >= self._reset_s:
            self._step_s = MIN_S


log = logging.getLogger(__name__)
output_log = logging.getLogger(f"{__name__}.output")
"""The output of the processes, each at a log level of its own: always passed on, independent of the level here."""

_FATAL_CODES = (USAGE, TARGET, MODEL)
"""Exit codes after which a restart cannot help, unless the camera has been recorded before."""
REPLACED = "another version of vidsr is installed since; restart `vidsr stream`"
HISTORY = 61
"""Number of statuses that are kept, one per second."""


@dataclass(frozen=True, kw_only=True)
class CameraStatus:
    """The current status of a camera; times are of the monotonic clock."""

    name: str
    source: str
    total: Status
    """The newest status, with the counts of earlier processes added."""
    last_frame_at: float | None
    """When frames were last written."""
    stall_s: float
    restarts: int
    degraded_above: float = 5.0
    """Percent of frames, from the settings."""
    failed_above: float = 99.0
    history: tuple[tuple[float, Status], ...]
    """The statuses of the last minute, with their times."""

    def is_flowing(self, now: float) -> bool:
        """Whether upscaled frames are being written."""
        return self.last_frame_at is not None and now - self.last_frame_at <= self.stall_s


class CameraWatchdog:
    """Keeps the process of a camera running. `code` is its exit code once it is not restarted any more."""

    def __init__(
        self,
        config: CameraConfig,
        *,
        command: Sequence[str],
        cpus: frozenset[int],
        limits: Limits,
        redactor: Redactor,
        installed: InstalledCode,
    ) -> None:
        self.config, self._installed = config, installed
        self.code: int | None = None
        self._command, self._cpus, self._limits, self._redactor = command, cpus, limits, redactor
        self.process: CameraHandle | None = None
        self._earlier = Status()
        self._backoff = Backoff()
        self._start_at = 0.0
        self._stopping = False
        self._flowing_since: float | None = None
        self._history: deque[tuple[float, Status]] = deque(maxlen=HISTORY)
        self.status = CameraStatus(
            name=config.name,
            source=str(config.source),
            total=Status(),
            last_frame_at=None,
            stall_s=limits.stall_of(config),
            restarts=0,
            degraded_above=config.stream.degraded_above,
            failed_above=config.stream.failed_above,
            history=(),
        )

    def poll(self, now: float) -> CameraHandle | None:
        """Start the process when it is due, and return it; kill it when it hangs."""
        if self.process:
            if (reason := self.process.hang_reason(now)) and self.process.kill():
                log.warning("%s: %s; its process is killed", self.config.name, reason)
            return None
        if self.code is not None or now < self._start_at:
            return None
        try:
            self.process = CameraHandle(self.config, now, command=self._command, cpus=self._cpus, limits=self._limits)
        except OSError as error:  # out of memory or of process ids
            self._schedule_restart(f"no process can be started: {error.strerror}", now)
            return None
        return self.process

    def on_line(self, line: str, now: float) -> None:
        """Process a line of the stdout of the process."""
        assert self.process
        try:
            has_new_frames = self.process.on_line(line, now)
            total = self._earlier + self._redacted(self.process.status)
        except ValueError:
            self.relay(line)  # a library printed to stdout
            return
        if has_new_frames:
            self._mark_flowing(now)
        self._history.append((now, total))
        self.status = replace(self.status, total=total, history=tuple(self._history))

    def relay(self, line: str) -> None:
        """Log a line of the stderr of the process, after the name of the camera."""
        output_log.info("%s: %s", self.config.name, line.removeprefix("vidsr: "))

    def on_exit(self, code: int, now: float) -> None:
        """Handle the end of the process, which was reaped."""
        assert self.process
        for line in self.process.close(code):
            self.relay(line)
        self._earlier, self.process = self._earlier + self.process.status, None
        if self._stopping:
            return
        reason, is_replaced = f"its process {_exit_text(code)}", self._installed.is_replaced()
        if is_replaced:
            reason += f"; {REPLACED}"
        never_ran = self.status.last_frame_at is None
        cannot_write = code == TARGET and only_pipe(self.config) is not None  # who reads a stream has lost its begin
        is_fatal = code in _FATAL_CODES and never_ran and not is_replaced
        if cannot_write or is_fatal or (code == SOURCE and self.config.stream.fail_fast):
            self.code = code
            level = logging.INFO if cannot_write else logging.WARNING  # nothing else goes on, and it has said why
            log.log(level, "%s: %s, and is not restarted", self.config.name, reason)
            self._set_waiting(reason)
        else:
            self._schedule_restart(reason, now)

    def send_neighbours(self, neighbours: Mapping[Path, float]) -> None:
        """Tell the process, and later ones, the directories of all cameras."""
        self.config = replace(self.config, neighbours=neighbours)
        if self.process:
            self.process.send(neighbours={str(path): floor_gb for path, floor_gb in neighbours.items()})

    def send_learned(self, folder: Path | None) -> None:
        """Tell the process, and later ones, the folder of the learned network; None for the general one."""
        self.config = replace(self.config, learned=folder)
        if self.process:
            self.process.send(learned=str(folder) if folder else None)

    def stop(self) -> None:
        """Ask the process to end."""
        self._stopping = True
        if self.process:
            kill(self.process.pid, signal.SIGTERM)
        self._set_waiting("", State.STOPPING)

    def _mark_flowing(self, now: float) -> None:
        if self._flowing_since is None or not self.status.is_flowing(now):
            self._flowing_since = now
        self.status = replace(self.status, last_frame_at=now)
        self._backoff.on_success(now - self._flowing_since)

    def _schedule_restart(self, reason: str, now: float) -> None:
        pause_s = self._backoff.next_s()
        self._start_at = now + pause_s
        self._flowing_since = None
        self.status = replace(self.status, restarts=self.status.restarts + 1)
        log.warning("%s: %s; the next starts in %.1f s", self.config.name, reason, pause_s)
        self._set_waiting(reason)

    def _set_waiting(self, reason: str, state: State = State.WAITING) -> None:
        self.status = replace(self.status, total=replace(self.status.total, state=state, reason=reason))

    def _redacted(self, status: Status) -> Status:
        """The status without secrets: its texts may come from a library that saw a URL."""
        redact = self._redactor.redact
        return replace(
            status,
            reason=redact(status.reason),
            source=redact(status.source),
            targets={redact(target): redact(reason) for target, reason in status.targets.items()},
            disk_free={redact(target): free for target, free in status.disk_free.items()},
        )


def _exit_text(code: int) -> str:
    """How a process ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
