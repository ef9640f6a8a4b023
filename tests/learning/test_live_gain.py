"""The live gain: measured where the picture moves, and a network that loses for ten minutes is given up."""

import time
from pathlib import Path

import numpy as np
import pytest
from training.recordings import record_both, scene

from vidsr.learn_dir import LearnDir, LiveGain, Proof
from vidsr.learning.live_gain import GainWatch
from vidsr.model.weights import Weights, save_weights
from vidsr.model.zoo import load_model
from vidsr.settings import StreamSettings
from vidsr.training.pairing import Alignment, align

GOOD = "fsrcnn-fast-x2"
PROOF = Proof(
    accepted=True, reason="it gains", moving_gain=0.4, whole_gain=1.0, general_loss=0.0, share=1.0, moments=4
)


@pytest.fixture(scope="module")
def alignment(tmp_path_factory: pytest.TempPathFactory) -> Alignment:
    hr, lr = record_both(tmp_path_factory.mktemp("pair"), scene(100), main=range(0, 90), sub=range(8, 100))
    return align(hr, lr, 2)


def watch(folder: Path, learned: Weights, *, general: str) -> GainWatch:
    """A watch over a learned network in use."""
    learn_dir = LearnDir(folder / "learn")
    network = learn_dir.network_folder("2026-11-30T03-00-00.000Z")
    network.mkdir(parents=True)
    save_weights(network / "model.npz", learned)
    np.savez(network / "scene.npz", thumbnails=np.zeros((1, 48, 64), np.uint8), shape=np.array((96, 128)))
    learn_dir.write_proof(network.name, PROOF)
    learn_dir.set_current(network.name, "it gains", now_s=time.time())
    found = learn_dir.current()
    assert found
    return GainWatch(learn_dir=learn_dir, network=found, settings=StreamSettings(model=general, scale=2))


def nothing(alignment: Alignment) -> np.ndarray:
    return np.zeros((alignment.registration.rows.lr, alignment.registration.columns.lr), np.bool_)


def test_a_better_network_gains_and_a_worse_one_loses(
    alignment: Alignment, tmp_path: Path, weights: Weights, tiny_model: str
) -> None:
    better = watch(tmp_path / "better", load_model(GOOD), general=tiny_model)
    worse = watch(tmp_path / "worse", weights, general=GOOD)
    gain, loss = (each.measure(alignment, nothing(alignment), now_s=7.0) for each in (better, worse))
    assert gain is not None
    assert loss is not None
    assert gain > 0.1
    assert loss == pytest.approx(-gain, abs=0.05)
    assert better.learn_dir.gains() == [LiveGain(time_s=7.0, network=better.network.name, gain=gain)]


def test_where_nothing_counts_nothing_is_measured(alignment: Alignment, tmp_path: Path, weights: Weights) -> None:
    gains = watch(tmp_path, weights, general=GOOD)
    assert gains.measure(alignment, ~nothing(alignment), now_s=7.0) is None
    assert gains.measure(alignment, nothing(alignment)[:-1], now_s=7.0) is None  # of another size of the source
    assert gains.learn_dir.gains() == []


def test_a_network_of_another_scale_is_not_measured(alignment: Alignment, tmp_path: Path) -> None:
    gains = watch(tmp_path, load_model("fsrcnn-fast-x3"), general=GOOD)
    assert gains.measure(alignment, nothing(alignment), now_s=7.0) is None


@pytest.mark.parametrize(
    ("values", "every_s", "network", "goes_back"),
    [
        ([-0.2] * 10, 60, None, True),
        ([0.1, -0.2, 0.1, -0.3, -0.1], 125, None, True),
        ([0.2, -0.1] * 5, 60, None, False),
        ([-0.2] * 4, 150, None, False),
        ([-0.2] * 6, 60, None, False),  # six minutes
        ([-0.2] * 10, 60, "another", False),
        ([-0.2] * 5 + [0.1] * 10, 60, None, False),  # the bad ones are longer ago
    ],
)
def test_ten_minutes_below_the_general_network_are_enough(
    tmp_path: Path, weights: Weights, values: list[float], every_s: float, network: str | None, *, goes_back: bool
) -> None:
    gains = watch(tmp_path, weights, general=GOOD)
    began_s = time.time() + 1
    for number, value in enumerate(values):
        name = network or gains.network.name
        gains.learn_dir.add_gain(LiveGain(time_s=began_s + number * every_s, network=name, gain=value))
    now_s = began_s + (len(values) - 1) * every_s
    assert gains.go_back_if_worse(now_s=now_s) == goes_back
    assert (gains.learn_dir.current() is None) == goes_back
    if goes_back:
        event = gains.learn_dir.events()[-1]["event"]
        assert "the general network is used: 2026-11-30T03-00-00.000Z was 0." in event
        assert "dB below it in the last" in event


def test_what_was_measured_before_it_was_taken_into_use_or_by_a_wrong_clock_does_not_count(
    tmp_path: Path, weights: Weights
) -> None:
    gains = watch(tmp_path, weights, general=GOOD)
    now_s = time.time()
    for number in range(20):  # ten minutes before its use, and ten after now
        gains.learn_dir.add_gain(
            LiveGain(time_s=now_s + 60 * (number - 10) - 30, network=gains.network.name, gain=-1.0)
        )
    assert not gains.go_back_if_worse(now_s=now_s)


@pytest.mark.parametrize("step_s", [-86_400.0, -300.0, 300.0, 86_400.0])
def test_a_worse_network_is_given_up_within_another_ten_minutes_of_a_step_of_the_clock(
    tmp_path: Path, weights: Weights, step_s: float
) -> None:
    gains, began_s = watch(tmp_path, weights, general=GOOD), time.time() + 1

    def worse(now_s: float) -> bool:
        gains.learn_dir.add_gain(LiveGain(time_s=now_s, network=gains.network.name, gain=-0.5))
        return gains.go_back_if_worse(now_s=now_s)

    assert not any(worse(began_s + 60 * minute) for minute in range(5))
    assert any(worse(began_s + step_s + 60 * minute) for minute in range(5, 16))
    assert gains.learn_dir.current() is None
