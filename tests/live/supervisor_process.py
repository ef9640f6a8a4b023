"""A supervisor of small scripts that speak its protocol and misbehave, without cameras."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]

CHILD = """
import json, os, pickle, signal, subprocess, sys, threading, time
order = pickle.load(sys.stdin.buffer)
name, folder = order.name, order.targets[0].text
mode, number, *_ = [*name.split("-"), ""]
starts = os.path.join(folder, "starts")
with open(starts, "a") as file:
    file.write(json.dumps({"pid": os.getpid(), "at": time.monotonic()}) + "\\n")
first = len(open(starts).readlines()) == 1
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1) if mode != "deaf" else None)
threading.Thread(target=lambda: (sys.stdin.read(), stopping.append(1)), daemon=True).start()
print("vidsr: I am " + name + " at " + order.source.text, file=sys.stderr, flush=True)
if mode == "family":
    sleeper = "import subprocess, time; subprocess.Popen(['sleep', '600'], start_new_session=True); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True)
status = {"state": "running", "written": 0, "frames_in": 0, "connects": 1}
if mode == "exits":
    sys.exit(int(number))
while mode == "waits" and not stopping:
    print(json.dumps({"state": "waiting", "reason": f"refused at {time.monotonic():.0f} s"}), flush=True)
    time.sleep(0.5)
while not stopping:
    stuck = first and mode in ("stalls", "hangs")
    if not (stuck and status["written"] >= 3):
        status["written"] += 1
        status["frames_in"] += 1
    if not (stuck and mode == "hangs" and status["written"] >= 3):
        try:
            print(json.dumps(status), flush=True)
        except BrokenPipeError:  # the supervisor was killed
            break
    if first and mode == "fails" and status["written"] >= 5:
        time.sleep(0.5)
        sys.exit(int(number))
    time.sleep(0.1)
open(os.path.join(folder, "ended"), "w").close()
"""

SUPERVISOR = """
import logging, sys, time
from pathlib import Path
from vidsr.stream_url import StreamUrl
from vidsr.private_tempdir import private_tempdir
from vidsr.live.camera_handle import Limits
from vidsr.live.config import CameraConfig
from vidsr.live.reload import with_preview_dirs
from vidsr.live.supervisor import Supervisor
from vidsr.redaction import RedactingStream, Redactor
from vidsr.settings import StreamSettings
child, out, *names = sys.argv[1:]
configs = []
for name in names:
    (Path(out) / name).mkdir(exist_ok=True)
    stream = StreamSettings(timeout_s=0.5, fail_fast=name.endswith("fast"))
    source, target = StreamUrl("rtsp://admin:hunter22@camera.lan/x"), StreamUrl(str(Path(out) / name))
    configs.append(CameraConfig(name=name, source=source, targets=(target,), preview_dir=Path(), stream=stream))
redactor = Redactor([config.source for config in configs])
sys.stderr = RedactingStream(sys.stderr, redactor)
logging.basicConfig(level="INFO", format="vidsr: %(message)s")
limits = Limits(first_s=5, heartbeat_s=1, stall_s=1, state_s=3, stop_s=1)
with private_tempdir() as folder:
    configs = with_preview_dirs(configs, folder)
    supervisor = Supervisor(configs, command=[sys.executable, child], redactor=redactor, limits=limits)
    code = supervisor.run(on_turn=lambda: None)
loaded = {name.partition(".")[0] for name in sys.modules} & {"av", "ray", "openvino", "numpy", "torch"}
print("loaded:", sorted(loaded))
sys.exit(code)
"""


class Supervised:
    """A running supervisor of processes whose names select their behaviour; closed by `supervised`."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self.folder = folder
        child, script = folder / "child.py", folder / "supervisor.py"
        child.write_text(CHILD)
        script.write_text(SUPERVISOR)
        self.err = (folder / "stderr").open("w+")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, script, child, folder, *names],
            stdout=subprocess.PIPE,
            stderr=self.err,
            text=True,
            env=environment,
        )

    def starts(self, name: str) -> list[dict[str, float]]:
        """What each process of a camera recorded at its start."""
        path = self.folder / name / "starts"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def stderr_text(self) -> str:
        """The whole stderr."""
        return Path(self.err.name).read_text()

    def exit_code(self) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(20)


@contextmanager
def supervised(folder: Path, *names: str) -> Iterator[Supervised]:
    """A supervisor, killed at the end if it still runs."""
    running = Supervised(folder, names)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()
        running.err.close()


def eventually(true: Callable[[], object], *, within_s: float = 10.0) -> None:
    """Wait until the function returns a true value. Raises AssertionError after `within_s`."""
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, "condition not met in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
