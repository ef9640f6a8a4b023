"""`vidsr finetune`: a network learns somebody's footage, and is kept only if it is better for it."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from itertools import count
from pathlib import Path

import av
import numpy as np
import pytest
from commands import DAMAGED, MODEL, SOURCE, TARGET, USAGE, Command, contents, full_disk
from made import make_clip, random_weights
from recordings import record, record_both, scene

from vidsr.errors import Stopped, TargetError
from vidsr.model.architecture import fsrcnn
from vidsr.model.weights import load_weights, save_weights
from vidsr.model.zoo import load_model
from vidsr.settings import FinetuneSettings
from vidsr.training.data.validation_set import CRFS
from vidsr.training.finetune.finetune import FinetuneResult, finetune
from vidsr.training.finetune.finetune_data import from_footage

QUICK = ("--clips", "32", "--steps", "30", "--every", "10", "--threads", "1")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has forgotten half of what it knew."""
    weights = load_model("fsrcnn-s-x2")
    tail = {name: tensor / 2 for name, tensor in weights.tensors.items() if name.startswith("deconvolution")}
    path = tmp_path_factory.mktemp("start") / "start.npz"
    save_weights(path, replace(weights, tensors={**weights.tensors, **tail}))
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    times = [512 * i for i in range(24)]
    return [make_clip(folder / f"{day}.mp4", size=(208, 200), pts=times) for day in ("monday", "tuesday", "friday")]


def settings_for(start: Path, **changed: object) -> FinetuneSettings:
    quick = {"clips": 32, "steps": 60, "every": 20, "threads": 1, "layers": "all", "rate": 0.02}
    return FinetuneSettings(initial_model=str(start), **{**quick, **changed})


def run_finetune(clips: list[Path], output: Path, settings: FinetuneSettings, **how: object) -> FinetuneResult:
    data = from_footage(clips, [], [], settings, on_warning=pytest.fail)
    return finetune(data, output, settings, on_warning=pytest.fail, **how)


def test_a_network_learns_footage_and_the_report_says_what_was_gained(
    start: Path, clips: list[Path], tmp_path: Path
) -> None:
    found = run_finetune(clips, tmp_path / "run", settings_for(start, clips=16, steps=24, every=12))
    assert found.acceptance.accepted
    assert found.acceptance.clips == 1
    assert list(found.acceptance.over_start) == [f"crf {crf}" for crf in CRFS]
    assert all(gain > 0.01 for gain in found.acceptance.over_start.values())
    assert found.model == tmp_path / "run" / "model.npz"
    weights = load_weights(found.model)
    assert weights.facts["gains"] == found.acceptance.gains
    assert len(found.acceptance.gains) == 2 * len(CRFS)  # where it moves, and on the whole picture
    assert weights.calibration
    assert weights.calibration.losses == found.trained.losses
    assert set(found.trained.losses) >= {"int8", "int7"}
    text = found.report.read_text()
    HTMLParser().feed(text)
    assert f"{found.trained.losses['int8']:.3f} dB on the validation set" in text
    assert str(found.acceptance) in text
    assert "monday.mp4" in text


def test_the_validation_set_is_no_part_of_the_training_set(start: Path, clips: list[Path]) -> None:
    data = from_footage(clips, [], [], settings_for(start), on_warning=pytest.fail)
    teaches = {file.path.stem for file in data.clean}
    judges = {trial.name for trial in data.validation}
    assert (len(teaches), len(judges), teaches & judges) == (2, 1, set())


@pytest.mark.slow
def test_only_the_layers_that_were_asked_for_are_trained(start: Path, clips: list[Path], tmp_path: Path) -> None:
    found = run_finetune(clips, tmp_path / "run", settings_for(start, layers="mapping", mapping_layers=2), force=True)
    before, after = load_weights(start).tensors, load_weights(found.trained.model).tensors
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {name for name in before if name.startswith("mapping")}
    assert after.keys() - before.keys() == {f"mapping1.{part}" for part in ("weight", "bias", "slope")}


@pytest.mark.slow
def test_a_network_that_gains_nothing_is_written_only_by_force(
    vidsr: Command, clips: list[Path], tmp_path: Path
) -> None:
    good = tmp_path / "good.npz"
    save_weights(good, random_weights(fsrcnn(8, 4, 1, 2)))
    slow = ("--initial-model", good, *QUICK, "--rate", "1e-12")
    ended = vidsr("finetune", *clips, "--output", tmp_path / "run", *slow)
    assert (ended.code, ended.out) == (DAMAGED, "")
    assert "no better than its start, and is not written; --force writes it" in ended.err
    assert (tmp_path / "run" / "report.html").exists()
    assert not (tmp_path / "run" / "model.npz").exists()
    before = contents(tmp_path / "run" / "training")
    forced = vidsr("finetune", *clips, "--output", tmp_path / "run", *slow, "--force", "--json")
    told = json.loads(forced.out)
    assert (forced.code, told["model"]) == (0, str(tmp_path / "run" / "model.npz"))
    assert contents(tmp_path / "run" / "training") == before
    assert told["trained"]["step"] == 30


@pytest.mark.slow
def test_it_resumes_where_it_was_stopped_and_ends_as_if_it_had_not_been(
    start: Path, clips: list[Path], tmp_path: Path
) -> None:
    whole = run_finetune(clips, tmp_path / "whole", settings_for(start))
    with pytest.raises(Stopped, match="shard 0 of 1"):
        run_finetune(clips, tmp_path / "parts", settings_for(start), should_stop=lambda: True)
    calls = count()
    with pytest.raises(Stopped, match="stopped at step 14 of 60"):
        run_finetune(clips, tmp_path / "parts", settings_for(start), should_stop=lambda: next(calls) > 14)
    resumed = run_finetune(clips, tmp_path / "parts", settings_for(start))
    one, other = (load_weights(each.trained.model).tensors for each in (whole, resumed))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_long_recording_gives_start_times_and_its_end_validates(vidsr: Command, start: Path, tmp_path: Path) -> None:
    recording, output = tmp_path / "main.mp4", tmp_path / "run"
    record(recording, scene(180), [number / 5 for number in range(180)], 20)
    start_times = ("--from", recording.parent, "--frames", "6", "--initial-model", start, "--force")
    ended = vidsr("finetune", *start_times, "--output", output, *QUICK, "--steps", "10", "--clips", "16")
    assert (ended.code, ended.out) == (0, f"{output / 'model.npz'}\n")
    assert "is a single scene; its last 7 s are held out" in ended.err
    dataset = (output / "dataset" / "dataset.json").read_text()
    (file,) = json.loads(dataset)["files"]
    ((_, until_s),) = file[-2]
    assert until_s == pytest.approx(26.7, abs=0.3)
    assert 1 < len(file[-1]) <= 6
    assert max(file[-1]) < until_s


def test_frame_selection_can_be_stopped(start: Path, tmp_path: Path) -> None:
    films = [tmp_path / name for name in ("a.mp4", "b.mp4")]
    for film in films:
        make_clip(film, size=(208, 200), pts=[1024 * i for i in range(60)])
    calls = count()  # the survey of the two films comes first
    with pytest.raises(Stopped, match=r"stopped during frame selection in .*/\w+.mp4"):
        from_footage([], films, [], settings_for(start), on_warning=pytest.fail, should_stop=lambda: next(calls) > 1)


def test_images_train_beside_the_clips_and_never_validate(clips: list[Path], start: Path, tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    av.VideoFrame.from_ndarray(scene(1)[0], format="gray").save(picture)
    data = from_footage(clips, [], [tmp_path], settings_for(start), on_warning=pytest.fail)
    assert [file.path for file in data.clean if file.path.suffix == ".png"] == [picture]
    assert str(picture) in data.names
    assert "photo" not in {trial.name for trial in data.validation}


def test_two_recordings_teach_what_the_lr_one_lost(vidsr: Command, start: Path, tmp_path: Path) -> None:
    hr, lr = record_both(tmp_path, scene(150), main=range(150), sub=range(10, 140))
    output = tmp_path / "run"
    both = ("--hr", hr, "--lr", lr, "--initial-model", start, "--layers", "all", "--rate", "0.02")
    ended = vidsr("finetune", *both, "--output", output, *QUICK, "--every", "15", "--json")
    told = json.loads(ended.out)
    assert ended.code == 0
    assert told["acceptance"]["over_start"]["recorded"] > 0.01
    assert {row["name"] for row in told["rows"]} == {"sub"}


def test_recordings_that_have_nothing_to_do_with_each_other_are_refused(
    vidsr: Command, start: Path, clips: list[Path], tmp_path: Path
) -> None:
    other = record(tmp_path / "other.mp4", scene(100, seed=5), [number / 25 for number in range(100)], 20)
    ended = vidsr(
        "finetune", "--hr", clips[0], "--lr", other, "--initial-model", start, "--output", tmp_path / "run", *QUICK
    )
    assert (ended.code, ended.out) == (SOURCE, "")
    assert ended.err.startswith(f"vidsr: {clips[0]}: 208x200 is not 2 times the 256x192 of {other}")


@pytest.mark.slow
def test_a_clip_that_cannot_be_read_is_skipped_with_a_warning(
    vidsr: Command, start: Path, clips: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a film")
    ended = vidsr(
        "finetune", broken, *clips, "--initial-model", start, "--output", tmp_path / "run", *QUICK, "--force"
    )
    assert ended.code == 0
    assert f"{broken}: " in ended.err
    assert f"{broken}: " in (tmp_path / "run" / "report.html").read_text().partition("skipped")[0]
    assert "; skipped" in ended.err


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ({"size": (208, 200)}, "is a single scene of 1 s, too short to split"),
        ({"size": (64, 48), "twice": True}, "smaller than the 144 pixels per side of a clip; skipped"),
        ({"size": (208, 200), "black": True}, "shows nothing to train on"),
        ({"size": (208, 200), "pts": [0, 512], "twice": True}, "has 2 frames, fewer than the 8 of a clip"),
    ],
    ids=["one short clip", "too small", "all black", "too short"],
)
def test_footage_that_cannot_train_is_reported_in_one_sentence(
    vidsr: Command, start: Path, tmp_path: Path, made: dict[str, object], sentence: str
) -> None:
    twice, black = made.pop("twice", False), made.pop("black", False)
    if black:
        record(tmp_path / "a.mp4", [np.full((192, 256), 16, np.uint8)] * 300, [n / 10 for n in range(300)], 20)
    else:
        make_clip(tmp_path / "a.mp4", **{"pts": [512 * i for i in range(24)], **made})
    if twice:
        shutil.copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    files = sorted(tmp_path.glob("*.mp4"))
    ended = vidsr("finetune", *files, "--initial-model", start, "--output", tmp_path / "run", *QUICK)
    assert (ended.code, ended.out) == (SOURCE, "")
    assert sentence in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "finetune takes clips, recordings after --from, or two recordings as --hr and --lr"),
        (("a.mp4", "--hr", "b.mp4", "--lr", "c.mp4"), "finetune takes clips"),
        (("--hr", "b.mp4"), "finetune takes clips"),
        (("--hr", "b.mp4", "--lr", "c.mp4", "--images", "pictures"), "--images needs clips or --from"),
        (("a.mp4", "--layers", "head"), "--layers must be one of mapping, tail, all, not 'head'"),
        (("a.mp4", "--crf", "99"), "--crf must be a range within 0-51, not 99"),
        (("a.mp4", "--held-out-share", "0"), "share must be above 0"),
    ],
)
def test_nonsense_is_refused(
    vidsr: Command, start: Path, clips: list[Path], tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    named = [clips[0] if option == "a.mp4" else option for option in options]
    ended = vidsr("finetune", *named, "--initial-model", start, "--output", tmp_path / "run")
    assert (ended.code, ended.out) == (USAGE, "")
    assert sentence in ended.err
    assert not (tmp_path / "run").exists()


def test_a_start_that_is_not_there_or_a_clip_ends_it_before_anything_is_made(
    vidsr: Command, clips: list[Path], tmp_path: Path
) -> None:
    ended = vidsr("finetune", *clips, "--initial-model", tmp_path / "none.npz", "--output", tmp_path / "run", *QUICK)
    assert (ended.code, ended.out) == (MODEL, "")
    assert "none.npz: No such file" in ended.err
    other = vidsr("finetune", *clips, "--initial-model", "fsrcnn-x3", "--output", tmp_path / "run", *QUICK)
    assert (other.code, other.err) == (MODEL, "vidsr: fsrcnn-x3 upscales 3 times, not 2\n")
    missing = vidsr("finetune", "--from", tmp_path / "none.mp4", "--output", tmp_path / "run", *QUICK)
    assert missing.code == SOURCE
    assert "none.mp4: No such file" in missing.err


def test_clips_are_looked_at_before_pytorch_is_loaded(clips: list[Path], tmp_path: Path) -> None:
    command = ["finetune", str(clips[0]), "--output", str(tmp_path / "run")]
    code = f"import sys; from vidsr.cli import main; print(main({command}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == f"{SOURCE} False\n"
    assert "is a single scene of 1 s, too short to split" in done.stderr


def test_a_model_that_is_there_is_not_replaced(vidsr: Command, start: Path, clips: list[Path], tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(b"mine")
    ended = vidsr("finetune", *clips, "--initial-model", start, "--output", tmp_path, *QUICK)
    assert (ended.code, ended.out) == (TARGET, "")
    assert (tmp_path / "model.npz").read_bytes() == b"mine"


@pytest.mark.slow
def test_a_full_disk_is_reported_and_the_same_call_resumes(start: Path, clips: list[Path], tmp_path: Path) -> None:
    with full_disk(50_000), pytest.raises(TargetError, match="File too large"):
        run_finetune(clips, tmp_path / "run", settings_for(start))
    assert run_finetune(clips, tmp_path / "run", settings_for(start)).acceptance.accepted


@pytest.mark.slow
def test_ctrl_c_leaves_something_to_resume_from(start: Path, clips: list[Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vidsr", "finetune", *map(str, clips), "--initial-model", str(start)]
    command += ["--output", str(tmp_path / "run"), *QUICK, "--steps", "100000", "--every", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not (tmp_path / "run" / "training" / "checkpoint-0.pt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + signal.SIGINT, "")
    assert "the same command resumes" in err
