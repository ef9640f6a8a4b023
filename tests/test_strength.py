"""The strength of a network: how much of what it adds to the bicubic frame is added."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import MODEL, USAGE, Command, Refused
from made import make_clip, random_weights, scene, tiny_weights
from numpy.typing import NDArray
from oracles import network, read_with_av, samples
from PIL import Image

from vidsr.engine import Engine
from vidsr.engine.activation_ranges import measure_ranges
from vidsr.errors import ModelError
from vidsr.live.quality_ladder import ModelLadder
from vidsr.media.reader import Reader
from vidsr.model.architecture import fsrcnn, srcnn
from vidsr.model.weights import Calibration, Weights, save_weights, with_strength
from vidsr.model.zoo import load_model, model_names
from vidsr.model_selection import select_family
from vidsr.quality.matlab import imresize
from vidsr.settings import StreamSettings

PLANE = scene(0)[..., 0]
STRENGTHS = (0.0, 0.5, 1.5)


def bicubic(plane: NDArray[np.generic], scale: int) -> NDArray[np.float64]:
    edge = 4
    whole = imresize(np.pad(plane.astype(np.float64), edge, mode="edge"), scale)
    return whole[edge * scale : -edge * scale, edge * scale : -edge * scale]


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(
    "weights",
    [tiny_weights(2), tiny_weights(3), random_weights(srcnn(9, 1, 5, 8, 4, 2))],
    ids=lambda w: w.architecture,
)
def test_what_the_network_adds_is_scaled(weights: Weights, strength: float) -> None:
    base = bicubic(PLANE, weights.architecture.scale)
    expected = np.clip(base + strength * (network(weights, PLANE) - base), 0, 255)
    found = Engine(weights, threads=1, strength=strength)(PLANE)
    assert np.abs(found - expected).max() < 0.51


def test_at_1_the_network_is_the_very_same() -> None:
    weights = load_model("fsrcnn-fast-x2")
    assert with_strength(weights, 1.0) is weights


@pytest.mark.parametrize("precision", ["int8", "int7"])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_integers_come_as_near_to_f32_as_the_strength_allows(strength: float, precision: str) -> None:
    weights = load_model("fsrcnn-fast-x2")
    exact = Engine(weights, threads=1, precision="f32", strength=strength)(PLANE).astype(int)
    engine = Engine(weights, threads=1, precision=precision, strength=strength)
    distance = np.abs(engine(PLANE) - exact)
    assert engine.precision == precision
    assert not engine.warnings
    assert distance.mean() <= 0.5 * strength
    assert distance.max() <= 8 * strength  # none at 0: the bicubic frame is computed in f32


def test_the_ranges_that_int8_was_calibrated_by_are_those_at_every_strength() -> None:
    weights = tiny_weights(dimensions=(16, 8, 2))
    ranges = measure_ranges(weights, [PLANE])
    known = with_strength(replace(weights, calibration=Calibration(ranges=ranges)), 1.5)
    assert known.calibration
    for name, ends in measure_ranges(known, [PLANE]).items():
        assert np.array_equal(known.calibration.ranges[name], ends)


@pytest.fixture
def whole_frames(tmp_path: Path) -> Path:
    """A network that computes whole frames."""
    path = tmp_path / "whole.npz"
    save_weights(path, random_weights(fsrcnn(8, 4, 1, 2, residual=False)))
    return path


def test_a_network_that_computes_whole_frames_has_no_strength_but_1(whole_frames: Path) -> None:
    Engine(str(whole_frames), threads=1, strength=1.0)
    with pytest.raises(ModelError, match="computes whole frames"):
        Engine(str(whole_frames), threads=1, strength=0.9)
    with pytest.raises(ModelError, match="computes whole frames"):
        ModelLadder(StreamSettings(model=str(whole_frames), strength=0.9))


def test_the_command_line_refuses_what_makes_no_sense(
    refused: Refused, vidsr: Command, whole_frames: Path, clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    assert "--strength must be from 0 to 1.5, not 1.6" in refused(USAGE, "--strength", "1.6", clip, target)
    assert "not nan" in refused(USAGE, "--strength", "nan", clip, target)
    assert "computes whole frames" in refused(MODEL, "--model", whole_frames, "--strength", "0", clip, target)
    for words in (["evaluate", clip], ["compare", "--picture", tmp_path / "a.png", clip]):
        ended = vidsr(*words, "--strength", "-0.1")
        assert (ended.code, ended.err.count("\n")) == (USAGE, 1)
        assert "--strength must be from 0 to 1.5, not -0.1" in ended.err


def test_a_video_at_strength_0_is_the_bicubic_one_and_the_report_says_so(upscale: Command, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", pts=[0, 512], codec="ffv1")
    ended = upscale("--json", "--strength", "0", "--codec", "ffv1", clip, tmp_path / "out.mkv")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["strength"] == 0
    assert ", strength 0\n" in ended.err
    small, large = (read_with_av(path).pictures[0] for path in (clip, tmp_path / "out.mkv"))
    assert np.abs(samples(large)[0] - bicubic(samples(small)[0], 2)).max() <= 0.51


def test_an_image_has_a_strength_as_well(upscale: Command, tmp_path: Path) -> None:
    Image.fromarray(PLANE).save(tmp_path / "small.png")
    assert upscale("--strength", "0", tmp_path / "small.png", tmp_path / "large.png").code == 0
    found = np.asarray(Image.open(tmp_path / "large.png").convert("L"), int)
    assert np.abs(found - bicubic(PLANE, 2)).max() <= 0.51


@pytest.mark.parametrize("model", ["auto", "fsrcnn-s-x2"])
def test_every_rung_of_a_camera_has_it(model: str, clip: Path) -> None:
    ladder = ModelLadder(StreamSettings(model=model, strength=0.5))
    with Reader(clip) as reader:
        rungs = ladder.networks(reader.info.compression)
    first = f"{select_family(None, scale=2, names=model_names())}-x2"
    for name, weights in [*rungs.items(), *([(first, ladder.default)] if model == "auto" else [])]:
        last = f"{weights.architecture.tail.name}.weight"
        assert np.array_equal(weights.tensors[last], np.float32(0.5) * load_model(name).tensors[last])


def test_evaluate_and_compare_measure_it(vidsr: Command, tiny_model: str, tmp_path: Path) -> None:
    image = tmp_path / "scene.png"
    Image.fromarray(scene(0, (192, 128))).save(image)
    ended = vidsr("evaluate", "--json", "--model", tiny_model, "--strength", "0", image)
    assert ended.code == 0, ended.err
    psnr = {row["method"]: row["psnr"] for row in json.loads(ended.out)["means"] if row["input"].startswith("P2")}
    assert psnr[tiny_model] == pytest.approx(psnr["bicubic"], abs=0.02)
    scores = []
    for strength in ("0", "1"):
        drawn = vidsr("compare", "--json", "--overwrite", "--model", tiny_model, "--strength", strength,
                      "--picture", tmp_path / "parts.png", image)  # fmt: skip
        assert drawn.code == 0, drawn.err
        scores.append(json.loads(drawn.out)[0]["psnr"])
    assert scores[0] != scores[1]
