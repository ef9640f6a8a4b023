"""The wait of a camera's learning for CPU time, while others use all of it; the folder of the camera says so."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from vidsr.errors import TargetError
from vidsr.learn_dir import LearnDir

log = logging.getLogger(__name__)

_LEAST_SHARE = 0.05
"""Of a core: beside one busy process, what runs at the priority of idle processes gets 0.3 to 1.5 %."""


@dataclass(kw_only=True)
class CpuWait:
    """The wait of one camera, with a mark in its folder after `patience_s` with next to no CPU time."""

    camera: str
    folder: LearnDir
    patience_s: float
    is_marked: bool | None = None
    """Whether the folder has the mark; None: as an earlier process has left it."""
    _since: float | None = None
    """When it last had CPU time, or was first to work; None while there is no work."""
    _cpu_s: float = 0.0

    def update(self, cpu_s: float | None, now: float, clock_s: float) -> None:
        """Mark the begin or the end of a wait; `now` is of the monotonic clock, `clock_s` in seconds since 1970.

        `cpu_s` is the CPU time of the process that learns, 0 without one; None stands for no work.
        """
        waited_s = self._waited_s(cpu_s, now)
        if (is_waiting := waited_s > self.patience_s) is self.is_marked:
            return
        self.is_marked, since_s = is_waiting, clock_s - waited_s
        event = f"learning waits for CPU time since {datetime.fromtimestamp(since_s):%Y-%m-%d %H:%M}"
        if is_waiting:
            log.warning("%s: %s", self.camera, event)
        with suppress(TargetError):  # a full disk, which other cameras do not have
            self.folder.set_waiting(since_s if is_waiting else 0.0)
            if is_waiting:
                self.folder.add_event(event, now_s=clock_s)

    def end(self) -> None:
        """Remove the mark: the camera learns no more."""
        if self.is_marked:
            self.folder.set_waiting(0.0)

    def _waited_s(self, cpu_s: float | None, now: float) -> float:
        if cpu_s is None:
            self._since = None
            return 0.0
        if self._since is None or cpu_s - self._cpu_s > _LEAST_SHARE * (now - self._since):
            self._since, self._cpu_s = now, cpu_s
        self._cpu_s = min(self._cpu_s, cpu_s)  # another process has begun
        return now - self._since
