"""A supervisor that is killed while a camera learns leaves nothing running, and what was done is there to resume."""

import time
from pathlib import Path

import psutil
import pytest
from kit.drawn_moments import write_drawn_moments
from kit.processes import hurry, run_processes, running
from kit.runs import stream
from kit.servers import free_port

from vidsr.learn_dir import LearnDir
from vidsr.learning.work_dir import WorkDir

pytest.importorskip("torch")

CONFIG = """
[cameras.gate]
source = "rtsp://127.0.0.1:{port}/off"
targets = ["{target}"]
model = "fsrcnn-s-x2"
workers = 0
original = true
min-free-gb = 0

[cameras.gate.learn]
hours = "always"
cores = 2
every = 86400
steps = 2000
"""


def learners(mark: str, words: str) -> list[psutil.Process]:
    """The processes with these words in their command line, after a push to all that learn."""
    for process in running(mark, "vidsr.learning"):
        hurry(process.pid)
    return running(mark, words)


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.timeout(600)
def test_nothing_runs_on_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    learn_dir, config = LearnDir(tmp_path / "gate" / "learn"), tmp_path / "cameras.toml"
    write_drawn_moments(learn_dir)
    config.write_text(CONFIG.format(port=free_port(), target=tmp_path / "gate"))
    with stream("--config", str(config), folder=tmp_path, hard_s=500) as run:
        run.wait_until(
            lambda: len(learners(run.mark, "spawn_main")) == 2, within_s=400, what="two workers make the dataset"
        )
        assert running(run.mark, "vidsr.learning.learn_process")
        run.process.kill()
        until = time.monotonic() + 30
        while left := [process.pid for process in run_processes(run.mark)]:
            assert time.monotonic() < until, left
            time.sleep(0.1)
    assert WorkDir(learn_dir).plan()
