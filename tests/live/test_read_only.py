"""A root that is read-only, as in many containers: only TMPDIR and the target can be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from footage import make_video, scene_frames
from kit.networks import need_root

ROOT = Path(__file__).parents[2]
SCRIPT = """
mount -o remount,ro,bind / && mount -t tmpfs tmpfs /mnt && cp {clip} /mnt/clip.mp4 || exit 77
touch /root/written 2>/dev/null && exit 77
export HOME=/none TMPDIR=/mnt
options="--realtime --model {model} --workers {workers}"
timeout -s TERM {seconds} {python} -m vidsr stream /mnt/clip.mp4 /mnt/rec $options
cat /mnt/rec/*/*.mp4 | wc -c
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_read_only_root_is_enough(workers: int, tiny_model: str, tmp_path: Path) -> None:
    need_root("unshare", "mount")
    clip = make_video(tmp_path / "clip.mp4", scene_frames(100, size=(64, 48)))
    script = SCRIPT.format(
        clip=clip, python=sys.executable, model=tiny_model, workers=workers, seconds=12 + 24 * workers
    )
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if done.returncode == 77:
        pytest.skip("the root cannot be made read-only here")
    assert int(done.stdout) > 1000, done.stderr
    assert "Traceback" not in done.stderr
