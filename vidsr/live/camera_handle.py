"""One process of a camera: started on its cores, told its order, listened to."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader

from vidsr.live.camera_config import Order
from vidsr.live.line_reader import Lines
from vidsr.live.status import State, Status, parse
from vidsr.live.subreaper import kill

_MEMORY = {"MALLOC_ARENA_MAX": "2"}
"""Every connection has threads of its own, and glibc would keep what each has freed for another: 10 MB each time."""
_LAST_READS = 64  # of what an ended process left in a pipe: all that a pipe holds


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a process may be silent or stand still, in seconds."""

    first_s: float = 30.0
    """Until its first status: several start at once, and load much."""
    heartbeat_s: float = 6.0
    """From one status to the next."""
    stall_s: float = 10.0
    """Without a picture written where some are expected; thrice the timeout of the source, where that is more."""
    state_s: float = 120.0
    """In any other state: the longest pause between two attempts takes 90 s."""
    stop_s: float = 10.0
    """From SIGTERM to SIGKILL."""


class Child:
    """A running process. Whoever reaps it calls `ended`, which closes its pipes."""

    def __init__(self, order: Order, *, command: Sequence[str], cpus: frozenset[int], limits: Limits) -> None:
        """Raises OSError when there can be no process."""
        self._limits = limits
        self._stall_s = max(limits.stall_s, 3 * order.stream.timeout_s)
        self.status = Status()
        self._heard_at: float | None = None
        self._killed = False
        self._process = _started(command, cpus)
        assert self._process.stdin
        assert isinstance(self._process.stdout, BufferedReader)
        assert isinstance(self._process.stderr, BufferedReader)
        self.out, self.err = Lines(self._process.stdout), Lines(self._process.stderr)
        with suppress(BrokenPipeError):  # it has ended already, which will be seen
            self._process.stdin.write(order.line().encode() + b"\n")
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def begin(self, now: float) -> None:
        """It was started now, by the monotonic clock."""
        self._moved_at = self._began_at = now

    def hear(self, line: str, now: float) -> bool:
        """Take a line of its stdout; whether pictures were written since the last. Raises ValueError: no status."""
        status = parse(line)
        grew = status.written > self.status.written
        if grew or status.state is not self.status.state:
            self._moved_at = now
        self.status, self._heard_at = status, now
        return grew

    def stuck(self, now: float) -> str:
        """Why it should be killed, in words; "" when it should not."""
        if self._heard_at is None:
            return "it does not start" if now - self._began_at > self._limits.first_s else ""
        if now - self._heard_at > self._limits.heartbeat_s:
            return f"nothing heard of it for {now - self._heard_at:.0f} s"
        still_s = now - self._moved_at
        if self.status.state is State.RUNNING:
            return f"no picture came out for {still_s:.0f} s" if still_s > self._stall_s else ""
        return f"{self.status.state} for {still_s:.0f} s" if still_s > self._limits.state_s else ""

    def signal(self, number: int) -> None:
        """Send it a signal."""
        kill(self.pid, number)

    def kill(self) -> bool:
        """Whether this was the first SIGKILL: a process that the disk holds up takes its time."""
        first, self._killed = not self._killed, True
        if first:
            kill(self.pid)
        return first

    def ended(self, code: int) -> Iterable[str]:
        """The last lines of its stderr; its pipes are closed."""
        self._process.returncode = code  # or it would be waited for, in vain
        last = [line for _ in range(_LAST_READS) if not self.err.ended for line in self.err.read()]
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):  # stdin may hold what nobody reads any more
                assert pipe
                pipe.close()
        return last


def _started(command: Sequence[str], cpus: frozenset[int]) -> "subprocess.Popen[bytes]":
    """The process, in a session of its own, with `cpus` from its first moment on, as its threads inherit them."""
    before = os.sched_getaffinity(0)
    with suppress(OSError):  # none of them is there any more: it takes those that are
        os.sched_setaffinity(0, cpus)
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, env={**os.environ, **_MEMORY}
        )
    finally:
        os.sched_setaffinity(0, before)
