"""Graphs prove themselves: what is wrong on this CPU is not used, and said; verdicts are kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made import scene, tiny_weights

from vidsr.arrays import Plane
from vidsr.cpu import this_cpu
from vidsr.engine import Engine, expected_precision
from vidsr.engine.accuracy import MAX_ERROR, AccuracyCheck, allowed_mse, natural_pattern
from vidsr.engine.blocking import blockings, default_blocking
from vidsr.engine.compiled_network import CompiledNetwork
from vidsr.engine.precision import precision_on
from vidsr.engine.tiles import SIDES
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model, model_names

INTEGERS = precision_on("int8", this_cpu())
PLANE = scene(0)[..., 0]
BYTES = np.dtype(np.uint8)


def reference(weights: Weights) -> CompiledNetwork:
    return CompiledNetwork(weights, precision="f32", blocking=default_blocking(weights.architecture), threads=1)


# What is compared


def test_the_pattern_has_flat_parts_edges_texture_and_extremes_and_repeats_itself() -> None:
    pattern = natural_pattern()
    steps = np.abs(np.diff(np.concatenate([pattern, pattern[:, :1]], axis=1), axis=1))
    assert (pattern.min(), pattern.max()) == (0, 255)
    assert np.mean(steps < 0.01) > 0.03
    assert np.mean((steps > 1) & (steps < 10)) > 0.2
    assert np.mean(steps > 40) > 0.005
    assert steps[:, -1].mean() < 8, "its ends do not meet"


def spoilt(how: Callable[[np.ndarray[tuple[int, ...], np.dtype[np.float64]]], None], weights: Weights) -> str:
    """The fault of a graph that computes f32, with something done to its result."""
    network = reference(weights)

    def upscale(tiles: Plane, depth: int) -> Plane:
        result = network.upscale_tiles(tiles, depth).astype(float)
        how(result)
        return np.clip(np.round(result), 0, 255).astype(np.uint8)

    check = AccuracyCheck(weights, network.upscale_tiles)
    graph = f"{INTEGERS} {how.__name__}"
    return check.find_fault(upscale, (1, 128, 128), BYTES, 8, precision=INTEGERS, graph=graph)


def test_every_kind_of_error_is_found_and_rounding_is_none(cache: Path) -> None:
    weights, random = load_model("fsrcnn-fast-x2"), np.random.default_rng(0)

    def nothing(result: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        pass

    def rounding(result: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        result += random.normal(0, 0.5, result.shape)

    def shifted(result: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        result[:] = np.roll(result, 1, axis=2)

    def one_column_in_eight(result: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        result[..., 3::8] += 6

    def one_pixel(result: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        result[0, 100, 100] += MAX_ERROR + 1 if result[0, 100, 100] < 128 else -MAX_ERROR - 1

    def a_little_darker(result: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        result -= 2

    def black(result: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        result[:] = 0

    assert spoilt(nothing, weights) == spoilt(rounding, weights) == ""
    for how in (shifted, one_column_in_eight, one_pixel, a_little_darker, black):
        fault = spoilt(how, weights)
        assert str(this_cpu()) in fault
        assert "at 128x128" in fault


def test_the_allowance_is_the_recorded_loss_and_a_tenth_of_a_db() -> None:
    weights = load_model("fsrcnn-x2")
    assert weights.calibration
    own_mse = 255**2 / 10**3.33
    loss = weights.calibration.losses["int8"] + 0.1
    assert 10 * np.log10((own_mse + allowed_mse(weights, "int8")) / own_mse) == pytest.approx(loss)
    assert allowed_mse(tiny_weights(), "int8") > allowed_mse(weights, "int8")


def natural(shape: tuple[int, ...], depth: int) -> Plane:
    """(..., H, W) of the pattern from its middle on, over and over."""
    levels = np.round(np.roll(natural_pattern(), 64, axis=(0, 1)) * (2**depth - 1) / 255)
    rows, columns = (np.arange(length) % len(levels) for length in shape[-2:])
    plane = levels[np.ix_(rows, columns)].astype(np.uint8 if depth == 8 else np.uint16)
    return np.broadcast_to(plane, shape).copy()


def mse(result: Plane, expected: Plane, depth: int) -> float:
    return float(np.mean(((result.astype(float) - expected) * 255 / (2**depth - 1)) ** 2))


def tiles_error(engine: Engine, plain: Engine, side: int, depth: int) -> float:
    tiles = natural((SIDES[-1] // side, *[side + 2 * engine.halo] * 2), depth)
    return mse(engine.upscale_tiles(tiles, depth), plain.upscale_tiles(tiles, depth), depth)


@pytest.mark.parametrize(("name", "number"), [(name, number) for number, name in enumerate(model_names())])
def test_every_network_that_ships_is_computed_accurately_here(name: str, number: int, cache: Path) -> None:
    """On whole planes, and on tiles of one side: the next networks have the next sides, then the other depth.

    That tiles of every side are the whole is tested with each architecture.
    """
    depth, side = (8, 10)[number // len(SIDES) % 2], SIDES[number % len(SIDES)]
    engine, plain = Engine(name, threads=1), Engine(name, threads=1, precision="f32")
    allowed = 2 * allowed_mse(engine.weights, "int7")
    plane = natural((90, 160), depth)
    assert mse(engine(plane, depth), plain(plane, depth), depth) <= allowed
    assert engine.precision == expected_precision(engine.weights).precision or engine.warnings
    assert tiles_error(engine, plain, side, depth) <= allowed


@pytest.mark.slow
@pytest.mark.parametrize("name", model_names())
def test_tiles_of_every_side_and_depth_are_accurate_with_every_network(name: str, cache: Path) -> None:
    engine, plain = Engine(name, threads=1), Engine(name, threads=1, precision="f32")
    for side in SIDES:
        for depth in (8, 10):
            assert tiles_error(engine, plain, side, depth) <= 2 * allowed_mse(engine.weights, "int7")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("name", model_names())
def test_every_graph_of_every_network_is_accurate_or_refused_and_named(name: str, precision: str, cache: Path) -> None:
    weights = load_model(name)
    if precision_on(precision, this_cpu()) == "f32":
        pytest.skip("this CPU has no bf16")
    plain = Engine(weights, threads=1, precision="f32")
    for blocking in blockings(weights.architecture):
        for depth in (8, 10):
            engine = Engine(weights, threads=1, precision=precision, blocking=blocking)
            for shape in ((90, 160), (64, 640), (17, 33)):
                plane = natural(shape, depth)
                allowed = 2 * allowed_mse(weights, engine.precision)
                assert mse(engine(plane, depth), plain(plane, depth), depth) <= allowed
            assert (engine.precision == precision_on(precision, this_cpu())) == (not engine.warnings)
