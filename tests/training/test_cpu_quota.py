"""Where a quota allows less than all CPUs, as `docker --cpus` does, engines and trainings have no more threads."""

import os
import subprocess
import sys
from pathlib import Path

import av
import pytest
from made import scene

QUOTA = 'mount --bind "$0" /sys/fs/cgroup && exec "$@"'
THREADS = """
import sys
import numpy as np
import torch
from vidsr import Engine
from vidsr.settings import NetworkSettings, TrainSettings
from vidsr.training.data.sources import Source
from vidsr.training.run import TrainRun, train_model
from pathlib import Path

engine = Engine("fsrcnn-fast-x2", precision="f32")
engine(np.zeros((16, 16), np.uint8))
(request,) = engine._network._requests.values()
train_model(TrainRun(
    sources=(Source(path=Path(sys.argv[1])),),
    output=Path(sys.argv[2]),
    network=NetworkSettings(d=8, s=4, m=1),
    settings=TrainSettings(steps=1, finish_steps=0, patch=8, batch=2, held_out_share=0),
))
print(request.get_compiled_model().get_property("INFERENCE_NUM_THREADS"), torch.get_num_threads())
"""


def test_an_engine_and_a_training_have_as_many_threads_as_a_quota_allows(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("a quota of one CPU limits nothing here")
    group = tmp_path / "cgroup"
    group.mkdir()
    (group / "cpu.max").write_text("100000 100000")
    limited = ["unshare", "--mount", "sh", "-c", QUOTA, str(group)]
    if subprocess.run([*limited, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to mount")
    av.VideoFrame.from_ndarray(scene(0, (96, 80)), format="rgb24").save(tmp_path / "0.png")
    command = [*limited, sys.executable, "-c", THREADS, str(tmp_path / "0.png"), str(tmp_path / "run")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["1", "1"], run.stderr
