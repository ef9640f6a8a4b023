"""The proof of a learned network: what it gains on held-out moments, and what it loses on pictures of no camera."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vidsr.engine import Engine
from vidsr.learn_dir import Proof
from vidsr.learning.general_set import general_set, mean_psnr
from vidsr.model.weights import Weights, blend
from vidsr.quality.crops import TUNED
from vidsr.quality.evaluation import ResultRow
from vidsr.quality.int8_calibration import calibrate
from vidsr.quality.upscalers import make_upscalers
from vidsr.training.data.validation_set import ValidationSample, score_methods
from vidsr.training.finetune.acceptance import Acceptance, assess

_SHARES = (1.0, 0.75, 0.5, 0.25)
_MAX_GENERAL_LOSS_DB = 0.05
_IN_USE = "in use"
_CALIBRATION_FRAMES = 16


@dataclass(frozen=True, kw_only=True)
class ProvedNetwork:
    """A network, and what speaks for it."""

    weights: Weights
    proof: Proof
    acceptance: Acceptance
    rows: list[ResultRow]
    """The scores of all methods on the held-out moments."""
    engines: dict[str, Engine]
    """The general network by its name, and TUNED."""


def prove(
    general: Weights,
    learned: Weights,
    held_out: Sequence[ValidationSample],
    *,
    general_name: str,
    in_use: Weights | None,
    min_gain_db: float,
    held_out_part: str,
    threads: int,
) -> ProvedNetwork:
    """The mean of both networks with the share of the learned one that gains most, if the general set allows it.

    After few steps half of what was learned gains more than all of it. Every second of the held-out moments chooses
    the share, the others prove the network.

    `in_use` is the learned network in use, which it must not be worse than. `held_out_part` says what the held-out
    moments are of.
    """
    scale = general.architecture.scale
    choosing, proving = _halves(held_out)
    share, weights, loss = _best_share(general, learned, choosing, threads)
    # In f32, because the losses of int8 are known separately.
    networks = {general_name: general, TUNED: weights, **({_IN_USE: in_use} if in_use else {})}
    engines = {name: Engine(each, precision="f32", threads=threads) for name, each in networks.items()}
    rows = score_methods(proving, make_upscalers(engines, scale), scale)
    acceptance = assess(rows, start=general_name, tuned=TUNED)
    rival = assess(rows, start=general_name, tuned=_IN_USE).gain if in_use else None
    accepted, reason = _verdict(acceptance, loss, rival, min_gain_db, held_out_part)
    ready = weights if weights.calibration else _calibrated(weights, held_out)
    return ProvedNetwork(
        weights=replace(ready, facts={**learned.facts, "share": share, "gains": acceptance.gains}),
        proof=_proof(acceptance, accepted=accepted, reason=reason, loss=loss, share=share),
        acceptance=acceptance,
        rows=[row for row in rows if row.method != _IN_USE],
        engines={name: engine for name, engine in engines.items() if name != _IN_USE},
    )


def _proof(acceptance: Acceptance, *, accepted: bool, reason: str, loss: float, share: float) -> Proof:
    return Proof(
        accepted=accepted,
        reason=reason,
        moving_gain=round(acceptance.gain, 3),
        whole_gain=round(acceptance.whole_gain, 3),
        general_loss=round(loss, 3),
        share=share,
        moments=acceptance.clips,
        gains={name: round(gain, 3) for name, gain in acceptance.over_start.items()},
    )


def _halves(held_out: Sequence[ValidationSample]) -> tuple[list[ValidationSample], list[ValidationSample]]:
    """The samples of every second moment, and those of the others."""
    names = [*dict.fromkeys(sample.name for sample in held_out)]
    second = {*names[1::2]}
    return [each for each in held_out if each.name in second], [each for each in held_out if each.name not in second]


def _best_share(
    general: Weights, learned: Weights, choosing: Sequence[ValidationSample], threads: int
) -> tuple[float, Weights, float]:
    """The share, the network and its loss in dB; the smallest share where even that loses too much."""
    samples = list(general_set(general.architecture.scale))
    before = mean_psnr(samples, Engine(general, precision="f32", threads=threads))
    found = []
    for share in _SHARES:
        weights = learned if share == 1 else blend(general, learned, share)
        engine = Engine(weights, precision="f32", threads=threads)
        loss = before - mean_psnr(samples, engine)
        found.append((loss <= _MAX_GENERAL_LOSS_DB, mean_psnr(choosing, engine), share, weights, loss))
    allowed = [each for each in found if each[0]] or found[-1:]
    return max(allowed, key=lambda each: each[1])[2:]


def _verdict(
    acceptance: Acceptance, loss: float, rival: float | None, min_gain_db: float, part: str
) -> tuple[bool, str]:
    moves = "1 moment of {} moves" if acceptance.clips == 1 else f"{acceptance.clips} moments of {{}} move"
    gains = f"it gains {acceptance.gain:.2f} dB where {moves.format(part)}"
    if loss > _MAX_GENERAL_LOSS_DB:
        return (
            False,
            f"it loses {loss:.2f} dB on pictures of no camera, and at most {_MAX_GENERAL_LOSS_DB} are allowed",
        )
    if acceptance.gain < min_gain_db:
        return False, f"{gains}, and {min_gain_db:g} dB are needed"
    if not acceptance.accepted:
        return False, f"{gains}, and is no better than Lanczos there"
    if rival is not None and rival > acceptance.gain:
        return False, f"{gains}, and the network in use {rival:.2f} dB"
    return True, f"{gains}, and loses {loss:.2f} dB on pictures of no camera"


def _calibrated(weights: Weights, samples: Sequence[ValidationSample]) -> Weights:
    """The weights, calibrated for int8 where the general network is not."""
    some = [sample.pair for sample in samples[:: -(-len(samples) // _CALIBRATION_FRAMES)]]
    return calibrate(weights, [pair.lr_luma for pair in some], [(pair.lr_luma, pair.hr) for pair in some])
