"""The client of the process that reads recorded files: what FFmpeg does there must not end or block the server."""

import json
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

Facts = dict[str, object]

_MAX_ANSWER = 8 << 20
_READ = 1 << 16


class RecordingsError(Exception):
    """There is no answer: the process crashed, took too long, or others wait for it."""


class RecordingsClient:
    """Starts the process with the first request, and again after it has ended. Thread-safe, one request at a time.

    The process is killed after `timeout_s` seconds without an answer. Of its `max_waiting` requests at most, one runs.
    """

    def __init__(self, command: Sequence[str], *, timeout_s: float, max_waiting: int) -> None:
        self._command, self._timeout_s = command, timeout_s
        self._slots, self._lock = threading.Semaphore(max_waiting), threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process, which the parent of all children may reap; None without one."""
        process = self._process
        return process.pid if process else None

    def call(self, request: Mapping[str, str]) -> Facts:
        """The answer of the process. Raises RecordingsError."""
        if not self._slots.acquire(blocking=False):
            raise RecordingsError("too many requests")
        try:
            with self._lock:
                for _ in range(2):  # it may have ended after a minute without requests
                    if answer := self._attempt(request):
                        return answer[0]
        finally:
            self._slots.release()
        raise RecordingsError("the recording cannot be read")

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _attempt(self, request: Mapping[str, str]) -> tuple[Facts] | None:
        """The answer; None if the process ends without one. Raises RecordingsError if it takes too long."""
        process = self._process = self._process or subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdin
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = self._read_line(process)
        except OSError:
            line = b""
        except BaseException:
            self._end()
            raise
        if not line.endswith(b"\n"):
            self._end()
            return None
        facts: Facts = json.loads(line)
        return (facts,)

    def _read_line(self, process: "subprocess.Popen[bytes]") -> bytes:
        assert process.stdout
        line, until = b"", time.monotonic() + self._timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n") and len(line) < _MAX_ANSWER:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise RecordingsError(f"the recording was not read in {self._timeout_s:g} s")
                if not (data := os.read(process.stdout.fileno(), _READ)):
                    break
                line += data
        return line

    def _end(self) -> None:
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()  # or it has been reaped already
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # it may hold unsent data
                    assert pipe
                    pipe.close()
