"""A handle on the process of a camera: configured through stdin, read through stdout and stderr."""

import json
import os
import pickle
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from typing import BinaryIO

from vidsr.live.config import CameraConfig, pipe_of
from vidsr.live.status import State, Status, parse_status

_MEMORY = {"MALLOC_ARENA_MAX": "2"}
"""Each connection has threads of its own, and with more arenas glibc keeps 10 MB for the freed memory of each."""
_MAX_READ = _MAX_LINE = 1 << 16
_MAX_LAST_READS = 64  # reads of 64 KiB after the end of a process: more than a pipe holds


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The seconds after which a process without progress counts as hung."""

    first_s: float = 30.0
    """Until the first status; several processes may start at once."""
    heartbeat_s: float = 6.0
    """Between two statuses."""
    stall_s: float = 10.0
    """Without an upscaled frame while connected; at least three times the timeout of the source."""
    state_s: float = 120.0
    """In any other state; the longest pause between two attempts takes 90 s."""
    stop_s: float = 10.0
    """From SIGTERM to SIGKILL."""

    def stall_of(self, config: CameraConfig) -> float:
        """`stall_s`, or more for a camera whose own timeout is long."""
        return max(self.stall_s, 3 * config.stream.timeout_s)


class CameraHandle:
    """A running process. The caller that reaps it calls `close`."""

    def __init__(
        self, config: CameraConfig, now: float, *, command: Sequence[str], cpus: frozenset[int], limits: Limits
    ) -> None:
        """Start it. Raises OSError if no process can be started."""
        self._limits, self._progress_at, self._started_at = limits, now, now
        self._stall_s = limits.stall_of(config)
        self.status = Status()
        self._status_at: float | None = None
        self._killed = False
        self._process = _start(command, cpus, pipe=pipe_of(config))
        self.pid = self._process.pid
        assert self._process.stdin
        assert isinstance(self._process.stdout, BufferedReader)
        assert isinstance(self._process.stderr, BufferedReader)
        self.out, self.err = LineReader(self._process.stdout), LineReader(self._process.stderr)
        with suppress(BrokenPipeError):  # it has ended already, and will be reaped
            self._process.stdin.write(pickle.dumps(config))
            self._process.stdin.flush()

    def send(self, **change: object) -> None:
        """Tell it what has changed, as a line of JSON: "neighbours" or "learned"."""
        assert self._process.stdin
        with suppress(OSError):  # it has ended
            self._process.stdin.write(json.dumps(change).encode() + b"\n")
            self._process.stdin.flush()

    def on_line(self, line: str, now: float) -> bool:
        """Process a line of its stdout; returns whether it reports new frames. Raises ValueError for no status."""
        status = parse_status(line)
        has_new_frames = status.written > self.status.written
        # A frame that no target took is progress, too: a full disk is not cured by another process.
        has_progress = has_new_frames or sum(status.upscaled.values()) > sum(self.status.upscaled.values())
        # An attempt to connect that is refused at once is seen by its reason only.
        if has_progress or (status.state, status.reason) != (self.status.state, self.status.reason):
            self._progress_at = now
        self.status, self._status_at = status, now
        return has_new_frames

    def hang_reason(self, now: float) -> str:
        """Why it must be killed; "" when it runs as it should."""
        if self._status_at is None:
            return "it does not start" if now - self._started_at > self._limits.first_s else ""
        if now - self._status_at > self._limits.heartbeat_s:
            return f"no status for {now - self._status_at:.0f} s"
        stalled_s = now - self._progress_at
        if self.status.state is State.RUNNING:
            return f"no frame was upscaled for {stalled_s:.0f} s" if stalled_s > self._stall_s else ""
        return f"{self.status.state} for {stalled_s:.0f} s" if stalled_s > self._limits.state_s else ""

    def kill(self) -> bool:
        """Send SIGKILL once; returns whether this was the first call. A process in disk I/O takes a while to end."""
        first, self._killed = not self._killed, True
        if first:
            kill(self.pid)
        return first

    def close(self, code: int) -> Iterable[str]:
        """Close the pipes of the ended process; returns the last lines of its stderr."""
        self._process.returncode = code  # already reaped: Popen must not wait for it
        last_lines = [line for _ in range(_MAX_LAST_READS) if not self.err.ended for line in self.err.read()]
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):  # stdin may hold unread data
                assert pipe
                pipe.close()
        return last_lines


def _start(command: Sequence[str], cpus: frozenset[int], *, pipe: int | None) -> "subprocess.Popen[bytes]":
    """The process, in a session of its own; its threads inherit its CPUs, and it the open file `pipe`."""
    before = os.sched_getaffinity(0)
    with suppress(OSError):  # none of these CPUs is online: keep the present ones
        os.sched_setaffinity(0, cpus)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **_MEMORY},
            pass_fds=() if pipe is None else (pipe,),
        )
    finally:
        os.sched_setaffinity(0, before)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a child, which may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


class LineReader:
    """The lines that come through a pipe, read without waiting. Of a line above 64 KiB the first 64 KiB are kept."""

    def __init__(self, pipe: BinaryIO) -> None:
        os.set_blocking(pipe.fileno(), False)
        self.pipe = pipe
        self.ended = False
        self._partial_line = b""

    def read(self) -> Iterator[str]:
        """The lines that were completed since the last call, by one read; at the end of the pipe also the last one."""
        with suppress(BlockingIOError):
            data = os.read(self.pipe.fileno(), _MAX_READ)
            self.ended = not data
            *lines, partial_line = (self._partial_line + data).split(b"\n")
            self._partial_line = partial_line[:_MAX_LINE]
            if self.ended and partial_line:
                lines.append(partial_line)
            yield from (line.decode(errors="replace") for line in lines)
