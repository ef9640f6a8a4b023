"""The blockings of a network: all give the same frame; the choice of one is kept, read, and ignored if nonsense."""

import fcntl
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import MODEL, TARGET, USAGE, Command
from made import random_weights, scene, tiny_weights

from vidsr.engine import Engine
from vidsr.engine.activation_ranges import measure_ranges
from vidsr.engine.autotune import Tuning
from vidsr.engine.autotune_cache import cache_path, load_verdict, save_tuning, save_verdict, tuned_network
from vidsr.engine.blocking import OutputBlocking, blockings, default_blocking
from vidsr.engine.change_detection import TilingCost
from vidsr.engine.reusing_engine import ReusingEngine
from vidsr.model.architecture import Architecture, fsrcnn, srcnn
from vidsr.model.weights import Calibration

NETWORKS = [fsrcnn(8, 4, 1, 2), fsrcnn(8, 4, 1, 3), fsrcnn(8, 4, 1, 4), srcnn(5, 1, 3, 6, 4, 2)]
PLANE = scene(0)[..., 0][:45, :50]


def other_blocking(architecture: Architecture) -> OutputBlocking:
    return next(blocking for blocking in blockings(architecture) if blocking != default_blocking(architecture))


def keep(blocking: OutputBlocking | None, architecture: Architecture, *, threads: int = 1) -> None:
    save_tuning(architecture, threads=threads, ms={"f32": 1.0}, blocking={"f32": blocking})


# What they compute


@pytest.mark.parametrize("architecture", NETWORKS, ids=str)
def test_every_form_gives_the_same_picture_and_its_bands_exactly_the_whole(architecture: Architecture) -> None:
    weights, deep = random_weights(architecture), PLANE.astype(np.uint16) * 4
    expected, *others = (
        [
            Engine(weights, threads=1, blocking=blocking)(plane, depth).astype(int)
            for plane, depth in ((PLANE, 8), (deep, 10))
        ]
        for blocking in (OutputBlocking(), *blockings(architecture))
    )
    for blocking, pictures in zip(blockings(architecture), others, strict=True):
        for picture, same in zip(pictures, expected, strict=True):
            assert np.abs(picture - same).max() <= 1, blocking
            assert np.mean(picture != same) < 0.001, blocking
        bands = Engine(weights, threads=1, blocking=blocking, band_pixels=500)(deep, 10)
        assert np.array_equal(bands, pictures[1]), blocking


def test_every_form_gives_the_same_in_integers() -> None:
    weights = tiny_weights(3)
    weights = replace(weights, calibration=Calibration(ranges=measure_ranges(weights, [PLANE]), losses={}))
    engines = [Engine(weights, threads=1, precision="int8", blocking=each) for each in blockings(weights.architecture)]
    first, *others = (engine(PLANE) for engine in engines)
    assert {engine.precision for engine in engines} <= {"int8", "int7"}
    assert all(np.mean(picture != first) < 0.001 for picture in others)


@pytest.mark.parametrize("architecture", NETWORKS[:2], ids=str)
def test_tiles_of_every_form_are_exactly_the_whole(architecture: Architecture) -> None:
    weights = random_weights(architecture)
    plane = np.random.default_rng(0).integers(0, 256, (101, 115), dtype=np.uint8)
    changed = plane.copy()
    changed[20:23, 30:33] ^= 128
    for blocking in blockings(architecture):
        engine = Engine(weights, threads=1, blocking=blocking)
        reusing = ReusingEngine(engine, cost=TilingCost(min_saved_pixels=0, max_share=0.8))
        reusing(plane)
        assert np.array_equal(reusing(changed), engine(changed)), blocking
        assert reusing.reused > 0, "it reused nothing: this proves little"


@pytest.mark.parametrize("name", ["rows", "columns"])
@pytest.mark.parametrize("size", [0, 3, 32])
def test_a_block_that_divides_no_tile_is_refused(name: str, size: int) -> None:
    with pytest.raises(ValueError, match=name):
        OutputBlocking(**{name: size})


# The choice


def test_an_engine_takes_what_was_found_for_its_network_precision_and_threads(cache: Path) -> None:
    weights, scale3 = tiny_weights(), tiny_weights(3)
    blocking, usual = other_blocking(weights.architecture), default_blocking(weights.architecture)
    keep(blocking, weights.architecture)
    keep(other_blocking(scale3.architecture), scale3.architecture)
    assert cache_path() == cache
    assert Engine(weights, threads=1).blocking == blocking
    assert Engine(scale3, threads=1).blocking == other_blocking(scale3.architecture)
    assert Engine(weights, threads=2).blocking == usual
    assert Engine(tiny_weights(dimensions=(8, 4, 2)), threads=1).blocking == usual
    assert tuned_network(weights.architecture, threads=1).blockings.keys() == {"f32"}
    keep(None, weights.architecture)
    assert Engine(weights, threads=1).blocking == usual
    assert Engine(scale3, threads=1).blocking == other_blocking(scale3.architecture)


def test_what_another_machine_found_is_kept_for_it_and_ignored_here(cache: Path) -> None:
    architecture = fsrcnn(8, 4, 1, 2)
    keep(other_blocking(architecture), architecture)
    ((here, choices),) = json.loads(cache.read_text()).items()
    cache.write_text(json.dumps({f"another {here}": choices}))
    assert not tuned_network(architecture, threads=1).blockings
    keep(OutputBlocking(columns=2), architecture)
    assert json.loads(cache.read_text()).keys() == {here, f"another {here}"}


def rubbish(cache: Path, architecture: Architecture) -> list[str]:
    """Files without a meaning: no JSON, JSON of other shapes, a block of a size that does not exist, no times."""
    keep(OutputBlocking(rows=4), architecture)
    ((machine, entry),) = json.loads(cache.read_text()).items()
    ((network, blockings),) = entry["blockings"].items()
    fields = blockings["f32"]
    wrong = [3, "4", [], {"rows": 4}, *({**fields, "rows": size} for size in (3, 0, 2.0, "4", None, 16))]
    bent = [{"blockings": {network: {"f32": each}}} for each in wrong]
    bent += [
        {"blockings": {network: 3}},
        {"blockings": []},
        *({"times": {network: ms}} for ms in (3, [], {"f32": "1"}, {"f32": 0})),
    ]
    texts = [json.dumps({machine: each}) for each in (*bent, 3, [])]
    deep, huge = "[" * 200_000, json.dumps({machine: {"times": {network: {"f32": 10**400}}}})
    return ["", "{", "[]", "3", "null", "\0", deep, huge, *texts]


def test_a_file_of_nonsense_is_ignored_with_a_line_in_the_log_and_written_anew(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = tiny_weights()
    for text in rubbish(cache, weights.architecture):
        cache.write_text(text)
        caplog.clear()
        assert Engine(weights, threads=1).blocking == default_blocking(weights.architecture), text
        assert [record.levelno for record in caplog.records] == [logging.WARNING], text
        assert str(cache) in caplog.text
        keep(OutputBlocking(columns=2), weights.architecture)
        assert Engine(weights, threads=1).blocking == OutputBlocking(columns=2), text
    cache.unlink()
    cache.mkdir()
    assert Engine(weights, threads=1).blocking == default_blocking(weights.architecture)


def test_times_of_another_frame_size_are_replaced_and_precisions_of_one_size_kept(cache: Path) -> None:
    architecture = fsrcnn(8, 4, 1, 2)
    for precision, size in (("f32", (64, 48)), ("int8", (64, 48))):
        save_tuning(architecture, threads=1, ms={precision: 2.0}, blocking={}, size=size)
    assert tuned_network(architecture, threads=1).ms == {"f32": 2.0, "int8": 2.0}
    save_tuning(architecture, threads=1, ms={"int8": 1.0}, blocking={}, size=(32, 32))
    assert tuned_network(architecture, threads=1).ms == {"int8": 1.0}


def test_what_others_wrote_is_kept_by_many_writers_at_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.engine.autotune_cache._LOCK_S", 5.0)  # a busy machine lets them wait for each other
    architecture = fsrcnn(8, 4, 1, 2)
    keep(OutputBlocking(rows=4), architecture)
    foreign = {"elsewhere": {"verdicts": {"a": ""}}, "nonsense": {"version": 3}}
    cache.write_text(json.dumps({**json.loads(cache.read_text()), **foreign}))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: save_verdict(f"graph {number}", ""), range(40)))
    machines = json.loads(cache.read_text())
    assert machines["elsewhere"] == foreign["elsewhere"]
    assert "nonsense" not in machines
    assert tuned_network(architecture, threads=1).blockings["f32"] == OutputBlocking(rows=4)
    assert all(load_verdict(f"graph {number}") == "" for number in range(40))


def test_a_writer_that_hangs_costs_others_a_second_and_nothing_they_had(cache: Path) -> None:
    architecture = fsrcnn(8, 4, 1, 2)
    keep(OutputBlocking(rows=4), architecture)
    with (cache.parent / ".autotune.json.lock").open() as hung:
        fcntl.flock(hung, fcntl.LOCK_EX)
        save_verdict("graph", "")
        with pytest.raises(OSError, match="unavailable"):
            keep(None, architecture)
    assert load_verdict("graph") is None
    assert tuned_network(architecture, threads=1).blockings["f32"] == OutputBlocking(rows=4)


def test_what_is_no_ordinary_file_is_neither_read_nor_written(cache: Path, tmp_path: Path) -> None:
    weights = tiny_weights()
    cache.parent.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_text("data")
    (cache.parent / ".autotune.json.lock").symlink_to(precious)
    save_verdict("graph", "")
    assert precious.read_text() == "data"
    (cache.parent / ".autotune.json.lock").unlink()
    os.mkfifo(cache)
    assert Engine(weights, threads=1).blocking == default_blocking(weights.architecture)
    save_verdict("graph", "")
    assert load_verdict("graph") is None


def test_only_a_blocking_that_is_clearly_faster_is_chosen() -> None:
    usual, other = OutputBlocking(columns=4), OutputBlocking(rows=4)

    def chosen(*ms: float) -> OutputBlocking:
        times = {"f32": {usual: [100.0] * 3, other: list(ms)}}
        return Tuning(threads=1, size=(64, 48), ms=times, gflop=1, product_gflops=1).blocking("f32")

    assert chosen(96, 97, 150) == other
    assert chosen(98, 98, 98) == usual
    assert chosen(90, 99, 99) == usual, "fast once"
    assert chosen(101, 102, 103) == usual


# The command


def test_tune_measures_prints_and_keeps(vidsr: Command, cache: Path, tiny_model: str) -> None:
    (row,) = json.loads(vidsr("tune", tiny_model, "--size", "64x48", "--json", "--threads", "1").out)
    weights = tiny_weights()
    assert row["default"] == f"f32 {default_blocking(weights.architecture)}"
    assert row["default_ms"] > 0
    assert row["gain"] == pytest.approx(row["default_ms"] / row["best_ms"], abs=0.5)
    assert (row["threads"], row["rejected"]) == (1, [])
    assert row["gflops"] > 0
    assert row["product_share"] > 0
    assert f"f32 {Engine(weights, threads=1).blocking}" == row["best"]
    assert sorted(path.name for path in cache.parent.iterdir()) == [".autotune.json.lock", "autotune.json"]
    head, *lines = vidsr("tune", tiny_model, "--size", "64x48").out.splitlines()
    assert head.split()[:4] == ["name", "threads", "built", "in"]
    assert all(line.startswith(tiny_model) for line in lines)


def test_tune_refuses_what_it_cannot_do(vidsr: Command, cache: Path, tiny_model: str) -> None:
    assert vidsr("tune", "--size", "large").code == USAGE
    assert vidsr("tune", "--threads", "0").code == USAGE
    assert vidsr("tune", "--precision", "f64").code == USAGE
    assert vidsr("tune", "nothing.npz").code == MODEL
    cache.parent.parent.write_text("a file where the folder should be")
    ended = vidsr("tune", tiny_model, "--size", "16x16")
    assert ended.code == TARGET
    assert ended.err.count("\n") == 1
