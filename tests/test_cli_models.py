"""The commands for networks: what there is, what goes out, what comes in."""

import json
import os
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import MODEL, TARGET, USAGE, Command, Ended, contents
from made import make_clip, random_weights, scene, tiny_weights
from oracles import read_with_av
from PIL import Image

from vidsr.engine.openvino_ir import run_network
from vidsr.model.architecture import srcnn
from vidsr.model.weights import Weights, load_weights, save_weights
from vidsr.model.zoo import model_names

PORTS = Path(__file__).parent / "training"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def missing(package: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package were not installed, and the module that takes it not imported yet."""
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)


# Calibrating


def test_a_file_is_completed_by_pictures(vidsr: Command, here: Path) -> None:
    save_weights(here / "mine.npz", tiny_weights())
    (here / "photos").mkdir()
    for index in range(3):
        Image.fromarray(scene(index)).save(here / "photos" / f"{index}.png")
    ended = vidsr("calibrate", "mine.npz", "photos")
    before, after = tiny_weights(), load_weights(here / "mine.npz")
    assert ended.code == 0
    assert "mine.npz: int8 loses " in ended.err
    assert after.calibration
    assert all(np.array_equal(before.tensors[name], after.tensors[name]) for name in before.tensors)
    assert json.loads(vidsr("calibrate", "mine.npz", "photos", "--json").out)["losses"] == after.calibration.losses


def test_one_picture_alone_calibrates_nothing(vidsr: Command, here: Path) -> None:
    save_weights(here / "mine.npz", tiny_weights())
    Image.fromarray(scene(0)).save(here / "one.png")
    before = contents(here)
    assert vidsr("calibrate", "mine.npz", "one.png").code == USAGE
    assert vidsr("calibrate", "fsrcnn-x2", "one.png").code == USAGE
    assert contents(here) == before


# Models


def test_models_lists_what_ships(vidsr: Command) -> None:
    head, *lines = vidsr("models").out.splitlines()
    assert head.split()[:6] == ["name", "network", "scale", "weights", "multiplies", "kB"]
    assert [line.split()[0] for line in lines] == model_names()


def test_models_says_what_a_file_holds(vidsr: Command, here: Path) -> None:
    network = srcnn(9, 1, 5, 8, 4, 3)
    scored = {"scores": {"set5": 37.204, "set14": 32.8}, "kodak24_psnr": 33.1, "seed": 7}
    save_weights(
        here / "mine.npz", Weights(architecture=network, tensors=random_weights(network).tensors, facts=scored)
    )
    (row,) = json.loads(vidsr("models", "--json", "mine.npz").out)
    assert row == {
        "name": "mine.npz",
        "network": "srcnn(9,1,5,8,4)",
        "scale": 3,
        "weights": 81 * 8 + 8 * 4 + 25 * 4,
        "multiplies": 9 * (81 * 8 + 8 * 4 + 25 * 4),
        "bytes": (here / "mine.npz").stat().st_size,
        "ms": None,
        "scores": {"set14": 32.8, "set5": 37.204, "kodak24": 33.1},
    }
    assert vidsr("models", "mine.npz").out.splitlines()[1].split()[-3:] == ["33.10", "37.20", "32.80"]


def test_models_are_timed_when_asked(vidsr: Command, tiny_model: str) -> None:
    (row,) = json.loads(vidsr("models", "--time", "--size", "64x48", "--json", tiny_model).out)
    assert 0 < row["ms"] < 1000
    head, line = vidsr("models", "--time", "--size", "64x48", tiny_model).out.splitlines()
    assert head.split()[6] == "ms"
    assert float(line.split()[6]) > 0


def test_columns_stand_under_their_names_where_some_scores_are_missing(vidsr: Command, here: Path) -> None:
    for name, facts in (("a", {"scores": {"set5": 30.0}}), ("long-name", {"scores": {"set14": 29.0}})):
        weights = tiny_weights()
        made = Weights(architecture=weights.architecture, tensors=weights.tensors, facts=facts)
        save_weights(here / f"{name}.npz", made)
    head, first, second = vidsr("models", "a.npz", "long-name.npz").out.splitlines()
    assert head.split()[-2:] == ["set5", "set14"]
    assert [line.split()[-2:] for line in (first, second)] == [["30.00", "-"], ["-", "29.00"]]
    assert len(head) == len(first) == len(second)


@pytest.mark.parametrize("size", ["banana", "0x9", "640", "99999x9"])
def test_a_size_that_makes_no_sense_is_refused(vidsr: Command, size: str) -> None:
    ended = vidsr("models", "--time", "--size", size)
    assert (ended.code, ended.out, ended.err.count("\n")) == (USAGE, "", 1)
    assert ended.err.startswith("vidsr: --size must be ")


def test_a_size_without_a_time_is_refused(vidsr: Command) -> None:
    ended = vidsr("models", "--size", "640x360")
    assert (ended.code, ended.err) == (USAGE, "vidsr: --size needs --time, which measures\n")


def test_a_model_that_is_none_is_refused(vidsr: Command, here: Path) -> None:
    (here / "mine.npz").write_text("text")
    assert vidsr("models", "mine.npz").code == vidsr("models", "banana").code == MODEL


# Export


@pytest.mark.parametrize(
    ("kind", "package", "files"),
    [
        ("onnx", "onnx", ["tiny.onnx"]),
        ("openvino", "onnx", ["tiny.bin", "tiny.xml"]),
        ("torch", "torch", ["tiny.pt2"]),
    ],
)
def test_export_writes_under_the_name_of_the_model(
    vidsr: Command, here: Path, tiny_model: str, kind: str, package: str, files: list[str]
) -> None:
    pytest.importorskip(package)
    ended = vidsr("export", tiny_model, "--to", kind)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith(f"tiny{Path(files[-1]).suffix}: fsrcnn(8,4,1) x2, ")
    assert sorted(os.listdir(here)) == files
    before = contents(here)
    said = [text for text in (ended.err.encode(), *before.values()) if b"INFERENCE_PRECISION_HINT=f32" in text]
    assert len(said) == (2 if kind == "openvino" else 0)  # on the terminal and in the file
    again = vidsr("export", tiny_model, "--to", kind)
    assert again.code == TARGET
    assert again.err == f"vidsr: {files[-1]}: exists already (--overwrite replaces it)\n"
    assert contents(here) == before
    report = json.loads(vidsr("export", tiny_model, "--to", kind, "--overwrite", "--json").out)
    assert sorted(report["files"]) == files
    assert report["bytes"] == sum(len(content) for content in contents(here).values())
    assert report["distance"] <= 0.52


def test_what_is_exported_is_the_network(vidsr: Command, here: Path) -> None:
    pytest.importorskip("onnx")
    for arguments in (["fsrcnn-x2", "--to", "onnx", "two.onnx"], ["fsrcnn-x2", "two.xml", "--to", "openvino"]):
        assert vidsr("export", *arguments).code == 0
    plane = np.random.default_rng(0).random((1, 1, 9, 11), dtype=np.float32)
    onnx = run_network((here / "two.onnx").read_bytes(), plane)
    ir = run_network((here / "two.xml").read_bytes(), plane, weights=(here / "two.bin").read_bytes())
    assert np.allclose(onnx, ir, atol=1e-5)
    assert onnx.shape == (1, 1, 18, 22)
    assert b"Apache-2.0" in (here / "two.onnx").read_bytes()


def test_a_bin_that_is_there_is_in_the_way_as_well(vidsr: Command, here: Path, tiny_model: str) -> None:
    pytest.importorskip("onnx")
    (here / "tiny.bin").write_text("mine")
    ended = vidsr("export", tiny_model, "--to", "openvino")
    assert ended == Ended(TARGET, "", "vidsr: tiny.bin: exists already (--overwrite replaces it)\n")
    assert contents(here) == {here / "tiny.bin": b"mine"}


def test_a_target_of_another_name_or_place_is_refused(vidsr: Command, here: Path, tiny_model: str) -> None:
    assert vidsr("export", tiny_model, "--to", "onnx", "tiny.npz").code == USAGE
    assert vidsr("export", tiny_model, "--to", "onnx", "none/tiny.onnx").code == TARGET
    assert vidsr("export", "banana", "--to", "onnx").code == MODEL
    assert vidsr("export", tiny_model, "--to", "caffe").code == USAGE
    assert os.listdir(here) == []


def test_a_disk_that_is_full_leaves_nothing(vidsr: Command, here: Path, tiny_model: str) -> None:
    pytest.importorskip("onnx")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        ended = vidsr("export", tiny_model, "--to", "onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ended == Ended(TARGET, "", "vidsr: tiny.onnx: File too large\n")
    assert os.listdir(here) == []


def test_a_family_is_exported_under_its_whole_name(vidsr: Command, here: Path) -> None:
    pytest.importorskip("onnx")
    assert vidsr("export", "fsrcnn", "--to", "onnx").code == 0
    assert os.listdir(here) == ["fsrcnn-x2.onnx"]


@pytest.mark.parametrize(
    ("arguments", "package", "module", "extra"),
    [
        (["export", "fsrcnn-x2", "--to", "onnx"], "onnx", "vidsr.interop.onnx_export", "export"),
        (["export", "fsrcnn-x2", "--to", "openvino"], "onnx", "vidsr.interop.onnx_export", "export"),
        (["export", "fsrcnn-x2", "--to", "torch"], "torch", "vidsr.training.export", "train"),
        (["import", "a.pth", "a.npz", "--scale", "2"], "torch", "vidsr.training.state_dict_import", "train"),
    ],
)
def test_a_package_that_is_missing_is_named_with_what_to_install(
    vidsr: Command,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    package: str,
    module: str,
    extra: str,
) -> None:
    missing(package, module, monkeypatch)
    sentence = f"vidsr: this needs the package {package}: pip install 'vidsr[{extra}]'\n"
    assert vidsr(*arguments) == Ended(USAGE, "", sentence)
    assert os.listdir(here) == []


# Import


@pytest.fixture
def port(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state dict as a project of others saves it, of an FSRCNN(10,4,1) x2."""
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(PORTS)
    from ports import fsrcnn_parts

    torch.save(fsrcnn_parts(2, 10, 4, 1).state_dict(), here / "theirs.pth")
    return here / "theirs.pth"


def test_what_is_imported_enlarges_a_clip(vidsr: Command, here: Path, port: Path) -> None:
    ended = vidsr("import", port, "mine.npz", "--scale", "2")
    recognised = "recognised fsrcnn(10,4,1) x2 with prelu, 1,284 weights; written to mine.npz"
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.splitlines()[0] == f"{port}: {recognised}"
    assert load_weights(here / "mine.npz").facts["source"] == "theirs.pth"
    make_clip(here / "old.mp4", pts=[0, 512, 1024])
    assert vidsr("upscale", "--workers", "0", "--model", "mine.npz", "old.mp4", "new.mp4").code == 0
    pictures = read_with_av(here / "new.mp4").pictures
    assert [(picture.width, picture.height) for picture in pictures] == [(192, 128)] * 3


def test_import_as_json_is_the_report_and_nothing_else(vidsr: Command, port: Path) -> None:
    ended = vidsr("import", "--json", "-q", port, "mine.npz", "--scale", "2")
    assert json.loads(ended.out) == {"target": "mine.npz", "network": "fsrcnn(10,4,1) x2", "weights": 1284}
    assert ended.err == ""


def test_a_network_that_changes_the_brightness_is_warned_of(
    vidsr: Command, port: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert vidsr("import", port, "two.npz", "--scale", "2").code == 0
    assert caplog.messages == []
    assert vidsr("import", port, "four.npz", "--scale", "4").code == 0
    (warning,) = caplog.messages
    assert warning.endswith("for a plane of 128; check that it takes luma in 0..1 and has scale 4")


def test_a_file_that_is_refused_leaves_nothing(vidsr: Command, here: Path) -> None:
    pytest.importorskip("torch")
    (here / "theirs.pth").write_text("text")
    ended = vidsr("import", "theirs.pth", "mine.npz", "--scale", "2")
    assert (ended.code, ended.out, ended.err.count("\n")) == (MODEL, "", 1)
    assert ended.err.startswith("vidsr: theirs.pth: no state dict of PyTorch")
    assert os.listdir(here) == ["theirs.pth"]


def test_an_import_replaces_nothing_unasked(vidsr: Command, here: Path, port: Path) -> None:
    (here / "mine.npz").write_text("mine")
    before = contents(here)
    assert vidsr("import", port, "mine.npz", "--scale", "2").code == TARGET
    assert vidsr("import", port, "mine.pth", "--scale", "2").code == USAGE
    assert vidsr("import", port, "mine.npz").code == USAGE
    assert contents(here) == before
    assert vidsr("import", port, "mine.npz", "--scale", "2", "--overwrite").code == 0
    assert load_weights(here / "mine.npz").architecture.scale == 2
