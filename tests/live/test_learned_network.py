"""The learned network of a camera: read whole or not at all, and used while its scene is shown."""

from pathlib import Path

import numpy as np
import pytest
from made import tiny_weights

from vidsr.arrays import Luma
from vidsr.errors import ModelError
from vidsr.learn_dir import LearnDir, Proof, time_name
from vidsr.live.learned_network import SceneNetwork, SceneWatch, load_scene_network
from vidsr.live.quality_ladder import ModelLadder, QualityLadder
from vidsr.media.compression_probe import Compression
from vidsr.model.weights import save_weights
from vidsr.quality.scene_similarity import thumbnail_of
from vidsr.settings import StreamSettings

PROOF = Proof(
    accepted=True, reason="good", moving_gain=0.42, whole_gain=1.0, general_loss=0.01, share=1.0, moments=4, gains={}
)
H264 = Compression(codec="h264", lossless=False, quantiser=28.0, bits_per_pixel=0.5)


def view(seed: int) -> Luma:
    """A view of (90, 160): blocks of random grey levels."""
    blocks = np.random.default_rng(seed).integers(30, 220, (9, 16))
    return np.kron(blocks, np.ones((10, 10))).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    learn_dir = LearnDir(tmp_path)
    learn_dir.write_proof(name := time_name(1.764e9), PROOF)
    folder = learn_dir.network_folder(name)
    save_weights(folder / "model.npz", tiny_weights())
    np.savez(folder / "scene.npz", thumbnails=np.stack([thumbnail_of(view(1))]))
    return folder


def test_its_name_has_its_day_and_its_gain(folder: Path) -> None:
    learned = load_scene_network(folder)
    assert learned.name == "learned-2025-11-24T16-00 +0.42 dB"
    assert learned.thumbnails.shape == (1, 48, 64)


def test_one_for_another_scale_is_refused_by_one_sentence(folder: Path) -> None:
    assert load_scene_network(folder, 2).weights.architecture.scale == 2
    with pytest.raises(ModelError, match=r"model\.npz: is for x2, and the camera for x3"):
        load_scene_network(folder, 3)


@pytest.mark.parametrize("name", ["model.npz", "scene.npz", "proof.json"])
@pytest.mark.parametrize("damage", ["missing", "cut off", "other"])
def test_a_damaged_one_is_refused_by_one_sentence(folder: Path, name: str, damage: str) -> None:
    whole = (folder / name).read_bytes()
    if damage == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(whole[: len(whole) // 2] if damage == "cut off" else b"[]")
    with pytest.raises(ModelError, match=name):
        load_scene_network(folder)


def test_it_goes_before_the_networks_of_the_zoo_and_replaces_one_of_its_cost(folder: Path) -> None:
    models = ModelLadder(StreamSettings())
    narrow = models.networks(H264)
    learned = load_scene_network(folder)
    similar = SceneNetwork(name="learned", weights=models.default, thumbnails=learned.thumbnails)
    assert [*models.networks(H264, similar)] == ["learned", *[*narrow][1:]]
    assert [*models.networks(H264)] == [*narrow]


def see(watch: SceneWatch, luma: Luma, *, since_s: float, seconds: float, depth: int = 8) -> None:
    for number in range(round(seconds)):
        watch.on_frame(luma, depth, since_s + number)


def test_another_scene_goes_back_to_the_general_network_within_a_minute_and_the_scene_brings_it_back(
    folder: Path,
) -> None:
    watch = SceneWatch()
    watch.take(load_scene_network(folder))
    see(watch, view(1), since_s=100.0, seconds=60)
    assert watch.usable is watch.learned is not None
    see(watch, view(2), since_s=160.0, seconds=8)  # something stands before the lens
    see(watch, view(1), since_s=168.0, seconds=20)
    assert watch.shows_scene
    see(watch, view(2), since_s=188.0, seconds=20)
    assert watch.usable is None
    see(watch, view(1), since_s=208.0, seconds=20)
    assert watch.usable is watch.learned


def test_a_camera_that_is_brighter_or_of_ten_bits_shows_its_scene(folder: Path) -> None:
    watch = SceneWatch()
    watch.take(load_scene_network(folder))
    brighter = np.clip(view(1).astype(np.uint16) + 25, 0, 255)
    see(watch, (brighter << 2).astype(np.uint16), since_s=0.0, seconds=60, depth=10)  # type: ignore[arg-type]
    assert watch.shows_scene


def test_the_ladder_goes_on_with_another_network_in_the_place_of_one() -> None:
    said: list[str] = []
    ladder = QualityLadder(["general", "fast", "swscale"], 1.0, on_warning=said.append)
    for number in range(100):
        now_s = number / 25
        ladder.record(now_s=now_s, rung="general", time_s=now_s, delay_s=0.03, cost_s=0.02)
    ladder.replace_rungs(["learned", "fast", "swscale"])
    assert (ladder.rung, ladder.best_rung) == ("learned", "learned")
    ladder.record(now_s=4.0, rung="general", time_s=4.0, delay_s=0.03, cost_s=0.02)  # it was in work
    for number in range(101, 300):
        now_s = number / 25
        ladder.record(now_s=now_s, rung="learned", time_s=now_s, delay_s=0.03, cost_s=0.02)
    assert (ladder.rung, said) == ("learned", [])
    ladder.replace_rungs(["general", "swscale"])
    assert ladder.rung == "general"


@pytest.mark.parametrize("name", ["model.npz", "scene.npz"])
def test_no_damage_of_a_file_is_more_than_one_sentence(folder: Path, name: str) -> None:
    scene = np.random.default_rng(0).integers(0, 256, (3, 48, 64), np.uint8)
    np.savez_compressed(folder / "scene.npz", thumbnails=scene)
    whole, random = (folder / name).read_bytes(), np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 4) % random.choice([200, len(whole)]):
            damaged[place] = random.integers(256)
        (folder / name).write_bytes(damaged)
        try:
            load_scene_network(folder)
        except ModelError:
            refused += 1
    assert refused > 100
