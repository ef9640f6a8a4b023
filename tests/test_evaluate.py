"""`vidsr evaluate`: its output, the files it skips, and its exit codes."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
from commands import DAMAGED, SOURCE, TARGET, USAGE, Command
from made import make_clip, scene, still_clip
from PIL import Image

from vidsr.media.image_reader import read_image

pytest.importorskip("matplotlib")


@pytest.fixture
def evaluate(vidsr: Command, tiny_model: str) -> Command:
    """`vidsr evaluate` with the small network."""
    return partial(vidsr, "evaluate", "--model", tiny_model)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of two images."""
    folder = tmp_path / "two"
    folder.mkdir()
    for index in (0, 1):
        Image.fromarray(scene(index)).save(folder / f"{'ab'[index]}.png")
    return folder


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A clip of four frames."""
    return make_clip(tmp_path / "short.mp4", pts=[0, 512, 1024, 1536])


def test_images_have_a_line_per_method_and_protocol(evaluate: Command, pictures: Path, tiny_model: str) -> None:
    ended = evaluate(pictures)
    lines = [line.split() for line in ended.out.splitlines()]
    assert (ended.code, ended.err) == (0, "")
    assert lines[0] == ["set", "scale", "input", "method", "PSNR-Y", "SSIM", "gain", "worst"]
    assert [line[0] for line in lines[1:]] == ["two"] * 6
    assert [(line[5], line[6]) for line in lines[1:]] == [
        (given, method) for given in ("P1", "P2") for method in ("bicubic", "lanczos", tiny_model)
    ]
    assert {line[9] for line in lines if "lanczos" in line} == {"+0.00"}


def test_each_prints_a_line_per_image(evaluate: Command, pictures: Path) -> None:
    names = [line.split()[1] for line in evaluate("--each", pictures).out.splitlines()[1:]]
    assert names == ["a"] * 6 + ["b"] * 6 + ["mean"] * 6


def test_json_has_every_number(evaluate: Command, pictures: Path, short: Path, tiny_model: str) -> None:
    found = json.loads(evaluate("--json", "--crf", "none,30", "--frames", "3", pictures, short).out)
    assert [len(found["each"]), len(found["means"])] == [12 + 6, 6 + 6]
    clip = next(row for row in found["each"] if row["input"] == "crf 30" and row["method"] == tiny_model)
    assert (clip["collection"], clip["name"], clip["frames"], clip["scale"]) == ("files", "short", 3, 2)
    baseline = next(row for row in found["each"] if row["input"] == "crf 30" and row["method"] == "lanczos")
    assert clip["gain"] == pytest.approx(clip["psnr"] - baseline["psnr"])


def test_clips_show_flicker(evaluate: Command, short: Path) -> None:
    head, *lines = evaluate(short).out.splitlines()
    assert head.split()[-2:] == ["flicker", "(source)"]
    assert len(lines) == 3


def test_the_loss_by_reuse_is_a_line_of_its_own_for_clips(
    evaluate: Command, tmp_path: Path, pictures: Path, tiny_model: str
) -> None:
    still = still_clip(tmp_path, noise=2)
    head, *lines = evaluate("--reuse", "4", still, pictures).out.splitlines()
    reused = [line for line in lines if f"{tiny_model} --reuse 4 " in line]
    assert (len(lines), len(reused)) == (6 + 4, 1)
    assert head.split()[-4:] == ["loss", "reused", "flicker", "(source)"]
    found = json.loads(evaluate("--json", "--reuse", "4", still).out)["means"]
    whole, lossy = found[2:]
    assert whole["psnr"] != lossy["psnr"]
    assert whole["reused"] is None
    assert 0 < lossy["reused"] < 1
    assert reused[0].split()[-4:-2] == [f"{whole['psnr'] - lossy['psnr']:.3f}", f"{lossy['reused']:.0%}"]


def test_without_a_model_every_network_of_the_zoo_at_that_scale_is_evaluated(vidsr: Command, pictures: Path) -> None:
    found = json.loads(vidsr("evaluate", "--json", "--scale", "3", pictures).out)
    networks = {row["method"] for row in found["means"]} - {"bicubic", "lanczos"}
    assert "fsrcnn-x3" in networks
    assert {row["scale"] for row in found["means"]} == {3}


def test_models_of_two_scales_are_each_evaluated_at_their_own(vidsr: Command, pictures: Path) -> None:
    found = json.loads(vidsr("evaluate", "--json", "--model", "fsrcnn-x2", "--model", "fsrcnn-x4", pictures).out)
    assert [(row["scale"], row["method"]) for row in found["means"] if row["input"] == "P1"] == [
        (scale, method) for scale in (2, 4) for method in ("bicubic", "lanczos", f"fsrcnn-x{scale}")
    ]


def test_folders_of_one_name_are_kept_apart(evaluate: Command, pictures: Path, tmp_path: Path) -> None:
    other = tmp_path / "more" / "two"
    shutil.copytree(pictures, other)
    found = json.loads(evaluate("--json", pictures, other).out)
    assert {row["collection"] for row in found["means"]} == {str(pictures), str(other)}


# What cannot be measured


def test_an_unreadable_image_and_one_too_small_are_reported_and_skipped(
    evaluate: Command, pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (pictures / "broken.png").write_text("text")
    Image.new("L", (14, 40)).save(pictures / "narrow.png")
    ended = evaluate("--each", pictures)
    assert (ended.code, len(ended.out.splitlines())) == (0, 1 + 18)
    fault = "no frame can be decoded: it is damaged, or of a kind that is not read; use a PNG of it"
    assert caplog.messages == [
        f"{pictures / 'broken.png'}: {fault}; skipped",
        f"{pictures / 'narrow.png'}: 14x40 is too small to be evaluated; skipped",
    ]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "the folder has no image and no clip"),
        (["notes.txt"], "the folder has no image and no clip"),
        (["broken.png"], "the folder has no usable image or clip"),
    ],
)
def test_a_folder_without_usable_files_is_an_error(
    evaluate: Command, tmp_path: Path, names: list[str], sentence: str
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("text")
    ended = evaluate(folder)
    assert (ended.code, ended.out) == (SOURCE, "")
    assert ended.err.splitlines()[-1] == f"vidsr: {folder}: {sentence}"


def test_a_single_file_must_be_readable(evaluate: Command, tmp_path: Path, short: Path) -> None:
    ended = evaluate(short, tmp_path / "none.mp4")
    assert (ended.code, ended.out, ended.err) == (
        SOURCE,
        "",
        f"vidsr: {tmp_path / 'none.mp4'}: No such file or directory\n",
    )


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--crf", "99"], USAGE, "--crf must be from 0 to 63, not 99"),
        (["--crf", "18,x"], USAGE, "argument --crf: invalid crf_list value: '18,x'; see vidsr evaluate --help"),
        (["--frames", "0"], USAGE, "--frames must be 1 or more, not 0"),
        (
            ["--min-gain", "nan"],
            USAGE,
            "argument --min-gain: invalid decibels value: 'nan'; see vidsr evaluate --help",
        ),
        (["--crf", "3", "--codec", "ffv1"], USAGE, "ffv1 has no --crf"),
        (["--plot", "plot.jpg"], USAGE, "plot.jpg: the name of a drawing ends in .png"),
    ],
)
def test_invalid_options_are_refused_before_any_work(
    evaluate: Command, pictures: Path, options: list[str], code: int, sentence: str
) -> None:
    ended = evaluate(*options, pictures)
    assert (ended.code, ended.out, ended.err) == (code, "", f"vidsr: {sentence}\n")


# The gate and the plot


def test_a_gain_below_the_gate_is_reported_and_exits_with_7(
    evaluate: Command, pictures: Path, tiny_model: str
) -> None:
    ended = evaluate("--min-gain", "9", pictures)
    assert ended.code == DAMAGED
    assert [line.partition(" dB ")[2] for line in ended.err.splitlines()] == [
        f"over Lanczos on two ({given}) is below +9" for given in ("P1", "P2")
    ]
    assert all(line.startswith(f"vidsr: {tiny_model}: ") for line in ended.err.splitlines())
    assert evaluate("--min-gain", "-99", pictures).code == 0


def test_the_plot_is_a_png_and_is_replaced_only_with_overwrite(
    evaluate: Command, pictures: Path, tmp_path: Path
) -> None:
    plot = tmp_path / "plot.png"
    assert evaluate("--plot", plot, pictures).code == 0
    assert read_image(plot).std() > 5
    again = evaluate("--plot", plot, pictures)
    assert (again.code, again.out) == (TARGET, "")
    assert again.err == f"vidsr: {plot}: exists already (--overwrite replaces it)\n"
    assert evaluate("--plot", plot, "--overwrite", pictures).code == 0


def test_without_matplotlib_a_plot_is_refused_in_one_sentence(
    evaluate: Command, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsr.cli.output.find_spec", lambda name: None)
    ended = evaluate("--plot", tmp_path / "plot.png", pictures)
    assert (ended.code, ended.out) == (USAGE, "")
    assert ended.err == "vidsr: drawing needs matplotlib: pip install 'vidsr[plot]'\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two"]
