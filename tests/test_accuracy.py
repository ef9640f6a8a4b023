"""Graphs prove themselves: what is wrong on this CPU is not used, and said; verdicts are kept."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import scene, tiny_weights
from test_int8 import strained

from vidsr.arrays import Plane
from vidsr.cpu import this_cpu
from vidsr.engine import BAND_PIXELS, Engine, warn_once
from vidsr.engine.accuracy import MAX_ERROR, AccuracyCheck, allowed_mse, natural_pattern
from vidsr.engine.autotune_cache import cache_path
from vidsr.engine.blocking import blockings, default_blocking
from vidsr.engine.compiled import CompiledNetwork, InaccurateGraphError
from vidsr.engine.precision import supported
from vidsr.engine.tiles import SIDES
from vidsr.model.calibration import Calibration
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model, model_names
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings

INTEGERS = supported("int8", this_cpu())
PLANE = scene(0)[..., 0]
BYTES = np.dtype(np.uint8)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    warn_once.cache_clear()
    return cache_path()


def misjudged(name: str = "fsrcnn-fast-x2") -> Weights:
    """A network whose ranges are a third of what they should be, with recorded losses of nothing."""
    weights = load_model(name)
    assert weights.calibration
    ranges = {layer: ends / np.float32(3) for layer, ends in weights.calibration.ranges.items()}
    losses = dict.fromkeys(("int8", "int7"), 0.0)
    return replace(weights, calibration=Calibration(ranges=ranges, losses=losses))


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
    return check.fault(upscale, (1, 128, 128), BYTES, 8, precision=INTEGERS, graph=graph)


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


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("name", model_names())
def test_every_network_that_ships_is_computed_accurately_here(name: str, depth: int, cache: Path) -> None:
    engine, plain = Engine(name, threads=1), Engine(name, threads=1, precision="f32")
    allowed = 2 * allowed_mse(engine.weights, "int7")
    plane = natural((90, 160), depth)
    assert mse(engine(plane, depth), plain(plane, depth), depth) <= allowed
    for side in SIDES:
        tiles = natural((SIDES[-1] // side, *[side + 2 * engine.halo] * 2), depth)
        assert mse(engine.upscale_tiles(tiles, depth), plain.upscale_tiles(tiles, depth), depth) <= allowed


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("name", model_names())
def test_every_graph_of_every_network_is_accurate_or_refused_and_named(name: str, precision: str, cache: Path) -> None:
    weights = load_model(name)
    if supported(precision, this_cpu()) == "f32":
        pytest.skip("this CPU has no bf16")
    plain = Engine(weights, threads=1, precision="f32")
    for blocking in blockings(weights.architecture):
        for depth in (8, 10):
            engine = Engine(weights, threads=1, precision=precision, blocking=blocking)
            for shape in ((90, 160), (64, 640), (17, 33)):
                plane = natural(shape, depth)
                allowed = 2 * allowed_mse(weights, engine.precision)
                assert mse(engine(plane, depth), plain(plane, depth), depth) <= allowed
            assert (engine.precision == supported(precision, this_cpu())) == (not engine.warnings)


# What becomes of one that is wrong


def test_a_network_that_is_wrong_is_computed_in_f32_with_one_warning(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = misjudged()
    engines = [Engine(weights, threads=1) for _ in range(2)]
    assert {engine.precision for engine in engines} == {INTEGERS}
    for engine in engines:
        assert np.array_equal(engine(PLANE), Engine(weights, threads=1, precision="f32")(PLANE))
        assert engine.precision == "f32"
        assert "wrong on this CPU" in engine.choice.why
        (warning,) = engine.warnings
        assert f"{weights.architecture} in {INTEGERS}" in warning
        assert str(this_cpu()) in warning
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [warning]


def test_eight_bits_that_overflow_are_found_where_there_is_no_vnni(cache: Path) -> None:
    weights = strained()
    check = AccuracyCheck(weights, reference(weights).upscale_tiles)
    build = {
        precision: CompiledNetwork(
            weights, precision=precision, blocking=default_blocking(weights.architecture), threads=1, check=check
        )
        for precision in ("int8", "int7")
    }
    build["int7"].upscale(PLANE, 8, band_pixels=BAND_PIXELS)
    if not this_cpu().has_vnni:
        with pytest.raises(InaccurateGraphError, match=r"in int8.* is wrong on"):
            build["int8"].upscale(PLANE, 8, band_pixels=BAND_PIXELS)


def condemn(cache: Path, part: str) -> None:
    """Turn the verdicts on graphs with `part` in their key into faults, as another run would have found them."""
    machines = json.loads(cache.read_text())
    (entry,) = machines.values()
    found = [key for key in entry["verdicts"] if part in key]
    assert found
    entry["verdicts"] |= dict.fromkeys(found, f"the graph of {part} is wrong on this CPU")
    cache.write_text(json.dumps(machines))


def test_where_one_blocking_is_wrong_the_next_is_used(cache: Path) -> None:
    weights = load_model("fsrcnn-fast-x2")
    usual, following = default_blocking(weights.architecture), blockings(weights.architecture)
    expected = Engine(weights, threads=1)(PLANE)
    condemn(cache, f"{INTEGERS}, blocks of {usual},")
    engine = Engine(weights, threads=1)
    assert engine.blocking == usual
    result = engine(PLANE)
    assert engine.precision == INTEGERS
    assert engine.blocking == next(each for each in following if each != usual)
    assert np.mean(result != expected) < 0.01
    assert engine.warnings == [
        f"the graph of {INTEGERS}, blocks of {usual}, is wrong on this CPU; {engine._network}, is used"
    ]


def test_a_wrong_graph_for_tiles_is_not_used_either(cache: Path) -> None:
    engine = Engine("fsrcnn-fast-x2", threads=1)
    room = np.full((8, 16 + 2 * engine.halo, 16 + 2 * engine.halo), 90, np.uint8)
    expected = engine.upscale_tiles(room, 8)
    condemn(cache, "8x16x16")
    other = Engine("fsrcnn-fast-x2", threads=1)
    other(PLANE)
    assert other.warnings == []
    assert np.abs(other.upscale_tiles(room, 8).astype(int) - expected).max() <= 1
    assert len(other.warnings) == 1


def test_verdicts_are_kept_for_this_network_machine_and_shape_alone(cache: Path) -> None:
    Engine("fsrcnn-fast-x2", threads=1)(PLANE)
    ((machine, entry),) = json.loads(cache.read_text()).items()
    assert str(this_cpu()) in machine
    assert list(entry["verdicts"].values()) == [""]
    before = set(entry["verdicts"])
    for name, plane in (("fsrcnn-fast-x2", PLANE), ("fsrcnn-fast-x2", PLANE[:32]), ("fsrcnn-fast-x2-video", PLANE)):
        Engine(name, threads=1)(plane)
    (entry,) = json.loads(cache.read_text()).values()
    assert len(entry["verdicts"]) == 3
    assert before < set(entry["verdicts"])


def test_f32_is_not_checked(cache: Path) -> None:
    Engine("fsrcnn-fast-x2", threads=1, precision="f32")(PLANE)
    assert not cache.exists()


def test_without_a_place_for_verdicts_engines_check_at_each_start(cache: Path) -> None:
    cache.parent.parent.write_text("a file where the folder should be")
    engine = Engine("fsrcnn-fast-x2", threads=1)
    assert np.array_equal(engine(PLANE), Engine("fsrcnn-fast-x2", threads=1)(PLANE))
    assert (engine.precision, engine.warnings) == (INTEGERS, [])


@pytest.mark.parametrize("workers", [0, 1])
def test_pools_report_what_was_wrong_and_what_is_used(
    workers: int, cache: Path, caplog: pytest.LogCaptureFixture, ray: None
) -> None:
    with open_pool(misjudged(), PoolSettings(workers=workers)) as pool:
        assert pool.choice.precision == INTEGERS
        list(pool.map([PLANE, PLANE[::-1].copy()], 8))
        assert pool.choice.precision == "f32"
        (warning,) = pool.warnings
    assert warning.startswith("fsrcnn(8,8,5) x2 in ")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [warning]
