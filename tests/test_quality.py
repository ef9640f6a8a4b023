"""Pictures are measured as the papers measure them."""

from pathlib import Path

import numpy as np
import pytest

from vidsr.engine import Engine
from vidsr.metrics import psnr
from vidsr.model.weights import Weights
from vidsr.quality.imresize import imresize
from vidsr.quality.luma import studio_luma
from vidsr.quality.protocol import bicubic, mean, p1, p2, score

IMAGES = Path(__file__).resolve().parents[2] / "shared" / "data" / "images" / "test"
ANCHORS = {("set5", 2): 33.66, ("set5", 3): 30.39, ("set5", 4): 28.42}
ANCHORS |= {("set14", 2): 30.23, ("set14", 3): 27.54, ("set14", 4): 26.00}


@pytest.mark.skipif(not IMAGES.exists(), reason="the public test sets are not beside the project")
@pytest.mark.parametrize(("name", "scale"), ANCHORS)
def test_bicubic_reads_what_the_papers_say(name: str, scale: int) -> None:
    pictures = sorted((IMAGES / name).glob("*.png"))
    assert mean(score(pictures, scale, bicubic(scale))).psnr == pytest.approx(ANCHORS[name, scale], abs=0.01)


def test_luma_spans_16_to_235_and_grey_is_taken_as_it_is() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8)
    assert studio_luma(colours).tolist() == [[16, 235, 81]]
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert studio_luma(grey) is grey


def test_reducing_averages_over_the_whole_footprint() -> None:
    checker = np.indices((16, 16)).sum(axis=0) % 2 * 255
    assert np.abs(imresize(checker, 1 / 2) - 127.5).max() < 16  # without antialiasing it would be black or white


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_resizing_keeps_a_constant_and_a_ramp(scale: int) -> None:
    ramp = np.tile(np.arange(24.0), (24, 1))
    inner = slice(3, -3)
    large = imresize(ramp, scale)
    expected = (np.arange(24 * scale) + 0.5) / scale - 0.5
    assert np.allclose(imresize(np.full((9, 7), 77), scale), 77)
    assert np.allclose(large[:, inner][:, 3 * scale : -3 * scale], expected[inner][3 * scale : -3 * scale])


def test_the_fine_and_the_coarse_protocol_agree_but_for_rounding(weights: Weights) -> None:
    engine = Engine(weights, threads=1)
    small = np.random.default_rng(0).uniform(20, 230, (40, 30))
    assert psnr(p1(engine)(small), p2(engine)(small)) > 45
    bytes_in = np.round(small)
    assert np.abs(p1(engine)(bytes_in).astype(int) - p2(engine)(bytes_in)).max() <= 1
