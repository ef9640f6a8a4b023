"""The live gain: what the network in use gains over the general one on frames of both streams of a camera."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsr.arrays import Floats, Luma, Mask
from vidsr.engine import Engine
from vidsr.learn_dir import LearnDir, LearnedNetwork, LiveGain
from vidsr.live.learned_network import load_scene_network
from vidsr.live.quality_ladder import ModelLadder
from vidsr.media.reader import Reader
from vidsr.settings import StreamSettings
from vidsr.training.data.validation_set import moving_areas
from vidsr.training.pairing import Alignment, aligned_pairs

_PAIRS = 4
_BORDER = 4  # pixels of the source
_WINDOW_S, _LEAST_SPAN_S, _LEAST_VALUES = 600.0, 480.0, 5


@dataclass(frozen=True, kw_only=True)
class GainWatch:
    """Measures the live gain of a network, and gives it up when it loses for ten minutes."""

    learn_dir: LearnDir
    network: LearnedNetwork
    settings: StreamSettings

    def measure(self, alignment: Alignment, left_out: Mask, *, now_s: float) -> float | None:
        """The gain in dB where the picture moves, kept in the folder; None where too little moves.

        `left_out` are the areas of the source, (H, W), that do not count. Raises SourceError, ModelError and
        TargetError.
        """
        pairs = list(aligned_pairs(alignment, _PAIRS))
        moving = _moving(alignment, pairs, left_out)
        if moving is None or not (engines := self._engines(alignment.lr)):
            return None
        general, learned = (_squared_error(engine, pairs, moving) for engine in engines)
        gain = float(10 * np.log10(general / learned))
        self.learn_dir.add_gain(LiveGain(time_s=now_s, network=self.network.name, gain=gain))
        return gain

    def go_back_if_worse(self, *, now_s: float) -> bool:
        """Have the general network used if the learned one was worse over the last ten minutes. Raises TargetError."""
        used_s = self.learn_dir.current_changed_ns() / 1e9
        since_s = max(now_s - _WINDOW_S, used_s if used_s <= now_s else 0.0)  # the clock was set back
        gains = [
            each
            for each in self.learn_dir.gains(since_s)
            if each.network == self.network.name and each.time_s <= now_s
        ]
        gains.sort(key=lambda each: each.time_s)
        if len(gains) < _LEAST_VALUES or gains[-1].time_s - gains[0].time_s < _LEAST_SPAN_S:
            return False
        mean = float(np.mean([each.gain for each in gains]))
        if mean >= 0:
            return False
        minutes = (gains[-1].time_s - gains[0].time_s) / 60
        reason = f"{self.network.name} was {-mean:.2f} dB below it in the last {minutes:.0f} minutes"
        return self.learn_dir.give_up(self.network.name, reason, now_s=now_s)

    def _engines(self, source: Path) -> tuple[Engine, Engine] | None:
        """The general network for this source and the learned one; None if that has another scale."""
        models, scene = ModelLadder(self.settings), load_scene_network(self.network.folder)
        with Reader(source) as reader:
            compression = reader.info.compression
        general, learned = models.networks(compression), models.networks(compression, scene)
        if scene.name not in learned:
            return None
        return Engine(next(iter(general.values())), threads=1), Engine(learned[scene.name], threads=1)


def _moving(alignment: Alignment, pairs: Sequence[tuple[Luma, Luma]], left_out: Mask) -> Mask | None:
    """(scale*H, scale*W): where the frames of the main stream move; None where hardly anything does."""
    if len(pairs) < 2 or left_out.shape != (alignment.registration.rows.lr, alignment.registration.columns.lr):
        return None
    within = ~left_out
    within[:_BORDER] = within[-_BORDER:] = within[:, :_BORDER] = within[:, -_BORDER:] = False
    within = within[alignment.covered].repeat(alignment.scale, 0).repeat(alignment.scale, 1)
    moving = moving_areas([hr for _, hr in pairs], within)
    return None if (moving == within).all() else moving


def _squared_error(engine: Engine, pairs: Sequence[tuple[Luma, Luma]], moving: Mask) -> float:
    """The sum over the moving areas of all pairs; above 0."""
    errors: list[Floats] = [(engine(lr).astype(np.float64) - hr)[moving] for lr, hr in pairs]
    return float(sum(np.square(error).sum() for error in errors)) + 1.0
