"""A training from files to weights: `train_model` and `vidsr train`."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from commands import Command
from made import make_clip, scene, tiny_weights

from vidsr.engine import Engine
from vidsr.errors import TargetError, TrainingError
from vidsr.model.weights import load_weights, save_weights
from vidsr.settings import DatasetSettings, DegradeSettings, NetworkSettings, TrainSettings
from vidsr.training.data.dataset_builder import build_dataset
from vidsr.training.data.sources import Source, find_footage
from vidsr.training.data.validation_set import CRFS
from vidsr.training.run import TrainProgress, TrainRun, train_model

SETTINGS = TrainSettings(steps=4, finish_steps=2, every=2, patch=8, batch=2, threads=1)
NETWORK = NetworkSettings(d=8, s=4, m=1)
QUICK = ["--steps", "4", "--finish-steps", "2", "--every", "2", "--patch", "8", "--batch", "2", "--threads", "1"]
SMALL = [*QUICK, "--d", "8", "--s", "4", "--m", "1"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(4):
        av.VideoFrame.from_ndarray(scene(index, (96, 80)), format="rgb24").save(folder / f"{index}.png")
    return folder


@pytest.fixture
def train_run(images: Path, tmp_path: Path) -> TrainRun:
    return TrainRun(sources=(Source(path=images),), output=tmp_path / "run", network=NETWORK, settings=SETTINGS)


# The job


def test_a_dataset_joins_the_images_and_degrades_the_validation_set(train_run: TrainRun, images: Path) -> None:
    folder, held_out = train_run.output.parent / "dataset", train_run.output.parent / "held"
    held_out.mkdir()
    shutil.copy(images / "0.png", held_out)
    files = find_footage([Source(path=images, sizes=(1.0,))])
    amount = DatasetSettings(clips=32, crop=32)
    made = build_dataset(files, folder, DegradeSettings(frames="2-3", codecs="mjpeg:1"), amount)
    asked = replace(train_run, datasets=(folder,), held_out=(Source(path=held_out),))
    result = train_model(asked)
    assert (result.finished, result.degraded, result.pictures) == (True, made.clips, 8)
    assert result.held_out == 2 * len(CRFS)
    log = json.loads((asked.output / "log.json").read_text())
    assert log["config"]["datasets"] == [str(folder)]
    with pytest.raises(ValueError, match="datasets need held_out"):
        train_model(replace(asked, output=train_run.output / "other", held_out=()))


def test_it_leaves_weights_a_log_and_a_curve(train_run: TrainRun) -> None:
    result = train_model(train_run)
    assert result.finished
    assert (result.step, result.pictures, result.held_out) == (6, 6, 1)
    weights = load_weights(result.model)
    assert str(weights.architecture) == "fsrcnn(8,4,1) x2"
    assert weights.facts["scores"] == {
        "held out": round(result.psnr or 0, 3),
        "held out, bicubic": round(result.bicubic_psnr or 0, 3),
    }
    assert weights.calibration
    assert weights.calibration.losses == result.losses
    assert {"int8", "int7"} <= result.losses.keys()
    log = json.loads((train_run.output / "log.json").read_text())
    assert [[moment["step"] for moment in stretch] for stretch in log["stages"]] == [[2, 4], [2]]
    assert log["config"]["rate"] == SETTINGS.rate
    assert (train_run.output / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_every_step_is_reported_and_the_last_is_the_whole(train_run: TrainRun) -> None:
    told: list[TrainProgress] = []
    result = train_model(train_run, on_step=told.append)
    assert [progress.step for progress in told] == [1, 2, 3, 4, 5, 6]
    assert {progress.steps for progress in told} == {6}
    assert told[0].psnr is None
    assert told[-1].psnr == result.psnr


@pytest.mark.parametrize("steps", [*(pytest.param(n, marks=pytest.mark.slow) for n in (0, 1, 3)), 5])
def test_a_run_stopped_anywhere_ends_as_if_it_had_not_been(train_run: TrainRun, tmp_path: Path, steps: int) -> None:
    whole = train_model(replace(train_run, output=tmp_path / "whole"))
    asked = iter([False] * steps + [True] * 9)
    stopped = train_model(train_run, should_stop=lambda: next(asked))
    assert not stopped.finished
    assert stopped.step == steps
    assert not stopped.model.exists()
    resumed = train_model(train_run)
    assert resumed.losses == whole.losses
    expected, tensors = load_weights(whole.model).tensors, load_weights(resumed.model).tensors
    assert all(np.array_equal(tensors[name], expected[name]) for name in expected)


def test_a_folder_of_another_training_is_refused_and_left_as_it_is(train_run: TrainRun) -> None:
    train_model(train_run, should_stop=lambda: True)
    before = {path.name: path.read_bytes() for path in train_run.output.iterdir()}
    other = replace(train_run, settings=replace(SETTINGS, rate=1e-3))
    with pytest.raises(TrainingError, match=r"other rate \(0.0007, not 0.001\)"):
        train_model(other)
    assert {path.name: path.read_bytes() for path in train_run.output.iterdir()} == before


def test_a_training_that_is_done_is_not_done_again(train_run: TrainRun) -> None:
    train_model(train_run)
    with pytest.raises(TargetError, match=r"model.npz: exists already"):
        train_model(train_run)


def test_another_scale_keeps_the_body_and_begins_a_fresh_tail(train_run: TrainRun, tmp_path: Path) -> None:
    start = tmp_path / "start.npz"
    save_weights(start, tiny_weights(2))
    settings = replace(SETTINGS, initial_model=str(start), scale=3, layers="tail")
    result = train_model(replace(train_run, network=NetworkSettings(), settings=settings))
    before, after = load_weights(start), load_weights(result.model)
    assert str(after.architecture) == "fsrcnn(8,4,1) x3"
    moved = {name for name in before.tensors if not np.allclose(before.tensors[name], after.tensors[name], atol=1e-6)}
    assert moved == {"deconvolution.weight", "deconvolution.bias"}


def test_a_start_can_be_given_more_mapping_layers_and_taps(train_run: TrainRun, tmp_path: Path) -> None:
    start = tmp_path / "start.npz"
    save_weights(start, tiny_weights(2))
    settings = replace(SETTINGS, initial_model=str(start), mapping_layers=3, tail_kernel=11, layers="mapping")
    result = train_model(replace(train_run, network=NetworkSettings(), settings=settings))
    before, after = load_weights(start).tensors, load_weights(result.model).tensors
    assert result.network == "fsrcnn(8,4,3) x2"
    assert after["deconvolution.weight"].shape == (8, 1, 11, 11)
    assert np.allclose(before["feature.weight"], after["feature.weight"], atol=1e-6)
    assert not np.allclose(before["mapping0.weight"], after["mapping0.weight"], atol=1e-6)


def test_srcnn_starts_at_another_scale_from_all_of_its_layers(train_run: TrainRun, tmp_path: Path) -> None:
    lr = NetworkSettings(family="srcnn", kernels="5-1-3", widths="4-4")
    start = train_model(replace(train_run, output=tmp_path / "first", network=lr))
    settings = replace(SETTINGS, initial_model=str(start.model), scale=4, steps=1, finish_steps=0, rate=1e-9)
    result = train_model(replace(train_run, network=NetworkSettings(), settings=settings))
    before, after = load_weights(start.model).tensors, load_weights(result.model).tensors
    assert all(np.allclose(before[name], after[name], atol=1e-5) for name in before)


def test_it_learns_from_videos_too(images: Path, train_run: TrainRun, tmp_path: Path) -> None:
    clip, other = (make_clip(tmp_path / f"{name}.mkv", size=(96, 80)) for name in ("clip", "other"))
    mixed = replace(
        train_run, sources=(Source(path=images), Source(path=clip, sizes=(1.0,))), held_out=(Source(path=other),)
    )
    result = train_model(replace(mixed, settings=replace(SETTINGS, frames=3)))
    assert (result.pictures, result.held_out) == (8 + 3, 3)


def test_the_curve_has_the_score_of_the_start(train_run: TrainRun, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float | None] = []
    monkeypatch.setattr("vidsr.training.run.learning_curve", lambda *_, start_db: drawn.append(start_db))
    standing = replace(SETTINGS, initial_model="fsrcnn-s-x2", finish_steps=0, rate=1e-12)
    result = train_model(replace(train_run, network=NetworkSettings(), settings=standing))
    train_model(replace(train_run, output=train_run.output / "random"))
    assert drawn == [pytest.approx(result.psnr), None]


def test_nothing_is_held_out_of_a_single_file(images: Path, train_run: TrainRun) -> None:
    result = train_model(replace(train_run, sources=(Source(path=images / "0.png"),)))
    assert (result.held_out, result.psnr, result.bicubic_psnr) == (0, None, None)
    assert result.finished
    assert result.losses == {}
    Engine(load_weights(result.model), precision="int8")


def test_settings_that_do_not_fit_each_other_are_refused(train_run: TrainRun) -> None:
    for wrong, words in (
        (replace(train_run, settings=replace(SETTINGS, layers="tail")), "needs an initial model"),
        (replace(train_run, settings=replace(SETTINGS, initial_model="fsrcnn-x2")), "has its own architecture"),
    ):
        with pytest.raises(ValueError, match=words):
            train_model(wrong)
        assert not train_run.output.exists()


# The command


def test_the_command_prints_where_the_model_is_and_the_model_upscales(
    vidsr: Command, images: Path, clip: Path, tmp_path: Path
) -> None:
    ended = vidsr("train", images, "--output", tmp_path / "run", *SMALL)
    assert (ended.code, ended.out) == (0, f"{tmp_path / 'run' / 'model.npz'}\n")
    assert "dB over bicubic" in ended.err
    assert "dB below bicubic upscaling; train it longer" in ended.err
    larger = tmp_path / "larger.mp4"
    assert vidsr("upscale", "--model", ended.out.strip(), "--workers", "0", clip, larger).code == 0


def test_a_network_that_nothing_was_held_out_for_comes_with_a_warning(
    vidsr: Command, images: Path, tmp_path: Path
) -> None:
    ended = vidsr("train", images / "0.png", "--output", tmp_path / "run", *SMALL)
    assert ended.code == 0
    assert "nothing is held out, so nobody knows how good the network is" in ended.err


@pytest.mark.parametrize(
    "network",
    [
        ["--family", "fsrcnn", "--d", "8", "--s", "8", "--m", "2", "--kernel", "6", "--activation", "leaky-relu"],
        ["--family", "srcnn", "--kernels", "5-1-3", "--widths", "8-4", "--scale", "3"],
    ],
)
def test_every_family_trains_by_its_numbers(vidsr: Command, images: Path, tmp_path: Path, network: list[str]) -> None:
    ended = vidsr("train", images, "--output", tmp_path / "run", "--json", *QUICK, *network)
    assert ended.code == 0
    assert json.loads(ended.out)["finished"]


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, "must be 1 to 512 channels wide", ["--d", "0"]),
        (2, "--d is not an option of srcnn", ["--family", "srcnn", "--d", "8"]),
        (2, "--scale must be 2, 3 or 4", ["--scale", "5"]),
        (2, "--kernels must be written like 9-1-5", ["--family", "srcnn", "--kernels", "9"]),
        (2, "--activation must be one of", ["--activation", "swish"]),
        (2, "odd kernels", ["--family", "srcnn", "--kernels", "8-1-5"]),
        (2, "needs an initial model", ["--layers", "tail"]),
        (2, "without one, set m", ["--mapping-layers", "5"]),
        (2, "without one, set kernel", ["--tail-kernel", "15"]),
        (2, "an even number more", ["--tail-kernel", "12", "--initial-model", "fsrcnn-s-x2"]),
        (5, "no model named 'nothing'", ["--initial-model", "nothing"]),
        (5, "no CUDA device", ["--device", "cuda"]),
        (5, "needs a C++ compiler", ["--fast"]),
        (3, "pixels per side of a patch", ["--patch", "120"]),
        (3, "no image or video", ["--held-out", "."]),
    ],
)
def test_what_cannot_be_is_one_sentence(
    vidsr: Command,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    words: str,
    arguments: list[str],
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    monkeypatch.setenv("CXX", "no-such-compiler")
    ended = vidsr("train", images, "--output", tmp_path / "run", *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
    assert words in ended.err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of PyTorch's own parts
@pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler")
def test_fast_learns_the_same_to_within_what_bfloat16_rounds(train_run: TrainRun, tmp_path: Path) -> None:
    slow = train_model(train_run)
    fast = train_model(replace(train_run, output=tmp_path / "fast", settings=replace(SETTINGS, fast=True)))
    assert fast.psnr == pytest.approx(slow.psnr, abs=0.1)


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_resume(images: Path, tmp_path: Path) -> None:
    long = [*SMALL, "--steps", "100000", "--every", "100000"]
    command = [sys.executable, "-m", "vidsr", "train", str(images), "--output", str(tmp_path / "run"), *long]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        wait_for(tmp_path / "run" / "log.json")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert out == ""
    assert "the same command resumes" in err
    assert (tmp_path / "run" / "checkpoint-0.pt").exists()


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        os.sched_yield()
        signal.sigtimedwait([], 0.1)
    pytest.fail(f"{path} did not appear")
