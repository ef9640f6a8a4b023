"""The loop learns, can be interrupted, and says when it cannot go on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made import scene

from vidsr.errors import TrainingError
from vidsr.model.architecture import fsrcnn
from vidsr.training.data import Pair, pair
from vidsr.training.loop import Schedule, train, validation_psnr
from vidsr.training.network import Network

SCHEDULE = Schedule(steps=6, rate=1e-3, patch=8, batch=4, warmup=2)


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [pair(scene(index, (64, 48))[..., 1], 2) for index in range(2)]


def network() -> Network:
    torch.manual_seed(3)
    return Network(fsrcnn(8, 4, 1, scale=2))


class Interrupted(Exception):
    pass


def interrupt(_: Network) -> float:
    raise Interrupted


def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(pairs: list[Pair], tmp_path: Path) -> None:
    whole = train(network(), pairs, SCHEDULE, checkpoint=tmp_path / "whole.pt", every=3).tensors()
    with pytest.raises(Interrupted):
        train(network(), pairs, SCHEDULE, checkpoint=tmp_path / "parts.pt", every=3, validate=interrupt)
    resumed = train(network(), pairs, SCHEDULE, checkpoint=tmp_path / "parts.pt", every=3).tensors()
    assert all(np.array_equal(resumed[name], whole[name]) for name in whole)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(pairs: list[Pair], tmp_path: Path) -> None:
    first, again, other = (
        train(network(), pairs, SCHEDULE, checkpoint=tmp_path / f"{name}.pt", seed=seed).tensors()
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert np.array_equal(first["feature.weight"], again["feature.weight"])
    assert not np.array_equal(first["feature.weight"], other["feature.weight"])


def test_it_learns_a_few_patches_better_than_it_began(pairs: list[Pair], tmp_path: Path) -> None:
    schedule = Schedule(steps=150, rate=3e-3, patch=8, batch=8, warmup=5, average=0.9)
    start = network()
    before = validation_psnr(start, pairs)
    after = validation_psnr(train(start, pairs, schedule, checkpoint=tmp_path / "c.pt", every=150), pairs)
    assert after > before + 0.5


def test_only_the_tail_moves_when_only_the_tail_is_trained(pairs: list[Pair], tmp_path: Path) -> None:
    before = network().tensors()
    schedule = replace(SCHEDULE, tail_only=True)
    after = train(network(), pairs, schedule, checkpoint=tmp_path / "c.pt").tensors()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"deconvolution.weight", "deconvolution.bias"}


def test_a_loss_that_is_not_finite_ends_training(pairs: list[Pair], tmp_path: Path) -> None:
    broken = [replace(each, small=np.full_like(each.small, np.nan)) for each in pairs]
    with pytest.raises(TrainingError, match="loss is nan at step 0"):
        train(network(), broken, SCHEDULE, checkpoint=tmp_path / "c.pt")


def test_a_checkpoint_of_another_network_or_damaged_is_refused_by_name(pairs: list[Pair], tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.pt"
    train(network(), pairs, SCHEDULE, checkpoint=checkpoint)
    wider = Network(fsrcnn(12, 4, 1, scale=2))
    for damage in (bytes, lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"not a checkpoint"):
        checkpoint.write_bytes(damage(checkpoint.read_bytes()))
        with pytest.raises(TrainingError, match=str(checkpoint)):
            train(wider, pairs, SCHEDULE, checkpoint=checkpoint)


def test_the_rate_rises_then_falls_by_a_cosine() -> None:
    schedule = Schedule(steps=100, rate=1.0, warmup=10)
    assert schedule.rate_at(0) == pytest.approx(0.1)
    assert schedule.rate_at(50) == pytest.approx(0.5)
    assert schedule.rate_at(100) == pytest.approx(1e-3)
