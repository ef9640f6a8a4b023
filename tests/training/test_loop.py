"""The loop learns, can be interrupted, and says when it cannot go on."""

import resource
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from made import scene

from vidsr.errors import TargetError, TrainingError
from vidsr.model.architecture import ACTIVATIONS, Architecture, fsrcnn, srcnn
from vidsr.training.data.dataset import Dataset
from vidsr.training.data.pairs import Pair, make_pair
from vidsr.training.data.patches import PatchSampler
from vidsr.training.loop import train
from vidsr.training.network import Network
from vidsr.training.schedule import Schedule

ARCHITECTURE = fsrcnn(8, 4, 1, scale=2)
TENSORS = ("weight", "bias", "slope")
SCHEDULE = Schedule(steps=6, rate=1e-3, patch=8, batch=4, warmup=2, every=3)


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [make_pair(scene(index, (64, 48))[..., 1], 2) for index in range(2)]


@pytest.fixture(scope="module")
def patches(pairs: list[Pair]) -> PatchSampler:
    return cut(pairs, SCHEDULE)


def cut(pairs: list[Pair], schedule: Schedule) -> PatchSampler:
    return PatchSampler(pairs, ARCHITECTURE, patch=schedule.patch, batch=schedule.batch)


def network(seed: int = 3) -> Network:
    torch.manual_seed(seed)
    return Network(ARCHITECTURE)


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(patches: PatchSampler, tmp_path: Path) -> None:
    whole = train(network(), patches, SCHEDULE, checkpoint=tmp_path / "whole.pt")
    for steps in (1, 4):  # between two checkpoints, and after one
        asked = iter([False] * steps + [True])
        stopped = train(
            network(), patches, SCHEDULE, checkpoint=tmp_path / "parts.pt", should_stop=lambda a=asked: next(a)
        )
        assert stopped.step < SCHEDULE.steps
    resumed = train(network(), patches, SCHEDULE, checkpoint=tmp_path / "parts.pt")
    tensors = whole.ema.tensors()
    assert all(np.array_equal(resumed.ema.tensors()[name], tensors[name]) for name in tensors)
    assert [moment.step for moment in resumed.history] == [moment.step for moment in whole.history] == [3, 6]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(patches: PatchSampler, tmp_path: Path) -> None:
    first, again, other = (
        train(network(), patches, replace(SCHEDULE, seed=seed), checkpoint=tmp_path / f"{name}.pt").ema.tensors()
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert np.array_equal(first["feature.weight"], again["feature.weight"])
    assert not np.array_equal(first["feature.weight"], other["feature.weight"])


@pytest.mark.parametrize(
    "architecture",
    [
        fsrcnn(24, 12, 2, 2),
        pytest.param(fsrcnn(16, 16, 3, 2, kernel=6), marks=pytest.mark.slow),
        pytest.param(srcnn(9, 1, 5, 64, 32, 2), marks=pytest.mark.slow),
    ],
)
def test_it_overfits_eight_patches(pairs: list[Pair], tmp_path: Path, architecture: Architecture) -> None:
    schedule = Schedule(steps=300, rate=5e-4, loss="mse", patch=8, batch=8, warmup=20, ema_decay=0.9)
    lr, hr = eight = PatchSampler(pairs, architecture, patch=8, batch=8).draw(np.random.default_rng(0))
    torch.manual_seed(3)
    trained = train(Network(architecture), Same(eight), schedule, checkpoint=tmp_path / "c.pt").ema
    bicubic = Network(architecture)
    torch.nn.init.zeros_(bicubic.tail.kernel.project)
    assert error(trained, lr, hr) < error(bicubic, lr, hr) / 2


def test_it_learns_images_better_than_it_began(pairs: list[Pair], tmp_path: Path) -> None:
    schedule = Schedule(steps=150, rate=3e-3, patch=8, batch=8, warmup=5, ema_decay=0.9)
    start = network()
    validation = Dataset(clean=[], validation=pairs)
    before = validation.psnr(start)
    after = train(start, cut(pairs, schedule), schedule, checkpoint=tmp_path / "c.pt").ema
    assert validation.psnr(after) > before + 0.5


@pytest.mark.parametrize(
    ("part", "moved"),
    [("tail", {"deconvolution.weight", "deconvolution.bias"}), ("mapping", {f"mapping0.{x}" for x in TENSORS})],
)
def test_only_the_part_moves_that_is_to_learn(
    patches: PatchSampler, tmp_path: Path, part: str, moved: set[str]
) -> None:
    before = network().tensors()
    schedule = replace(SCHEDULE, part=part)
    after = train(network(), patches, schedule, checkpoint=tmp_path / "c.pt").ema.tensors()
    assert {name for name in before if not np.array_equal(before[name], after[name])} == moved


@pytest.mark.parametrize("activation", ["relu", "leaky-relu", "prelu-shared"])
def test_slopes_move_only_where_the_activation_lets_them(pairs: list[Pair], tmp_path: Path, activation: str) -> None:
    made = Network(fsrcnn(8, 4, 1, 2, activation=activation))
    before = made.tensors()["feature.slope"]
    patches = PatchSampler(pairs, made.architecture, patch=8, batch=4)
    after = train(made, patches, SCHEDULE, checkpoint=tmp_path / "c.pt").ema.tensors()["feature.slope"]
    assert (before.tolist() != after.tolist()) == ACTIVATIONS[activation].trainable


def test_what_is_held_out_is_measured_and_every_step_reported(
    patches: PatchSampler, pairs: list[Pair], tmp_path: Path
) -> None:
    told: list[tuple[int, int, float]] = []
    measure = Dataset(clean=[], validation=pairs).psnr
    state = train(
        network(),
        patches,
        SCHEDULE,
        checkpoint=tmp_path / "c.pt",
        validate=measure,
        on_step=lambda state, loss: told.append((state.step, len(state.history), loss)),
    )
    assert [(step, start_times) for step, start_times, _ in told] == [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 2)]
    assert state.history[-1].psnr == measure(state.ema)
    assert state.history[0].loss == pytest.approx(np.mean([loss for _, _, loss in told[:3]]))
    assert [moment.rate for moment in state.history] == [SCHEDULE.rate_at(2), SCHEDULE.rate_at(5)]


def test_patience_ends_it_with_the_weights_that_were_best_also_after_an_interruption(
    patches: PatchSampler, tmp_path: Path
) -> None:
    schedule = replace(SCHEDULE, steps=20, every=1, patience=2)
    scores = {1: 30.0, 2: 31.0, 3: 30.5, 4: 31.0}
    measured: list[dict[str, np.ndarray]] = []

    def validate(ema: Network) -> float:
        measured.append(ema.tensors())
        return scores[len(measured)]

    steps = iter([False, False, False, True])  # after the third, which was no better
    run = partial(train, network(), patches, schedule, checkpoint=tmp_path / "c.pt", validate=validate)
    run(should_stop=lambda: next(steps))
    state = run()
    assert (state.step, [moment.psnr for moment in state.history]) == (4, list(scores.values()))
    assert all(np.array_equal(tensor, measured[1][name]) for name, tensor in state.result.tensors().items())
    assert run().step == 4


def test_a_loss_that_is_not_finite_ends_training(pairs: list[Pair], tmp_path: Path) -> None:
    broken = cut([replace(each, lr=np.full_like(each.lr, np.nan)) for each in pairs], SCHEDULE)
    with pytest.raises(TrainingError, match="loss is nan at step 0"):
        train(network(), broken, SCHEDULE, checkpoint=tmp_path / "c.pt")


def test_a_checkpoint_of_another_network_or_damaged_is_refused_by_name(patches: PatchSampler, tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.pt"
    train(network(), patches, SCHEDULE, checkpoint=checkpoint)
    wider = Network(fsrcnn(12, 4, 1, scale=2))
    for damage in (bytes, lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"not a checkpoint"):
        checkpoint.write_bytes(damage(checkpoint.read_bytes()))
        with pytest.raises(TrainingError, match=str(checkpoint)):
            train(wider, patches, SCHEDULE, checkpoint=checkpoint)


def test_a_checkpoint_of_another_scale_is_refused_although_srcnn_has_the_same_layers(
    pairs: list[Pair], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "c.pt"
    lr = PatchSampler(pairs, srcnn(5, 1, 3, 4, 4, 2), patch=8, batch=4)
    train(Network(srcnn(5, 1, 3, 4, 4, 2)), lr, SCHEDULE, checkpoint=checkpoint)
    with pytest.raises(TrainingError, match="another network"):
        train(Network(srcnn(5, 1, 3, 4, 4, 3)), lr, SCHEDULE, checkpoint=checkpoint)


def test_a_disk_that_is_full_costs_no_checkpoint(patches: PatchSampler, tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.pt"
    train(network(), patches, SCHEDULE, checkpoint=checkpoint)
    before = checkpoint.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(TargetError, match=str(checkpoint)):
            train(network(), patches, replace(SCHEDULE, steps=9), checkpoint=checkpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoint.read_bytes() == before
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_the_rate_rises_then_falls_by_a_cosine() -> None:
    schedule = Schedule(steps=100, rate=1.0, warmup=10)
    assert schedule.rate_at(0) == pytest.approx(0.1)
    assert schedule.rate_at(50) == pytest.approx(0.5)
    assert schedule.rate_at(100) == pytest.approx(1e-3)


class Same(PatchSampler):
    """The same batch again and again."""

    def __init__(self, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.same = batch

    def draw(self, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        return self.same


def error(made: Network, lr: torch.Tensor, hr: torch.Tensor) -> float:
    with torch.no_grad():
        return float(torch.mean((made(lr) - hr) ** 2))
