"""The weights that a measured compression leads to."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import Command
from footage import make_video, scene_frames
from made import AMX, AVX2, VNNI, ZEN2

from vidsr.cpu import Cpu
from vidsr.engine import Engine
from vidsr.errors import ModelError
from vidsr.media.compression_probe import Compression
from vidsr.media.formats import luma_of
from vidsr.model.weights import blend
from vidsr.model.zoo import full_name, load_model, model_names, model_path
from vidsr.model_selection import USUAL_FAMILY, select_family, select_model

SIZE = (192, 128)
CLEAN, VIDEO, COARSE = "fsrcnn-narrow-x2", "fsrcnn-narrow-x2-video", "fsrcnn-narrow-x2-coarse"
NAMES = [CLEAN, VIDEO, COARSE]


# The choice


@pytest.mark.parametrize(
    ("codec", "quantiser", "bits", "model"),
    [
        ("h264", 0.0, 6.0, CLEAN),
        ("h264", 6.0, 5.0, CLEAN),
        ("h264", 6.1, 5.0, f"{VIDEO}25"),
        ("h264", 16.0, 1.5, f"{VIDEO}50"),
        ("h264", 20.0, 1.5, f"{VIDEO}50"),
        ("h264", 20.1, 1.5, f"{VIDEO}75"),
        ("h264", 24.1, 1.5, VIDEO),
        ("h264", 28.0, 9.0, VIDEO),
        ("h264", 28.1, 9.0, f"{COARSE}50"),
        ("mpeg4", 33.0, 0.3, f"{COARSE}50"),
        ("h264", 33.1, 0.3, COARSE),
        ("h264", 3.0, 0.05, f"{VIDEO}75"),
        ("h264", 26.0, 0.05, VIDEO),
        ("hevc", None, 2.5, f"{VIDEO}25"),
        ("hevc", None, 1.4, f"{VIDEO}50"),
        ("av1", None, 0.1, f"{VIDEO}75"),
        ("mjpeg", None, 1.4, VIDEO),
        ("mjpeg", None, 1.5, f"{VIDEO}75"),
        ("prores", None, 3.5, f"{VIDEO}50"),
        ("vp8", None, 0.3, VIDEO),
    ],
)
def test_a_film_gets_the_more_weights_for_video_the_stronger_it_is_compressed(
    codec: str, quantiser: float | None, bits: float, model: str
) -> None:
    found = Compression(codec=codec, lossless=False, quantiser=quantiser, bits_per_pixel=bits)
    assert select_model(found, still=False, scale=2, names=NAMES).model == model


def test_a_film_without_loss_gets_clean_weights_however_few_its_bits() -> None:
    found = Compression(codec="ffv1", lossless=True, quantiser=None, bits_per_pixel=0.01)
    assert str(select_model(found, still=False, scale=2, names=NAMES)) == f"{CLEAN} (ffv1 is lossless)"


HARD = Compression(codec="h264", lossless=False, quantiser=35.0, bits_per_pixel=0.5)


def test_a_picture_gets_clean_weights_however_hard_it_is_compressed() -> None:
    assert str(select_model(HARD, still=True, scale=2, names=NAMES)) == f"{CLEAN} (an image)"


def test_a_scale_without_weights_for_video_gets_clean_ones_and_says_so() -> None:
    choice = select_model(HARD, still=False, scale=3, names=[CLEAN, VIDEO, "fsrcnn-narrow-x3"])
    assert (choice.model, choice.why) == ("fsrcnn-narrow-x3", "no fsrcnn-narrow-x3-video in the zoo")


def test_a_family_without_weights_for_a_coarse_quantiser_gets_those_for_video() -> None:
    assert select_model(HARD, still=False, scale=2, names=[CLEAN, VIDEO]).model == VIDEO
    assert select_model(HARD, still=False, scale=2, names=[CLEAN, COARSE]).model == CLEAN


# The family


WIDE = [f"fsrcnn-wide-x2{end}" for end in ("", "-video")]


@pytest.mark.parametrize(
    ("cpu", "family"),
    [(AMX, "fsrcnn-wide"), (VNNI, "fsrcnn-narrow"), (AVX2, "fsrcnn-narrow"), (ZEN2, "fsrcnn-narrow")],
)
def test_the_wide_network_is_for_cpus_that_afford_it_and_for_those_who_ask(cpu: Cpu, family: str) -> None:
    assert select_family(None, scale=2, names=WIDE, cpu=cpu) == family
    assert select_family("best", scale=2, names=WIDE, cpu=cpu) == "fsrcnn-wide"
    assert select_family("normal", scale=2, names=WIDE, cpu=cpu) == "fsrcnn-narrow"
    assert select_family("fast", scale=2, names=WIDE, cpu=cpu) == "fsrcnn-fast"


@pytest.mark.parametrize("quality", [None, "best"])
def test_a_scale_that_the_wide_network_does_not_have_gets_the_usual_one(quality: str | None) -> None:
    assert select_family(quality, scale=3, names=WIDE, cpu=AMX) == "fsrcnn-narrow"
    assert select_family(quality, scale=2, names=WIDE[:1], cpu=AMX) == "fsrcnn-narrow"


@pytest.mark.parametrize("quality", ["fast", "normal", "best"])
def test_a_quality_is_a_network_in_the_report(vidsr: Command, tmp_path: Path, quality: str) -> None:
    clip = make_video(tmp_path / "clip.mkv", scene_frames(2, size=SIZE), codec="ffv1")
    done = vidsr("upscale", "--json", "--workers", "0", "--quality", quality, clip, tmp_path / "out.mkv")
    assert json.loads(done.out)["weights"].startswith(select_family(quality, scale=2, names=model_names()))


# The names


@pytest.mark.parametrize(
    ("model", "scale", "name"),
    [
        ("fsrcnn", 3, "fsrcnn-x3"),
        ("fsrcnn-x3", 3, "fsrcnn-x3"),
        ("fsrcnn-video", 4, "fsrcnn-x4-video"),
        ("fsrcnn-narrow-video", 2, "fsrcnn-narrow-x2-video"),
        ("fsrcnn-narrow-x2-video", 2, "fsrcnn-narrow-x2-video"),
        ("fsrcnn-narrow-video25", 3, "fsrcnn-narrow-x3-video25"),
        ("fsrcnn-narrow-x4-video75", 4, "fsrcnn-narrow-x4-video75"),
        ("fsrcnn-wide-coarse", 2, "fsrcnn-wide-x2-coarse"),
        ("fsrcnn-wide-coarse50", 3, "fsrcnn-wide-x3-coarse50"),
    ],
)
def test_the_scale_stands_before_what_weights_are_for(model: str, scale: int, name: str) -> None:
    assert full_name(model, scale) == name


@pytest.mark.parametrize("name", [name for name in model_names() if name.endswith(("-video", "-coarse"))])
def test_weights_for_video_are_found_by_family_and_scale(name: str) -> None:
    base, _, kind = name.rpartition("-")
    family, _, scale = base.rpartition("-x")
    assert model_path(f"{family}-{kind}", int(scale)) == model_path(name)


# The mean of two


def test_a_name_with_a_percentage_is_the_mean_of_two_networks() -> None:
    clean, video, coarse = map(load_model, NAMES)
    for first, second, mean in ((clean, video, load_model(f"{VIDEO}25")), (video, coarse, load_model(f"{COARSE}25"))):
        for name, tensor in mean.tensors.items():
            assert np.allclose(tensor, 0.75 * first.tensors[name] + 0.25 * second.tensors[name], atol=1e-6)
        assert mean.calibration
        assert mean.calibration.losses.keys() == {"int8", "int7", "bf16"}
    mean = load_model(f"{VIDEO}25")
    same = load_model("fsrcnn-narrow-video25", 2)
    assert np.array_equal(same.tensors["feature.weight"], mean.tensors["feature.weight"])


def test_there_is_no_mean_without_weights_for_video_or_of_two_architectures() -> None:
    with pytest.raises(ModelError, match="fsrcnn-s-x2-video"):
        load_model("fsrcnn-s-x2-video25")
    with pytest.raises(ModelError, match="no mean of"):
        blend(load_model(CLEAN), load_model("fsrcnn-x2"), 0.5)


@pytest.mark.parametrize(
    ("first", "second", "percent"), [*((CLEAN, VIDEO, percent) for percent in (25, 50, 75)), (VIDEO, COARSE, 50)]
)
def test_a_mean_in_int8_is_as_near_to_its_f32_as_the_two_are(first: str, second: str, percent: int) -> None:
    plane = luma_of(scene_frames(1, size=SIZE)[0])

    def error(name: str) -> float:
        exact, integers = (Engine(name, precision=each, threads=1)(plane).astype(int) for each in ("f32", "int8"))
        return float(np.square(exact - integers).mean())

    assert error(f"{second}{percent}") < 1.3 * max(error(first), error(second))


# The whole


def used(vidsr: Command, *arguments: str | Path) -> str:
    """What the report says of the weights."""
    ended = vidsr("upscale", "--workers", "0", "--json", *arguments)
    assert ended.code == 0
    said: str = json.loads(ended.out)["weights"]
    assert f"  network: {said}\n" in ended.err
    return said


def here(model: str) -> str:
    return model.replace(USUAL_FAMILY, select_family(None, scale=2, names=model_names()))


@pytest.mark.parametrize(("crf", "model"), [("0", CLEAN), ("5", f"{VIDEO}25"), ("27", f"{COARSE}50"), ("40", COARSE)])
def test_a_film_gets_what_its_quantiser_asks_for(vidsr: Command, tmp_path: Path, crf: str, model: str) -> None:
    source = make_video(tmp_path / "in.mp4", scene_frames(3, size=SIZE), options={"crf": crf})
    said = used(vidsr, source, tmp_path / "out.mp4")
    assert said.startswith(f"{here(model)} (")
    assert f"model: {said}" in vidsr("info", source).out


def test_a_picture_is_enlarged_with_clean_weights(vidsr: Command, tmp_path: Path) -> None:
    frames = scene_frames(1, "yuvj420p", size=SIZE)
    source = make_video(tmp_path / "in.jpg", frames, codec="mjpeg", options={"qmin": "30", "qmax": "30"})
    assert used(vidsr, source, tmp_path / "out.png") == f"{here(CLEAN)} (an image)"


@pytest.mark.parametrize("model", ["fsrcnn-s", "fsrcnn-narrow-x2"])
def test_a_model_that_was_named_is_taken_whatever_the_source(vidsr: Command, tmp_path: Path, model: str) -> None:
    source = make_video(tmp_path / "in.mp4", scene_frames(3, size=SIZE), options={"crf": "40"})
    assert used(vidsr, "--model", model, source, tmp_path / "out.mp4") == full_name(model, 2)


def test_the_scale_that_a_size_asks_for_is_that_of_the_choice(vidsr: Command, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", scene_frames(3, size=SIZE), codec="ffv1")
    assert used(vidsr, "--to", "512x384", source, tmp_path / "out.mp4").startswith("fsrcnn-narrow-x3 (ffv1")
