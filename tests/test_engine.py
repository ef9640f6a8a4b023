"""The engine computes the network, whatever the shape, the depth and the bands."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made import random_weights, tiny_weights
from numpy.typing import NDArray
from oracles import network

from vidsr.engine import BAND_PIXELS, Engine
from vidsr.model.architecture import ACTIVATIONS, Architecture, fsrcnn, srcnn
from vidsr.model.weights import Weights, with_mapping_layers, with_tail_kernel
from vidsr.quality.matlab import imresize


def noise(shape: tuple[int, int], *, depth: int = 8, seed: int = 0) -> NDArray[np.uint8] | NDArray[np.uint16]:
    dtype = np.uint8 if depth == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**depth, shape, dtype)


def furthest(result: NDArray[np.generic], expected: NDArray[np.float64], *, depth: int = 8) -> float:
    """The largest distance, in grey levels, between what came out and what should have been rounded."""
    return float(np.abs(result - np.clip(expected, 0, 2**depth - 1)).max())


# What it computes


@pytest.mark.parametrize("dimensions", [(8, 4, 1), (12, 5, 3), (6, 6, 2), (8, 4, 0)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_computes_the_network_as_it_is_defined(scale: int, dimensions: tuple[int, int, int]) -> None:
    weights, plane = tiny_weights(scale, dimensions), noise((13, 18))
    result = Engine(weights, threads=1)(plane)
    assert furthest(result, network(weights, plane)) < 0.51
    assert furthest(result, imresize(plane, scale)) > 5, "the network adds nothing: this proves little"


def others(scale: int) -> list[Architecture]:
    """Every kind of network beside FSRCNN as it ships: SRCNN, each activation, each kernel, no residual."""
    return [
        srcnn(9, 1, 5, 8, 4, scale),
        srcnn(5, 3, 3, 6, 4, scale, activation="prelu", residual=False),
        *(fsrcnn(8, 4, 1, scale, activation=activation) for activation in ACTIVATIONS),
        *(fsrcnn(6, 6, 2, scale, kernel=kernel) for kernel in (2 * scale, 3 * scale, 5 * scale)),
        fsrcnn(8, 4, 1, scale, padding=4, residual=False),
        fsrcnn(6, 6, 0, scale, long_skip=True),
        fsrcnn(6, 6, 2, scale, kernel=3 * scale, long_skip=True),
    ]


def check_bands(weights: Weights) -> None:
    plane = noise((13, 18))
    assert furthest(Engine(weights, threads=1, band_pixels=40)(plane), network(weights, plane)) < 0.51


def check_deep(weights: Weights) -> None:
    deep = noise((7, 9), depth=10)
    assert furthest(Engine(weights, threads=1)(deep, 10), network(weights, deep, peak=1023), depth=10) < 0.6


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_computes_every_other_kind_of_network_as_it_is_defined(scale: int, number: int) -> None:
    """Each kind at every scale; at one of them in bands, too, and at the next one 10 bits."""
    weights, plane = random_weights(others(scale)[number]), noise((13, 18))
    assert furthest(Engine(weights, threads=1)(plane), network(weights, plane)) < 0.51
    match (scale + number) % 3:
        case 0:
            check_bands(weights)
        case 1:
            check_deep(weights)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bands_and_10_bits_are_computed_by_every_kind_at_every_scale(scale: int, number: int) -> None:
    weights = random_weights(others(scale)[number])
    check_bands(weights)
    check_deep(weights)


@pytest.mark.parametrize("activation", ["prelu", "prelu-shared", "relu"])
@pytest.mark.parametrize("kernel", [9, 6])
def test_new_mapping_layers_change_nothing(activation: str, kernel: int) -> None:
    plane = noise((13, 18))
    start = random_weights(fsrcnn(8, 4, 1, 2, activation=activation, kernel=kernel))
    if activation == "relu":
        start.tensors["feature.slope"][:] = start.tensors["shrink.slope"][:] = start.tensors["mapping0.slope"][:] = 0
    longer = with_mapping_layers(start, 3)
    assert str(longer.architecture) == "fsrcnn(8,4,3) x2"
    assert np.array_equal(Engine(longer, threads=1)(plane), Engine(start, threads=1)(plane))
    back = with_mapping_layers(longer, 1)
    assert back.architecture == start.architecture
    assert all(np.array_equal(back.tensors[name], start.tensors[name]) for name in start.tensors)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_wider_deconvolution_changes_nothing(scale: int) -> None:
    start, plane = tiny_weights(scale), noise((13, 18))
    wider = with_tail_kernel(start, 15)
    assert wider.architecture.tail.kernel == 15
    difference = Engine(wider, threads=1)(plane).astype(int) - Engine(start, threads=1)(plane)
    assert np.abs(difference).max() <= 1  # another size of kernel is added up in another order
    for wrong in (14, 7):
        with pytest.raises(ValueError, match="tail_kernel"):
            with_tail_kernel(start, wrong)


@pytest.mark.parametrize("architecture", [srcnn(9, 1, 5, 8, 4, 2), fsrcnn(8, 4, 1, 2, activation="leaky-relu")])
def test_a_network_that_cannot_be_lengthened_is_refused(architecture: Architecture) -> None:
    with pytest.raises(ValueError, match="mapping_layers"):
        with_mapping_layers(random_weights(architecture), 2)


@pytest.mark.parametrize("depth", [10, 12, 16])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_deeper_planes_come_out_as_exact(scale: int, depth: int) -> None:
    weights, plane = tiny_weights(scale), noise((13, 18), depth=depth)
    result = Engine(weights, threads=1)(plane, depth)
    assert result.dtype == np.uint16
    assert result.max() == 2**depth - 1
    assert furthest(result, network(weights, plane, peak=2**depth - 1), depth=depth) < 0.6


def test_the_depth_is_all_of_the_type_when_nothing_is_said(weights: Weights) -> None:
    engine, plane = Engine(weights, threads=1), noise((9, 9), depth=16)
    assert np.array_equal(engine(plane), engine(plane, 16))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 3), (5, 4), (8, 13)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_shape_comes_out_scale_times_as_large(scale: int, shape: tuple[int, int]) -> None:
    weights, plane = tiny_weights(scale), noise(shape)
    result = Engine(weights, threads=1)(plane)
    assert result.shape == (shape[0] * scale, shape[1] * scale)
    assert result.dtype == np.uint8
    assert furthest(result, network(weights, plane)) < 0.51


def test_a_plane_may_lie_in_memory_in_any_way(weights: Weights) -> None:
    engine, plane = Engine(weights, threads=1), noise((24, 20))
    for view in (plane.T, plane[::-1, ::2], np.asfortranarray(plane)):
        assert np.array_equal(engine(view), engine(np.ascontiguousarray(view)))


# How it computes it


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bands_give_exactly_the_whole(scale: int, number: int) -> None:
    shape = ((1, 1), (17, 1), (16, 20), (23, 21))[number]
    band_pixels = (1, 41, 200)[(scale + number) % 3]  # a row, two or three that do not divide the height, ten
    weights, plane = tiny_weights(scale), noise(shape)
    whole = Engine(weights, threads=1, band_pixels=BAND_PIXELS)(plane)
    assert np.array_equal(Engine(weights, threads=1, band_pixels=band_pixels)(plane), whole)


def test_one_engine_takes_sizes_and_depths_in_any_order(weights: Weights) -> None:
    engine = Engine(weights, threads=1)
    cases = [((6, 8), 8), ((9, 5), 8), ((6, 8), 10), ((6, 8), 16), ((4, 4), 8), ((7, 7), 8), ((6, 8), 8), ((6, 8), 10)]
    for shape, depth in cases:
        plane = noise(shape, depth=depth)
        assert np.array_equal(engine(plane, depth), Engine(weights, threads=1)(plane, depth)), (shape, depth)


def test_planes_of_both_types_at_one_shape_and_depth_do_not_meet(weights: Weights) -> None:
    engine, plane = Engine(weights, threads=1), noise((6, 8))
    deep = engine(plane.astype(np.uint16), 8)
    assert deep.dtype == np.uint16
    assert np.array_equal(deep, engine(plane, 8))


def test_a_view_is_taken_as_it_looks_and_is_left_alone(weights: Weights) -> None:
    engine, wide = Engine(weights, threads=1), noise((20, 40))
    view = wide[3:17:2, ::-3]
    view.flags.writeable = False
    before = wide.copy()
    assert np.array_equal(engine(view), engine(np.ascontiguousarray(view)))
    assert np.array_equal(wide, before)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_pixel_depends_on_its_halo_and_on_nothing_beyond(scale: int) -> None:
    engine, plane = Engine(tiny_weights(scale), threads=1), noise((40, 40))
    own = (slice(20 * scale, 21 * scale),) * 2
    reached = 0
    for distance in range(1, 20):
        other = plane.copy()
        other[:, 20 + distance :] ^= 255
        if not np.array_equal(engine(other)[own], engine(plane)[own]):
            reached = distance
    assert 0 < reached <= engine.halo


def test_the_edge_of_a_plane_is_repeated_beyond_it(weights: Weights) -> None:
    engine, plane = Engine(weights, threads=1), noise((10, 12))
    padded = np.pad(plane, 5, mode="edge")
    assert np.array_equal(engine(padded)[10:-10, 10:-10], engine(plane))


# What it refuses


@pytest.mark.parametrize(
    "plane",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), np.int16),
        np.zeros((4, 4), ">u2"),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
    ],
)
def test_what_is_no_plane_is_refused(weights: Weights, plane: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="takes"):
        Engine(weights, threads=1)(plane)


@pytest.mark.parametrize("depth", [0, 9, 16])
def test_a_depth_that_the_type_does_not_hold_is_refused(weights: Weights, depth: int) -> None:
    with pytest.raises(ValueError, match="does not fit into uint8"):
        Engine(weights, threads=1)(noise((4, 4)), depth)


def test_a_model_is_a_file_or_weights(weights: Weights, tiny_model: str) -> None:
    plane = noise((6, 7))
    assert np.array_equal(Engine(tiny_model, threads=1)(plane), Engine(weights, threads=1)(plane))


def test_openvino_writes_nothing_into_the_home_directory(tmp_path: Path) -> None:
    """Its package for reports of its use does, as soon as it is imported."""
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", "import vidsr.engine"], env=home, capture_output=True, check=True)
    assert (done.stdout, done.stderr, list(tmp_path.iterdir())) == (b"", b"", [])


SIGNALLED = """
import gc, os, signal, sys, time
sys.path.insert(0, {tests!r})
import numpy as np
from made import tiny_weights
from vidsr.engine import Engine
signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
engines = [Engine(tiny_weights(seed=seed), threads=1, precision="f32") for seed in range(2)]
for engine in engines:
    engine(np.zeros((20, 20), np.uint8))
del engine
while engines:
    engines.pop(0)
    gc.collect()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.01)
"""


def test_a_process_whose_engines_have_gone_can_be_sent_a_signal() -> None:
    """Each core of OpenVINO leaves a stack for signals behind: the process ended by SIGSEGV instead."""
    code = SIGNALLED.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("handled\n", 0), done.stderr
