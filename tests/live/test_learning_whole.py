"""A camera that learns its scene by itself: it collects, learns, proves, takes over, and goes back when turned."""

from pathlib import Path

import av
import pytest
from kit.cameras import Camera
from kit.runs import stream
from kit.scene_cameras import planes, source_and_main
from training.recordings import smaller

from vidsr.learn_dir import LearnDir

pytest.importorskip("torch")

DAY_S = 60
CONFIG = """
[cameras.gate]
source = "{source}"
targets = ["{target}"]
model = "fsrcnn-fast-x2"
workers = 0
preset = "ultrafast"
segment = 5
min-free-gb = 0
timeout = 10
max-delay = 5

[cameras.gate.learn]
main = "{main}"
hours = "always"
every = 10
moment = 5
day = {day}
steps = 100
min-gain-db = 0.01
"""


def comments(target: Path) -> list[str]:
    """By what each segment was upscaled, oldest first."""
    found = []
    for path in sorted(target.glob("*/*.mp4")):
        with av.open(str(path)) as segment:
            found.append(segment.metadata["comment"])
    return found


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_camera_learns_its_scene_and_goes_back_when_it_is_turned(tmp_path: Path) -> None:
    target = tmp_path / "gate"
    learn_dir, config = LearnDir(target / "learn"), tmp_path / "cameras.toml"
    with source_and_main(tmp_path, fps=10) as (source, main):
        values = {"source": source.url, "main": main.url, "target": target, "day": DAY_S}
        config.write_text(CONFIG.format(**values))
        with stream("--config", str(config), folder=tmp_path, hard_s=1100) as run:
            run.wait_until(lambda: len(learn_dir.moments()) > 1, within_s=200, what="moments are collected")
            run.wait_until(lambda: learn_dir.current() is not None, within_s=700, what="a network is learned")
            network = learn_dir.current()
            assert network
            assert network.proof.accepted
            run.wait_until(lambda: run.number("vidsr_learned") == 1, within_s=30, what="it is used")
            missed = run.number("vidsr_frames_missed_total") + run.number("vidsr_frames_dropped_total")
            run.wait_for_frames(more=80, within_s=60)
            assert run.number("vidsr_frames_missed_total") + run.number("vidsr_frames_dropped_total") == missed
            assert f"{network.proof.moving_gain:+.2f} dB where the picture moves" in run.get("/learning/gate/")[1]
            assert run.get(f"/learning/gate/{network.name}/report.html")[0] == 200
            run.wait_until(lambda: bool(learn_dir.gains()), within_s=200, what="the gain is measured live")
            turn(source, tmp_path)
            run.wait_for_frames(within_s=60)
            run.wait_until(lambda: run.number("vidsr_learned") == 0, within_s=60, what="it goes back")
            assert run.end() == 0
    assert "Traceback" not in run.log
    by = [words.partition(";")[0] for words in comments(target)]
    general = "upscaled by fsrcnn-fast-x2"
    assert (by[0], by[-1]) == (general, general)
    assert any(words.startswith("upscaled by learned-") for words in by)


def turn(source: Camera, folder: Path) -> None:
    """Have the source show another scene, as a camera that was turned does."""
    path = folder / "source-0.luma"
    frames = smaller(planes(7), 2.0)
    source.kill()
    path.write_bytes(b"".join(frame.tobytes() for frame in frames))
    source.start()
