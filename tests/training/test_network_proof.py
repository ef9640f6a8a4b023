"""A learned network is used if it gains where things move, and loses nothing on pictures of no camera."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from vidsr.learning import network_proof
from vidsr.learning.general_set import general_set
from vidsr.learning.network_proof import ProvedNetwork, prove
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model
from vidsr.training.data.clips import Clip, moving_clip
from vidsr.training.data.drawn_pictures import draw_picture
from vidsr.training.data.validation_set import ValidationSample, coded_samples

WHOLE = load_model("fsrcnn-fast-x2-video")


@pytest.fixture(scope="module")
def held_out() -> list[ValidationSample]:
    clips = [
        Clip(planes=moving_clip(draw_picture(seed, 160), (128, 128), 13, np.random.default_rng(seed)))
        for seed in (5, 6, 7)
    ]
    return [sample for number, clip in enumerate(clips) for sample in coded_samples(clip, f"moment {number}", 2)]


@pytest.fixture(scope="module", autouse=True)
def drawn_once() -> Iterator[None]:
    """The general set, which is always the same, is drawn and encoded for all proofs together."""
    samples = {2: list(general_set(2))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_proof, "general_set", samples.__getitem__)
        yield


def with_tail(factor: float) -> Weights:
    """The network with so many times of what it adds."""
    tail = {name: factor * tensor for name, tensor in WHOLE.tensors.items() if name.startswith("deconvolution")}
    return replace(WHOLE, tensors={**WHOLE.tensors, **tail})


def proved(general: Weights, learned: Weights, held_out: list[ValidationSample], **how: object) -> ProvedNetwork:
    usual = {"in_use": None, "min_gain_db": 0.05, "general_name": "general", "held_out_part": "the newest day"}
    return prove(general, learned, held_out, threads=1, **{**usual, **how})


@pytest.fixture(scope="module")
def gains(held_out: list[ValidationSample]) -> ProvedNetwork:
    """The proof of a network that gains everywhere."""
    return proved(with_tail(0.3), WHOLE, held_out)


def test_the_moments_that_choose_the_share_prove_nothing(gains: ProvedNetwork) -> None:
    assert {row.name for row in gains.rows} == {"moment 0", "moment 2"}


def test_what_gains_everywhere_is_accepted_whole(gains: ProvedNetwork) -> None:
    proof = gains.proof
    assert (proof.accepted, proof.share, proof.moments) == (True, 1.0, 2)
    assert proof.moving_gain > 0.05
    assert proof.general_loss < 0
    assert proof.reason.startswith(f"it gains {proof.moving_gain:.2f} dB where 2 moments of the newest day move")
    assert gains.weights.calibration == WHOLE.calibration
    assert set(gains.engines) == {"general", "tuned"}


def test_a_gain_below_what_is_asked_for_and_one_below_that_of_the_network_in_use_are_refused(
    held_out: list[ValidationSample],
) -> None:
    few = proved(with_tail(0.3), WHOLE, held_out, min_gain_db=5.0).proof
    assert not few.accepted
    assert few.reason.endswith("move, and 5 dB are needed")
    worse = proved(with_tail(0.0), with_tail(0.3), held_out, in_use=WHOLE, min_gain_db=0.01).proof
    assert not worse.accepted
    assert f"it gains {worse.moving_gain:.2f} dB where" in worse.reason
    assert ", and the network in use 1." in worse.reason


def test_what_is_no_better_than_lanczos_is_refused(held_out: list[ValidationSample]) -> None:
    proof = proved(with_tail(-9.0), with_tail(-1.0), held_out, min_gain_db=0.01).proof
    assert not proof.accepted
    assert proof.reason.endswith("and is no better than Lanczos there")


def test_what_loses_on_pictures_of_no_camera_is_refused(held_out: list[ValidationSample]) -> None:
    proof = proved(WHOLE, with_tail(-9.0), held_out).proof
    assert (proof.accepted, proof.share) == (False, 0.25)
    assert proof.general_loss > 0.05
    assert proof.reason.startswith(f"it loses {proof.general_loss:.2f} dB on pictures of no camera")
