"""Images are scored by the protocol of the papers."""

from pathlib import Path

import numpy as np
import pytest
from made import scene
from PIL import Image

from vidsr.engine import Engine
from vidsr.model.weights import Weights
from vidsr.quality.evaluation import ResultRow, collect, evaluate_image, means
from vidsr.quality.matlab import CUBIC, LANCZOS3, Kernel, imresize, studio_luma
from vidsr.quality.metrics import PERFECT_DB, psnr, score_image
from vidsr.quality.upscalers import make_upscalers, network_upscaler, to_uint8

IMAGES = Path(__file__).resolve().parents[2] / "shared" / "data" / "images" / "test"
ANCHORS = {("set5", 2): 33.66, ("set5", 3): 30.39, ("set5", 4): 28.42}
ANCHORS |= {("set14", 2): 30.23, ("set14", 3): 27.54, ("set14", 4): 26.00}


def fail_on_warning(sentence: str) -> None:
    pytest.fail(sentence)


@pytest.mark.skipif(not IMAGES.exists(), reason="the public test sets are not beside the project")
@pytest.mark.parametrize(("name", "scale"), ANCHORS)
def test_bicubic_has_the_psnr_of_the_papers_and_lanczos_a_little_more(name: str, scale: int) -> None:
    (image_set,) = collect([IMAGES / name], scale, fail_on_warning)
    upscalers = make_upscalers({}, scale)
    rows = means(row for path in image_set.images for row in evaluate_image(path, image_set, scale, upscalers))
    found = {(row.input, row.method): row.psnr for row in rows}
    assert found["P1", "bicubic"] == pytest.approx(ANCHORS[name, scale], abs=0.01)
    assert 0.2 < found["P1", "lanczos"] - found["P1", "bicubic"] < 0.7
    assert found["P2", "bicubic"] == pytest.approx(found["P1", "bicubic"], abs=0.02)


def test_luma_spans_16_to_235_and_a_grey_image_is_unchanged() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8)
    assert studio_luma(colours).tolist() == [[16, 235, 81]]
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert studio_luma(grey) is grey


@pytest.mark.parametrize("kernel", [CUBIC, LANCZOS3], ids=["cubic", "lanczos"])
def test_reducing_averages_over_the_whole_footprint(kernel: Kernel) -> None:
    checker = np.indices((16, 16)).sum(axis=0) % 2 * 255
    assert np.abs(imresize(checker, 1 / 2, kernel) - 127.5).max() < 16  # without antialiasing: black or white


@pytest.mark.parametrize("kernel", [CUBIC, LANCZOS3], ids=["cubic", "lanczos"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_resizing_keeps_a_constant_and_a_ramp(scale: int, kernel: Kernel) -> None:
    ramp = np.tile(np.arange(24.0), (24, 1))
    inner = slice(3, -3)
    large = imresize(ramp, scale, kernel)
    expected = (np.arange(24 * scale) + 0.5) / scale - 0.5
    exact = {CUBIC: 1e-9, LANCZOS3: 0.03}[kernel]  # Lanczos does not keep a ramp exactly
    assert np.allclose(imresize(np.full((9, 7), 77), scale, kernel), 77)
    assert np.allclose(large[:, inner][:, 3 * scale : -3 * scale], expected[inner][3 * scale : -3 * scale], atol=exact)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lanczos_agrees_with_pillow(scale: int) -> None:
    plane = scene(0)[..., 0]
    inner = slice(4 * scale, -4 * scale)  # Pillow ignores pixels beyond the edge, where imresize mirrors
    expected = np.asarray(Image.fromarray(plane).resize((96 * scale, 64 * scale), Image.Resampling.LANCZOS), int)
    assert np.abs(to_uint8(imresize(plane, scale, LANCZOS3)) - expected)[inner, inner].max() <= 1


def test_rounded_and_not_rounded_input_agree_up_to_rounding(weights: Weights) -> None:
    upscale = network_upscaler(Engine(weights, threads=1))
    small = np.random.default_rng(0).uniform(20, 230, (40, 30))
    assert psnr(upscale(small), upscale(to_uint8(small))) > 45
    assert np.abs(upscale(to_uint8(small).astype(float)).astype(int) - upscale(to_uint8(small))).max() <= 1


def test_the_original_scores_perfect_and_a_level_of_error_does_not() -> None:
    luma = scene(0, (61, 47))[..., 0]
    whole = luma[:46, :60]
    upscalers = {"lanczos": lambda small: whole, "off": lambda small: whole + np.uint8(1)}
    scores = score_image(luma, 2, upscalers)
    assert {name: each["lanczos"].psnr for name, each in scores.items()} == {"P1": PERFECT_DB, "P2": PERFECT_DB}
    assert scores["P1"]["off"].psnr == pytest.approx(20 * np.log10(255))
    assert scores["P1"]["lanczos"].ssim == pytest.approx(1)


def test_means_are_per_set_scale_input_and_method_and_keep_the_worst() -> None:
    def row(name: str, input_: str, gain: float) -> ResultRow:
        scores = {"psnr": 30 + gain, "ssim": 0.5, "gain": gain, "worst": gain}
        return ResultRow(collection="set", name=name, scale=2, input=input_, method="m", **scores)

    first, second = means([row("a", "P1", 1.0), row("a", "P2", 5.0), row("b", "P1", -3.0)])
    assert (first.input, first.name, first.psnr, first.gain, first.worst) == ("P1", "mean of 2", 29.0, -1.0, -3.0)
    assert (second.input, second.name, second.gain) == ("P2", "mean of 1", 5.0)
