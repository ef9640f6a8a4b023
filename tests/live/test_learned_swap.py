"""The networks of a running camera change: whole or damaged, and while its process is killed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import sleep, time

import numpy as np
import pytest
from kit.recordings import decode_all
from kit.runs import Run, stream
from kit.scene_cameras import planes
from kit.scene_cameras import stream as scene_stream
from training.recordings import smaller

from vidsr.learn_dir import LearnDir, Proof, time_name
from vidsr.model.weights import save_weights
from vidsr.model.zoo import load_model
from vidsr.quality.scene_similarity import thumbnail_of

CONFIG = """
[cameras.gate]
source = "{source}"
targets = ["{target}"]
model = "fsrcnn-fast-x2"
workers = 0
preset = "ultrafast"
segment = 5
original = true
min-free-gb = 0
timeout = 10
max-delay = 5

[cameras.gate.learn]
hours = "{hours}"
every = 86400
"""
GENERAL = "fsrcnn-fast-x2"


@dataclass
class Gate:
    """A running camera that may use two networks, which it learned before."""

    run: Run
    learn_dir: LearnDir
    names: list[str]

    def choose(self, name: str | None) -> None:
        self.learn_dir.set_current(name, "chosen", now_s=time())

    def uses(self, name: str | None) -> bool:
        """Whether frames are upscaled by the network, or by the general one."""
        label = f'rung="learned-{name[:16]} ' if name else f'rung="{GENERAL}"'
        before = self.run.number("vidsr_frames_upscaled_total", label)
        sleep(0.3)
        return self.run.number("vidsr_frames_upscaled_total", label) > before

    @property
    def lost(self) -> float:
        return self.run.number("vidsr_frames_missed_total") + self.run.number("vidsr_frames_dropped_total")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    frames, target, hour = smaller(planes(), 2.0), tmp_path / "gate", (int(time() / 3600) + 6) % 24
    learn_dir, names = LearnDir(target / "learn"), [time_name(1.764e9), time_name(1.7641e9)]
    for name in names:
        learn_dir.write_proof(
            name,
            Proof(accepted=True, reason="", moving_gain=0.4, whole_gain=1, general_loss=0, share=1, moments=3),
        )
        folder = learn_dir.network_folder(name)
        save_weights(folder / "model.npz", load_model(GENERAL))
        np.savez(folder / "scene.npz", thumbnails=thumbnail_of(frames[0])[None], shape=np.array(frames[0].shape))
    with scene_stream(tmp_path, "source", frames, fps=10) as source:
        config = tmp_path / "cameras.toml"
        config.write_text(CONFIG.format(source=source.url, target=target, hours=f"{hour}-{(hour + 1) % 24}"))
        with stream("--config", str(config), folder=tmp_path, hard_s=400) as run:
            run.wait_for_frames(within_s=60)
            yield Gate(run, learn_dir, names)
            assert run.end(within_s=30) == 0
    assert "Traceback" not in run.log


@pytest.mark.timeout(400)
def test_no_frame_is_lost_at_swaps_and_one_that_cannot_be_loaded_is_given_up(gate: Gate, tmp_path: Path) -> None:
    first, second = gate.names
    gate.run.wait_until(lambda: gate.uses(None), within_s=60, what="the general network upscales")
    lost = gate.lost
    for name in (first, second, None, second):
        gate.choose(name)
        gate.run.wait_until(lambda name=name: gate.uses(name), within_s=60, what=f"{name} upscales")  # type: ignore[misc]
    weights = gate.learn_dir.network_folder(first) / "model.npz"
    weights.write_bytes(weights.read_bytes()[:1000])
    gate.choose(first)
    gate.run.wait_until(lambda: gate.uses(None), within_s=60, what="the general network upscales")
    gate.run.wait_until(lambda: gate.learn_dir.current() is None, within_s=10, what="the damaged one is given up")
    assert gate.learn_dir.events()[-1]["event"].startswith(f"the general network is used: {weights}: ")
    assert "In use: the general network." in gate.run.get("/learning/gate/")[1]
    assert gate.run.number("vidsr_learned") == 0
    assert gate.lost == lost


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.timeout(600)
def test_a_process_that_is_killed_while_it_swaps_goes_on_with_the_chosen_network(gate: Gate, tmp_path: Path) -> None:
    random, choices = Random(0), [*gate.names, None]
    for number in range(6):
        name = choices[number % 3]
        gate.choose(name)
        sleep(random.uniform(0, 1.5))  # the supervisor sees it within half a second, and the process at its next frame
        gate.run.camera_process().kill()
        gate.run.wait_until(lambda name=name: gate.uses(name), within_s=60, what=f"{name} upscales")  # type: ignore[misc]
        current = gate.learn_dir.current()
        assert (current.name if current else None) == name
    assert gate.run.number("vidsr_process_restarts_total") == 6
    assert decode_all(tmp_path / "gate")
