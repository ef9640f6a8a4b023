"""One camera over all of its processes: started, watched, killed when stuck, started again after a pause."""

import logging
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vidsr.errors import MODEL, SOURCE, TARGET, USAGE
from vidsr.live.backoff import Backoff
from vidsr.live.camera_config import Order
from vidsr.live.camera_handle import Child, Limits
from vidsr.live.status import State, Status
from vidsr.live.totals import added
from vidsr.redaction import Secrets

log = logging.getLogger(__name__)
voice = logging.getLogger(f"{__name__}.voice")
"""What the processes say, each at a level that it chose itself: to be shown whatever the level here."""

_IN_VAIN = (USAGE, TARGET, MODEL)
"""Exit codes of what no new attempt makes better."""
HISTORY = 61
"""Statuses that are kept, one a second."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What is known of a camera now; times by the monotonic clock."""

    name: str
    source: str
    total: Status
    """The newest status, with what earlier processes counted."""
    grew_at: float | None
    """When pictures last were written."""
    stall_s: float
    restarts: int
    history: tuple[tuple[float, Status], ...]
    """When what was counted, over the last minute."""

    def flows(self, now: float) -> bool:
        """Whether enlarged pictures come out."""
        return self.grew_at is not None and now - self.grew_at <= self.stall_s


class Keeper:
    """Keeps a camera's process running; `view` is what is known of it, `code` its exit code once it ended for good."""

    def __init__(
        self, order: Order, *, command: Sequence[str], cpus: frozenset[int], limits: Limits, secrets: Secrets
    ) -> None:
        self.order = order
        self.code: int | None = None
        self._command, self._cpus, self._limits, self._secrets = command, cpus, limits, secrets
        self.child: Child | None = None
        self._earlier = Status()
        self._backoff = Backoff()
        self._due_at = 0.0
        self._stopping = False
        self._flowing_since: float | None = None
        self._history: deque[tuple[float, Status]] = deque(maxlen=HISTORY)
        self.view = View(
            name=order.name,
            source=str(order.source),
            total=Status(),
            grew_at=None,
            stall_s=max(limits.stall_s, 3 * order.stream.timeout_s),
            restarts=0,
            history=(),
        )

    def tend(self, now: float) -> Child | None:
        """Start the process when it is time, which is what comes back then; kill it when it is stuck."""
        if self.child:
            if (words := self.child.stuck(now)) and self.child.kill():
                log.warning("%s: %s; its process is killed", self.order.name, words)
            return None
        if self.code is not None or now < self._due_at:
            return None
        try:
            self.child = Child(self.order, command=self._command, cpus=self._cpus, limits=self._limits)
            self.order = replace(self.order, restarted=True)
        except OSError as error:  # no memory or no process number left
            self._pause(f"no process can be started: {error.strerror}", now)
            return None
        self.child.begin(now)
        return self.child

    def hear(self, line: str, now: float) -> None:
        """Take a line of the child's stdout."""
        assert self.child
        try:
            grew = self.child.hear(line, now)
            total = added(self._earlier, self._cleaned(self.child.status))
        except ValueError:
            self.relay(line)  # of a library that knows no better
            return
        if grew:
            self._flow(now)
        self._history.append((now, total))
        self.view = replace(self.view, total=total, history=tuple(self._history))

    def relay(self, line: str) -> None:
        """Say a line of the child's stderr, under the camera's name."""
        voice.info("%s: %s", self.order.name, line.removeprefix("vidsr: "))

    def ended(self, code: int, now: float) -> None:
        """The child was reaped."""
        assert self.child
        for line in self.child.ended(code):
            self.relay(line)
        self._earlier, self.child = added(self._earlier, self.child.status), None
        words = _how(code)
        if self._stopping:
            return
        if code in _IN_VAIN or (code == SOURCE and self.order.stream.fail_fast):
            self.code = code
            log.warning("%s: its process %s, and is not started again", self.order.name, words)
            self._wait(f"its process {words}")
        else:
            self._pause(f"its process {words}", now)

    def stop(self) -> None:
        """Let the child end in order."""
        self._stopping = True
        if self.child:
            self.child.signal(signal.SIGTERM)
        self._wait("", State.STOPPING)

    def _flow(self, now: float) -> None:
        if self._flowing_since is None or not self.view.flows(now):
            self._flowing_since = now
        self.view = replace(self.view, grew_at=now)
        self._backoff.good(now - self._flowing_since)

    def _pause(self, why: str, now: float) -> None:
        pause_s = self._backoff.next_s()
        self._due_at = now + pause_s
        self._flowing_since = None
        self.view = replace(self.view, restarts=self.view.restarts + 1)
        log.warning("%s: %s; the next starts in %.1f s", self.order.name, why, pause_s)
        self._wait(why)

    def _wait(self, why: str, state: State = State.WAITING) -> None:
        self.view = replace(self.view, total=replace(self.view.total, state=state, reason=why))

    def _cleaned(self, status: Status) -> Status:
        """The status, whose words may be those of a library that saw an address."""
        clean = self._secrets.clean
        return replace(
            status,
            reason=clean(status.reason),
            source=clean(status.source),
            targets={clean(target): clean(words) for target, words in status.targets.items()},
            disk_free={clean(target): free for target, free in status.disk_free.items()},
        )


def _how(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
