"""A process that works for a camera when nothing else needs the CPU: it can be paused, and gives up its memory."""

import os
import pickle
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from vidsr.child_process import children_of
from vidsr.live.camera_handle import LineReader
from vidsr.live.config import CameraConfig, module_command

_LOWEST = 19
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_LAST_READS = 64


class BackgroundProcess:
    """A module of vidsr that reads a pickled CameraConfig from stdin. The caller that reaps it calls `close`."""

    def __init__(self, module: str, config: CameraConfig, *, cpus: frozenset[int], idle: bool = True) -> None:
        """Start it on some CPUs, if `idle` with no claim on them against others. Raises OSError."""
        self.camera, self.is_paused = config.name, False
        self._process = subprocess.Popen(
            module_command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._process.pid
        assert self._process.stdin
        assert isinstance(self._process.stderr, BufferedReader)
        self._lines = LineReader(self._process.stderr)
        with suppress(OSError):  # none of these CPUs is online
            os.sched_setaffinity(self.pid, cpus)
        if idle:
            _yield_cpu(self.pid)
        with suppress(BrokenPipeError):  # it has ended already, and will be reaped
            self._process.stdin.write(pickle.dumps(config))
            self._process.stdin.close()

    def pause(self, paused: bool) -> None:
        """Stop it and its children where they are, or have them go on."""
        if paused is not self.is_paused:
            self.is_paused = paused
            self._signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def end(self) -> None:
        """Ask it to end; what it has done is kept."""
        for number in (signal.SIGTERM, signal.SIGCONT):
            self._signal(number)

    def kill(self) -> None:
        """End it and its children at once."""
        self._signal(signal.SIGKILL)

    def memory(self) -> int:
        """Bytes of memory that it and its children have now."""
        return sum(_resident(pid) for pid in _family(self.pid))

    def cpu_s(self) -> float:
        """Seconds of CPU time that it and its children have had."""
        return sum(_cpu_ticks(pid) for pid in _family(self.pid)) / _TICKS_PER_S

    def lines(self) -> Iterator[str]:
        """What it has printed to stderr since the last call, without waiting."""
        if not self._lines.ended:
            yield from self._lines.read()

    def close(self, code: int) -> list[str]:
        """Close the pipes of the ended process, and end what it has left; returns its last lines."""
        self._process.returncode = code  # already reaped: Popen must not wait for it
        self.kill()
        last = [line for _ in range(_LAST_READS) for line in self.lines()]
        assert self._process.stderr
        self._process.stderr.close()
        return last

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def _yield_cpu(pid: int) -> None:
    """Have a process run while nothing else wants to; what the kernel does not know is left out."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _LOWEST)
    with suppress(OSError):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):  # its session is a group of its own for the scheduler, in which its priority counts only
        Path(f"/proc/{pid}/autogroup").write_text(str(_LOWEST))


def _family(pid: int) -> Iterator[int]:
    """A process and its children, at any depth."""
    yield pid
    for child in children_of(pid):
        yield from _family(child)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))  # its own and its ended children's
