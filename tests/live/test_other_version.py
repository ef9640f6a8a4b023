"""Another version of vidsr is installed under a running `vidsr stream`: its cameras wait for a restart, and for it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from kit.runs import ROOT
from kit.servers import free_port

CONFIG = '[cameras.gate]\nsource = "rtsp://127.0.0.1:{}/off"\ntargets = ["gate"]\nmodel = "fsrcnn-s-x2"\nworkers = 0\n'
WORDS = "another version of vidsr is installed since; restart `vidsr stream`"


class Installed:
    """A copy of vidsr, and its `vidsr stream` of a camera that is not there."""

    def __init__(self, folder: Path) -> None:
        self.package, self._log = folder / "site" / "vidsr", folder / "log"
        shutil.copytree(ROOT / "vidsr", self.package, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "cameras.toml").write_text(CONFIG.format(free_port()))
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "vidsr", "stream", "--config", "cameras.toml"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(self.package.parent)},
                stdout=log,
                stderr=log,
            )

    def camera(self) -> psutil.Process:
        """The process of the camera."""
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def until(self, words: str, count: int = 1) -> None:
        """Wait until it has said this so often."""
        end = time.monotonic() + 40
        while self._log.read_text().count(words) < count:
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.05)

    def said(self, words: str) -> int:
        """How often it has said this."""
        return self._log.read_text().count(words)


@contextmanager
def installed(folder: Path) -> Iterator[Installed]:
    running = Installed(folder)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(20)


def test_a_camera_that_never_ran_waits_for_a_restart_and_for_its_version(tmp_path: Path) -> None:
    with installed(tmp_path) as run:
        run.until("the next attempt is in")
        weights, code = run.package / "model/zoo/fsrcnn-s-x2.npz", run.package / "__init__.py"
        before = weights.read_bytes(), code.read_text()
        code.write_text(f"{before[1]}\n# another version\n")
        weights.unlink()
        run.camera().kill()
        run.until("no model named", 2)  # it ends by itself, and begins again
        assert run.said(f"gate: its process ended with exit code 5; {WORDS}; the next starts in ") >= 1
        run.process.send_signal(signal.SIGHUP)
        run.until(f"{WORDS}; nothing is changed")
        connected = run.said("the next attempt is in")
        weights.write_bytes(before[0])
        code.write_text(before[1])
        run.until("the next attempt is in", connected + 1)


def test_a_model_that_is_gone_ends_the_camera_for_good(tmp_path: Path) -> None:
    with installed(tmp_path) as run:
        run.until("the next attempt is in")
        (run.package / "model/zoo/fsrcnn-s-x2.npz").unlink()
        run.camera().kill()
        assert run.process.wait(20) == 5
