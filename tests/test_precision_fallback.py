"""What becomes of a graph that is wrong on this CPU: another is used, and said; verdicts are kept."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import MODEL, Command
from made import scene
from test_accuracy import reference
from test_int8 import strained

from vidsr.cpu import this_cpu
from vidsr.engine import BAND_PIXELS, Engine
from vidsr.engine.accuracy import AccuracyCheck
from vidsr.engine.blocking import blockings, default_blocking
from vidsr.engine.compiled_network import CompiledNetwork, InaccurateGraphError
from vidsr.engine.precision import precision_on
from vidsr.model.weights import Calibration, Weights, save_weights
from vidsr.model.zoo import load_model
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings

INTEGERS = precision_on("int8", this_cpu())
PLANE = scene(0)[..., 0]
BYTES = np.dtype(np.uint8)


def misjudged(name: str = "fsrcnn-fast-x2") -> Weights:
    """A network whose ranges are a third of what they should be, with recorded losses of nothing."""
    weights = load_model(name)
    assert weights.calibration
    ranges = {layer: ends / np.float32(3) for layer, ends in weights.calibration.ranges.items()}
    losses = dict.fromkeys(("int8", "int7"), 0.0)
    return replace(weights, calibration=Calibration(ranges=ranges, losses=losses))


def test_a_network_that_is_wrong_is_computed_in_f32_with_one_warning(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = misjudged()
    engines = [Engine(weights, threads=1) for _ in range(2)]
    assert {engine.precision for engine in engines} == {INTEGERS}
    for engine in engines:
        assert np.array_equal(engine(PLANE), Engine(weights, threads=1, precision="f32")(PLANE))
        assert engine.precision == "f32"
        assert f"{INTEGERS}, blocks of" in engine.precision_choice.why
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
        with pytest.raises(InaccurateGraphError, match=r"in int8.* differs from f32 on"):
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


@pytest.mark.parametrize("shape", [(16, 16), (24, 32), (48, 64), (8, 128), (128, 8), (1, 40), (200, 300)])
def test_a_wrong_graph_is_found_at_every_shape(shape: tuple[int, int], cache: Path) -> None:
    engine = Engine(misjudged(), threads=1)
    engine(np.full(shape, 90, np.uint8))
    assert engine.precision == "f32"


def test_a_batch_of_tiles_is_checked_on_all_of_the_pattern(cache: Path) -> None:
    engine = Engine(misjudged(), threads=1)
    engine.upscale_tiles(np.full((8, 16 + 2 * engine.halo, 16 + 2 * engine.halo), 90, np.uint8), 8)
    assert engine.precision == "f32"


def test_networks_of_the_same_tensors_have_verdicts_of_their_own(cache: Path) -> None:
    weights = load_model("srcnn-x2")
    Engine(weights, threads=1, precision="int8")(PLANE)
    Engine(replace(weights, architecture=replace(weights.architecture, residual=False)), threads=1, precision="int8")(
        PLANE
    )
    deep = PLANE.astype(np.uint16)
    for depth in (8, 10):
        Engine(weights, threads=1, precision="int8")(deep, depth)
    (entry,) = json.loads(cache.read_text()).values()
    assert len(entry["verdicts"]) >= 4


ABSURD: dict[str, Callable[[np.ndarray[tuple[int, ...], np.dtype[np.float32]]], object]] = {
    "ranges of nothing": lambda ends: ends * np.float32(1e-38),
    "ranges of the largest number": lambda ends: np.sign(ends) * np.finfo(np.float32).max,
}


@pytest.mark.parametrize("how", ABSURD)
@pytest.mark.parametrize("losses", [{"int8": 0.0, "int7": 0.0}, {"int8": 1e308, "int7": 5000.0}])
def test_calibrations_that_cannot_be_computed_give_f32(how: str, losses: dict[str, float], cache: Path) -> None:
    weights = load_model("fsrcnn-fast-x2")
    assert weights.calibration
    ranges = {name: ABSURD[how](ends) for name, ends in weights.calibration.ranges.items()}
    absurd = replace(weights, calibration=Calibration(ranges=ranges, losses=losses))  # type: ignore[arg-type]
    engine = Engine(absurd, threads=1, precision="int8")
    plain = Engine(weights, threads=1, precision="f32")(PLANE)
    for _ in range(2):
        assert np.array_equal(engine(PLANE), plain) or engine.precision in ("int8", "int7")
    if losses["int8"] == 0:
        assert engine.precision == "f32"


def test_f32_is_not_checked(cache: Path) -> None:
    Engine("fsrcnn-fast-x2", threads=1, precision="f32")(PLANE)
    assert not cache.exists()


def test_without_a_place_for_verdicts_engines_check_at_each_start(cache: Path) -> None:
    cache.parent.parent.write_text("a file where the folder should be")
    engine = Engine("fsrcnn-fast-x2", threads=1)
    assert np.array_equal(engine(PLANE), Engine("fsrcnn-fast-x2", threads=1)(PLANE))
    assert (engine.precision, engine.warnings) == (INTEGERS, [])


def test_tune_refuses_a_network_of_which_no_graph_is_right(cache: Path, vidsr: Command, tmp_path: Path) -> None:
    save_weights(tmp_path / "bad.npz", misjudged())
    ended = vidsr("tune", tmp_path / "bad.npz", "--precision", "int8", "--size", "128x128", "--threads", "1")
    assert (ended.code, ended.out, ended.err.count("\n")) == (MODEL, "", 1)
    assert "no graph is right here" in ended.err


@pytest.mark.parametrize("workers", [0, 1])
def test_pools_report_what_was_wrong_and_what_is_used(
    workers: int, cache: Path, caplog: pytest.LogCaptureFixture, ray: None
) -> None:
    with open_pool(misjudged(), PoolSettings(workers=workers)) as pool:
        assert pool.precision_choice.precision == INTEGERS
        list(pool.map([PLANE, PLANE[::-1].copy()], 8))
        assert pool.precision_choice.precision == "f32"
        (warning,) = pool.warnings
    assert warning.startswith("fsrcnn(8,8,5) x2 in ")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [warning]
