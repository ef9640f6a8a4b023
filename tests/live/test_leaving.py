"""A process of a removed camera that no signal ends, as where a disk hangs, holds up nothing but its own targets."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live.supervisor_process import CHILD, ROOT

SCRIPT = """
import sys, time
from dataclasses import replace
from pathlib import Path
from vidsr.live.camera_handle import Limits
from vidsr.live.config import CameraConfig
from vidsr.live.supervisor import Supervisor
from vidsr.redaction import Redactor
from vidsr.settings import RecordSettings
from vidsr.stream_url import StreamUrl

folder = Path(sys.argv[2])

def camera(name, target):
    (folder / target).mkdir(exist_ok=True)
    return CameraConfig(name=name, source=StreamUrl("rtsp://h/x"), targets=(StreamUrl(str(folder / target)),))

supervisor = Supervisor(
    [camera("deaf", "deaf"), camera("good", "good")],
    command=[sys.executable, sys.argv[1]], redactor=Redactor(), limits=Limits(stop_s=0.5),
)
changed = []

def on_turn():
    deaf, *_ = supervisor._watchdogs
    if not changed and deaf.process and deaf.process.status.written:
        deaf.process._killed = True  # SIGKILL waits for the disk
        changed.append(time.monotonic())
        supervisor._update([camera("good", "good"), camera("good-2", "good-2"), camera("good-3", "deaf")])

supervisor.run(on_turn=on_turn)
"""


@pytest.mark.slow
def test_other_cameras_start_beside_a_process_that_does_not_end(tmp_path: Path) -> None:
    child, script = tmp_path / "child.py", tmp_path / "script.py"
    child.write_text(CHILD)
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script, child, tmp_path], env=environment) as process:
        try:
            until = time.monotonic() + 20
            while not (tmp_path / "good-2" / "starts").exists():
                assert time.monotonic() < until
                time.sleep(0.05)
            time.sleep(1)
            starts = (tmp_path / "deaf" / "starts").read_text().splitlines()
            assert len(starts) == 1  # not good-3, into the same folder
        finally:
            process.terminate()
