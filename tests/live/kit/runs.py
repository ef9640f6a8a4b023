"""`vidsr stream` as a process, driven by signals and observed through HTTP and its exit code."""

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from fork_server import ForkedPython

from kit.processes import MARK, leftovers, run_processes, running, temp_entries
from kit.servers import free_port

ROOT = Path(__file__).parents[3]
START_S = 30.0
"""Limit until frames are written, on a busy machine."""
BUSY_S = 3.0
"""What a busy machine may add to any duration."""
STOP_S = 15.0
"""Limit from a signal to the end: the documented 10 s, and what a busy machine adds."""
RecordFigure = Callable[[str, object], None]
"""Records a measured value, for the table of tools/faults."""
_SAMPLE = re.compile(r"(?P<name>[a-z_]+)(\{(?P<labels>.*)\})? (?P<value>\S+)")
_CAMERA = "vidsr.live.camera_process"


@dataclass
class Run:
    """A running `vidsr stream`."""

    process: subprocess.Popen[bytes]
    mark: str
    port: int
    log_path: Path
    before: set[Path] = field(repr=False)

    @property
    def log(self) -> str:
        """Its stderr."""
        return self.log_path.read_text(errors="replace")

    def get(self, path: str) -> tuple[int, str]:
        """The status and text of an HTTP response; (0, "") without one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def healthy(self) -> bool:
        return self.get("/healthz")[0] == 200

    def number(self, name: str, label: str = "") -> float:
        """A metric, summed over all series whose labels contain `label`; 0 without any."""
        samples = filter(None, map(_SAMPLE.fullmatch, self.get("/metrics")[1].splitlines()))
        return sum(float(s["value"]) for s in samples if s["name"] == name and label in (s["labels"] or ""))

    def written(self, camera: str = "") -> float:
        return self.number("vidsr_frames_written_total", camera)

    def wait_until(self, condition: Callable[[], bool], *, within_s: float, what: str) -> float:
        """Seconds until the condition holds. Raises AssertionError if it does not in time, or if the run ends."""
        began = time.monotonic()
        while not condition():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}\n{self.log[-3000:]}"
            passed = time.monotonic() - began
            assert passed < within_s, f"not within {within_s:g} s: {what}\n{self.get('/healthz')[1]}{self.log[-3000:]}"
            time.sleep(0.05)
        return time.monotonic() - began

    def wait_for_frames(self, *, within_s: float = START_S, more: int = 3, camera: str = "") -> float:
        """Seconds until `more` new frames are written."""
        before = self.written(camera)
        return self.wait_until(
            lambda: self.written(camera) >= before + more, within_s=within_s, what="frames come out"
        )

    def wait_for_text(self, *words: str, within_s: float = START_S) -> float:
        """Seconds until /healthz or the log contains one of these words."""
        wanted = [word.lower() for word in words]

        def said() -> bool:
            text = (self.get("/healthz")[1] + self.log).lower()
            return any(word in text for word in wanted)

        return self.wait_until(said, within_s=within_s, what=f"it says {words}")

    def last_pause_s(self) -> float:
        """The last pause before a reconnect, as logged; 0 without any."""
        return float([0, *re.findall(r"the next attempt is in (\d+) s", self.log)][-1])

    def rate(self, seconds: float, camera: str = "") -> float:
        """Frames written per second, measured for `seconds`."""
        began, first = self._next_count(camera)
        time.sleep(seconds)
        ended, last = self._next_count(camera)
        return (last - first) / (ended - began)

    def _next_count(self, camera: str) -> tuple[float, float]:
        """The time of the next change of the frame count, and the count; after 3 s as it is."""
        before, wait_until = self.written(camera), time.monotonic() + 3
        while (written := self.written(camera)) == before and time.monotonic() < wait_until:
            time.sleep(0.01)
        return time.monotonic(), written

    def camera_process(self) -> psutil.Process:
        """The process of the only camera."""
        (process,) = running(self.mark, _CAMERA)
        return process

    def has_camera_process(self) -> bool:
        return bool(running(self.mark, _CAMERA))

    def end(self, number: int = signal.SIGTERM, *, within_s: float = STOP_S) -> int:
        """The exit code after this signal. Raises AssertionError if it takes longer, or leaves anything behind."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(within_s)
        left = leftovers(self.mark, self.before)
        assert not left, f"left behind: {left}\n{self.log[-2000:]}"
        return code


@contextmanager
def stream(*places: str | Path, options: Sequence[str] = (), folder: Path, hard_s: float = 120.0) -> Iterator[Run]:
    """A run of `vidsr stream` with its log in `folder`.

    All of its processes are killed at the end of the block, or after `hard_s`.
    """
    port, mark = free_port(), uuid.uuid4().hex
    command = [sys.executable, "-m", "vidsr", "stream", *map(str, places), "--http", f"127.0.0.1:{port}", *options]
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(ROOT)}
    before, log_path = temp_entries(), folder / f"{mark[:6]}.log"
    with log_path.open("wb") as log:
        process = ForkedPython(command, stdout=log, stderr=log, env=environment, cwd=folder)  # becomes the supervisor
    killer = threading.Timer(hard_s, kill_run, [mark])
    killer.start()
    try:
        yield Run(process, mark, port, log_path, before)
    finally:
        killer.cancel()
        killer.join()
        process.kill()  # what has not become the supervisor yet bears no mark
        kill_run(mark)
        process.wait(5)


@contextmanager
def running_stream(url: str, place: Path, options: Sequence[str], *, hard_s: float = 120.0) -> Iterator[Run]:
    """A run that writes frames into the folder `place`."""
    with stream(url, place, options=options, folder=place.parent, hard_s=hard_s) as run:
        run.wait_for_frames()
        yield run


def kill_run(mark: str) -> None:
    """Send SIGKILL to all processes of a run, until none is left."""
    while found := list(run_processes(mark)):
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.05)
