"""A camera learns a network of its own from its moments; it is used only if it is proved, and nothing else stays."""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from moments import TWO_DAYS, camera, events, forgetful_network, write_moment, write_moments
from recordings import RATE, SIZE, record, scene

from vidsr.learn_dir import LearnDir, Moment
from vidsr.learning.camera_learning import CameraLearning
from vidsr.learning.moment_split import NothingToLearn
from vidsr.live.config import CameraConfig
from vidsr.model.weights import load_weights

ROADCAM = Path(__file__).resolve().parents[3] / "shared" / "data" / "video" / "surveillance" / "roadcam"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return forgetful_network(tmp_path_factory.mktemp("start") / "start.npz")


def learn(config: CameraConfig, **how: object) -> list[str]:
    assert config.learn
    assert config.learn_dir
    warnings: list[str] = []
    asked = {"on_warning": warnings.append, "should_stop": lambda: False, **how}
    CameraLearning(
        learn_dir=LearnDir(config.learn_dir), learn=config.learn, stream=config.stream, now=time.time, **asked
    ).run()
    return warnings


@pytest.mark.parametrize("mask", ["0,0,257,8", "0,185,8,8"])
def test_a_mask_that_was_drawn_on_a_larger_picture_leaves_nothing_to_learn_from(
    start: Path, tmp_path: Path, mask: str
) -> None:
    write_moments(LearnDir(tmp_path), scene(150))
    with pytest.raises(NothingToLearn, match=f"the mask {mask} reaches beyond the 256x192 of the source"):
        learn(camera(tmp_path, start, masks=(mask,)))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_network_is_learned_from_a_day_proved_on_the_next_and_used(start: Path, tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    write_moments(learn_dir, scene(200))
    write_moment(learn_dir, TWO_DAYS[2] + 60, [np.full(SIZE[::-1], 16, np.uint8)] * 30)
    write_moment(learn_dir, TWO_DAYS[2] + 120, scene(200)[:1] * 30)
    write_moment(learn_dir, TWO_DAYS[2] + 180, scene(30, seed=4))
    warnings = learn(camera(tmp_path, start))
    (network,) = learn_dir.networks()
    assert learn_dir.current() == network
    proof = network.proof
    assert proof.accepted, proof
    assert (proof.moments, list(proof.gains)) == (1, ["crf 18", "crf 23", "crf 28", "crf 33"])
    assert proof.moving_gain >= 0.01
    assert sorted(path.name for path in network.folder.iterdir()) == [
        "model.npz",
        "proof.json",
        "report.html",
        "scene.npz",
    ]
    weights = load_weights(network.folder / "model.npz")
    assert weights.calibration
    with np.load(network.folder / "scene.npz", allow_pickle=False) as file:
        assert (file["thumbnails"].shape, file["thumbnails"].dtype) == ((5, 48, 64), np.uint8)
        assert file["shape"].tolist() == [192, 256]
    assert "Accepted: it gains" in (network.folder / "report.html").read_text()
    left_out, used = events(learn_dir)
    assert left_out.startswith("3 moments are left out: ")
    for reason in ("is black, blown out or flat", "nothing moves in it, or it is frozen", "shows another scene"):
        assert reason in left_out
    assert used == f"{network.name} is used: {proof.reason}"
    assert left_out in warnings
    assert not learn_dir.work.exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_main_streams_teach_what_the_source_lost(start: Path, tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    write_moments(learn_dir, scene(200), main=True)
    poisoned = write_moment(learn_dir, TWO_DAYS[2] + 60, scene(200)[:40], main=True)
    record(poisoned.folder / "main.mkv", scene(200)[:1] * 40, [number / RATE for number in range(40)], 20)
    learn(camera(tmp_path, start))
    (network,) = learn_dir.networks()
    assert list(network.proof.gains) == ["main stream"]
    assert network.proof.moving_gain > 0
    with np.load(network.folder / "scene.npz", allow_pickle=False) as file:
        assert file["shape"].tolist() == [96, 128]
    assert events(learn_dir)[0].startswith(f"1 moment is left out: {poisoned.folder.name}: ")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not ROADCAM.exists(), reason="the clips are not beside the project")
def test_six_weeks_of_a_road_are_one_scene_without_its_captions_and_another_road_is_left_out(tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    for clip in sorted(ROADCAM.glob("*.mp4")):
        taken = datetime.strptime(clip.stem.partition("_")[2], "%Y%m%d%H%M").replace(tzinfo=UTC)
        folder = learn_dir.moment_folder(taken.timestamp())
        folder.mkdir(parents=True)
        shutil.copyfile(clip, folder / "source.mkv")
        learn_dir.write_moment(
            Moment(folder=folder, time_s=taken.timestamp(), has_main=False, motion=2.0, detail=3.0, size=1)
        )
    learn(camera(tmp_path, Path("fsrcnn-narrow-video"), steps=16, min_gain_db=9.0))
    (network,) = learn_dir.networks()
    assert (network.proof.moments, network.proof.accepted, learn_dir.current()) == (2, False, None)
    left_out, refused = events(learn_dir)
    assert left_out == "1 moment is left out: 2017-07-21T14-14-00.000Z: shows another scene, or quite another light"
    assert refused.startswith(f"{network.name} is learned and not used: it gains ")
    assert "352x240+0+48 of the picture" in (network.folder / "report.html").read_text()
    with np.load(network.folder / "scene.npz", allow_pickle=False) as file:
        assert len(file["thumbnails"]) == 8
