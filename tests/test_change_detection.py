"""Enlarging only what changed gives what enlarging everything gives."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from made import tiny_weights

from vidsr.arrays import Plane
from vidsr.engine import Engine
from vidsr.engine.change_detection import ChangeDetector, TilingCost
from vidsr.engine.reusing_engine import ReusingEngine
from vidsr.engine.tiles import CELL, SIDES, batch_size, batches, covering_tiles, tile_cost
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model, model_names
from vidsr.pool import open_pool
from vidsr.quality.upscalers import reusing_engines
from vidsr.settings import PoolSettings

AT_ONCE = TilingCost(min_saved_pixels=0, max_share=0.8)
at_once = partial(ReusingEngine, cost=AT_ONCE)


def noise(shape: tuple[int, int], *, depth: int = 8, seed: int = 0) -> Plane:
    plane: Plane = np.random.default_rng(seed).integers(0, 2**depth, shape, np.uint8 if depth == 8 else np.uint16)
    return plane


def edited(random: np.random.Generator, plane: Plane, depth: int) -> Plane:
    """The plane with other levels in up to three rectangles, of a pixel to nearly all of it."""
    plane = plane.copy()
    for _ in range(random.integers(0, 4)):
        row, column = (int(random.integers(0, length)) for length in plane.shape)
        height, width = random.choice([1, 2, 9, 40, 1000], 2, p=[0.3, 0.2, 0.3, 0.15, 0.05])
        part = plane[row : row + height, column : column + width]
        part[:] = random.integers(0, 2**depth, part.shape)
    return plane


def film(seed: int, depth: int) -> Iterator[Plane]:
    """Planes with edits from each to the next, of two sizes."""
    random = np.random.default_rng(seed)
    for _ in range(2):
        shape = (int(random.integers(1, 300)), int(random.integers(1, 300)))
        plane = noise(shape, depth=depth, seed=seed)
        for _ in range(15):
            yield plane
            plane = edited(random, plane, depth)


# What comes out


@pytest.mark.parametrize(
    "seed", [0, 1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(("scale", "depth"), [(2, 8), (2, 10), (3, 8), (4, 16)])
def test_it_is_exactly_the_whole_after_any_edits(scale: int, depth: int, seed: int) -> None:
    weights = tiny_weights(scale)
    whole, reusing = Engine(weights, threads=1), at_once(Engine(weights, threads=1, band_pixels=9000))
    shares = []
    for plane in film(seed, depth):
        assert np.array_equal(reusing(plane, depth), whole(plane, depth))
        shares.append(reusing.share)
    assert sum(shares) < len(shares)
    assert 0 < reusing.reused < 1


ONE_OF_EACH_ARCHITECTURE = {load_model(name).architecture: name for name in model_names()}.values()


def check_tiles(name: str, precision: str, sides: tuple[int, ...]) -> None:
    """In f32 but for a rare grey level: with AVX-512 the order of a sum depends on the size of a plane."""
    most = 1 if precision == "f32" else 0
    engine, random = Engine(load_model(name), threads=1, precision=precision), np.random.default_rng(0)
    halo, scale, plane = engine.halo, engine.scale, noise((168, 172))
    whole = engine(plane)
    for side in sides:
        places = random.integers(0, 168 - side - 2 * halo + 1, (batch_size(side), 2)).tolist()
        around = [plane[row : row + side + 2 * halo, column : column + side + 2 * halo] for row, column in places]
        for tile, (row, column) in zip(engine.upscale_tiles(np.stack(around), 8), places, strict=True):
            top, left = (row + halo) * scale, (column + halo) * scale
            differs = tile.astype(int) - whole[top : top + side * scale, left : left + side * scale]
            assert np.abs(differs).max() <= most
            assert np.count_nonzero(differs) <= 0.01 * differs.size


@pytest.mark.parametrize("precision", ["f32", "int8"])
@pytest.mark.parametrize(("name", "number"), [(name, n) for n, name in enumerate(ONE_OF_EACH_ARCHITECTURE)])
def test_tiles_are_the_whole_with_every_network_of_the_zoo(name: str, number: int, precision: str) -> None:
    """Each architecture with every side: with half of them in each precision, the next one the other way round."""
    check_tiles(name, precision, SIDES[(number + (precision == "int8")) % 2 :: 2])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["f32", "int8"])
@pytest.mark.parametrize("name", ONE_OF_EACH_ARCHITECTURE)
def test_tiles_of_every_side_are_the_whole_with_every_network_of_the_zoo(name: str, precision: str) -> None:
    check_tiles(name, precision, SIDES)


@pytest.mark.parametrize("depth", [8, 10])
def test_what_stays_within_the_tolerance_is_not_enlarged_again(weights: Weights, depth: int) -> None:
    engine, plane, level = Engine(weights, threads=1), noise((90, 200), depth=depth) // 2 + 20, 2**depth // 256
    reusing = at_once(engine, tolerance=2)
    first = reusing(plane, depth)
    near = plane + noise(plane.shape, depth=depth, seed=1) % (2 * level + 1)
    assert np.array_equal(reusing(near, depth), first)
    assert (reusing.share, reusing.reused) == (0, 0.5)
    near[40, 100] = plane[40, 100] + 3 * level
    watch = ChangeDetector(engine.halo, tolerance=2, cost=AT_ONCE)
    watch(plane, depth)
    left = watch(near, depth).plane
    assert np.array_equal(reusing(near, depth), engine(left, depth))
    assert np.array_equal(left[40:44, 100:104], near[40:44, 100:104])
    assert ((left == plane) | (left == near)).all()
    assert np.mean(left == plane) > 0.9


def test_what_nothing_but_the_tiles_sees_is_brought_up_to_date_with_them(weights: Weights) -> None:
    engine, plane = Engine(weights, threads=1), noise((200, 300)) // 2
    reusing, watch = at_once(engine, tolerance=2), ChangeDetector(engine.halo, tolerance=2, cost=AT_ONCE)
    near = plane + np.uint8(1)
    near[64:128, 64:128] += 9
    for each in (plane, near):
        result, task = reusing(each), watch(each, 8)
    fresh = task.plane == near
    assert fresh[56:136, 56:136].all()  # tiles begin at a multiple of 16, at least 8 pixels away
    assert not fresh[:, 192:].any()
    assert np.array_equal(result, engine(task.plane))


def test_errors_within_the_tolerance_do_not_add_up(weights: Weights) -> None:
    engine, plane = Engine(weights, threads=1), noise((40, 60)) // 2
    reusing = at_once(engine, tolerance=2)
    results = [reusing(plane + np.uint8(level)) for level in range(10)]
    expected = [engine(plane + np.uint8(level // 3 * 3)) for level in range(10)]
    assert all(map(np.array_equal, results, expected))


def test_every_part_is_brought_up_to_date_in_its_turn_and_none_of_the_planes_pays_for_all(weights: Weights) -> None:
    engine, plane = Engine(weights, threads=1), noise((300, 400)) // 2
    reusing = at_once(engine, tolerance=2)
    reusing(plane)
    near, costs = plane + np.uint8(1), []
    for _ in range(32):
        result = reusing(near)
        costs.append(reusing.share)
    assert np.array_equal(result, engine(near))
    assert 0 < max(costs) < 0.5
    assert reusing(near) is result
    assert costs.count(0.0) > 15


def test_it_takes_up_again_what_it_gave_up_while_all_of_every_plane_changed(weights: Weights) -> None:
    engine = Engine(weights, threads=1)
    reusing, planes = at_once(engine), [noise((50, 70), seed=seed) for seed in range(20)]
    shares = []
    for plane in [*planes, *[planes[-1]] * 12]:
        assert np.array_equal(reusing(plane), engine(plane))
        shares.append(reusing.share)
    assert 20 < sum(shares) < 31


def test_nobody_can_change_what_the_next_plane_is_made_of(weights: Weights) -> None:
    engine, plane = Engine(weights, threads=1), noise((40, 60))
    reusing = at_once(engine)
    result = reusing(plane)
    with pytest.raises(ValueError, match="read-only"):
        result[:] = 0
    plane[3, 3] ^= 255
    assert np.array_equal(reusing(plane), engine(plane))


def test_networks_for_tiles_are_compiled_once_they_would_have_paid(weights: Weights) -> None:
    engine, random = Engine(weights, threads=1), np.random.default_rng(0)
    plane, shares = noise((200, 300)), []
    reusing = ReusingEngine(engine, cost=replace(AT_ONCE, min_saved_pixels=8 * plane.size))
    for _ in range(30):
        assert np.array_equal(reusing(plane), engine(plane))
        shares.append(reusing.share)
        plane = plane.copy()
        plane[random.integers(200), random.integers(300)] ^= 255
    whole = shares.count(1.0)
    assert shares[:whole] == [1.0] * whole
    assert max(shares[whole:]) < 0.3
    assert 8 < whole < 13


def test_what_is_measured_of_reuse_begins_with_the_second_plane() -> None:
    (engine,) = reusing_engines({"net": Engine("fsrcnn-fast-x2", threads=1)}, 2, 1).values()
    plane = noise((200, 300))
    engine(plane)
    plane[100, 100] ^= 255
    engine(plane)
    assert 0 < engine.share < 0.3


@pytest.mark.parametrize(("name", "edits", "tiled"), [("narrow", 40, True), ("fast", 60, False), ("fast", 40, True)])
def test_tiles_are_taken_where_they_take_less_time_which_is_less_often_in_small_networks(
    name: str, edits: int, tiled: bool
) -> None:
    architecture = load_model(f"fsrcnn-{name}-x2").architecture
    watch = ChangeDetector(
        architecture.halo, tolerance=0, cost=replace(TilingCost.of(architecture), min_saved_pixels=0)
    )
    plane = noise((360, 640))
    watch(plane, 8)
    edited = plane.copy()
    edited[tuple(np.random.default_rng(0).integers(0, (360, 640), (edits, 2)).T)] ^= 255
    assert (watch(edited, 8).tiles is not None) is tiled


def test_what_is_the_same_all_over_needs_no_tiles(weights: Weights) -> None:
    reusing, plane = ReusingEngine(Engine(weights, threads=1)), noise((40, 60))
    assert reusing(plane) is reusing(plane)


# Which tiles


@pytest.mark.parametrize("halo", [8, 12])
@pytest.mark.parametrize("share", [0.0005, 0.01, 0.1, 1.0])
def test_tiles_hold_all_that_is_wanted_once_and_cost_no_more_than_those_of_one_side(share: float, halo: int) -> None:
    wanted = np.random.default_rng(3).random((77, 130)) < share
    held = np.zeros((96, 160), int)
    chosen = covering_tiles(wanted, halo)
    for tile in chosen:
        row, column, side = (pixels // CELL for pixels in (tile.row, tile.column, tile.side))
        held[row : row + side, column : column + side] += 1
    assert held.max() == 1
    assert held[:77, :130][wanted].all()
    calls = list(batches(chosen))
    assert [tile for call in calls for tile in call] == chosen
    assert all({tile.side for tile in call} == {call[0].side} for call in calls)
    assert all(len(call) <= batch_size(call[0].side) for call in calls)
    cost = sum(tile_cost((tile.side, tile.side), halo) for tile in chosen)
    for side in SIDES:
        rows, columns = np.nonzero(wanted)
        places = set(zip(rows * CELL // side, columns * CELL // side, strict=True))
        assert cost <= len(places) * tile_cost((side, side), halo)


# In pools


@pytest.mark.parametrize("workers", [0, 2])
def test_pools_reuse_what_is_as_it_was_and_nothing_of_another_network(
    weights: Weights, workers: int, request: pytest.FixtureRequest
) -> None:
    if workers:
        request.getfixturevalue("ray")
    plane, other = noise((60, 80)), tiny_weights(seed=1)
    near = plane ^ np.uint8(1)
    with open_pool(weights, PoolSettings(workers=workers, reuse=1)) as pool:
        first = list(pool.map([plane] * 4 + [near] * 4, 8))
        pool.set_weights(weights)  # in use already
        assert pool.reused == 7 / 8
        pool.set_weights(other)
        assert pool.reused == 0
        then = list(pool.map([near] * 4, 8))
    engines = [Engine(network, threads=1) for network in (weights, other)]
    assert all(np.array_equal(result, engines[0](plane)) for result in first)
    assert all(np.array_equal(result, engines[1](near)) for result in then)
