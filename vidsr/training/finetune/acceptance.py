"""Whether a fine-tuned network is accepted: its gains on the validation set.

The gain in the moving areas decides: what stands still, captions most of all, is learned by heart.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vidsr.quality.evaluation import ResultRow

_MIN_GAIN_DB = 0.01  # less is chance


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """Mean gains in dB on the validation set, by input ("crf 23")."""

    start: str
    clips: int
    over_start: dict[str, float]
    """In the moving areas, as `over_lanczos`."""
    over_lanczos: dict[str, float]
    whole_over_start: dict[str, float]
    """On the whole picture, as `whole_over_lanczos`."""
    whole_over_lanczos: dict[str, float]

    @property
    def accepted(self) -> bool:
        """Whether the tuned network is better than the start and than Lanczos in the moving areas."""
        return self.gain >= _MIN_GAIN_DB and _mean(self.over_lanczos) > 0

    @property
    def gain(self) -> float:
        """The mean gain over the start in the moving areas, in dB."""
        return _mean(self.over_start)

    @property
    def whole_gain(self) -> float:
        """The mean gain over the start on the whole picture, in dB."""
        return _mean(self.whole_over_start)

    @property
    def gains(self) -> dict[str, float]:
        """The gains over the start, for the facts of a weight file."""
        moving = {f"over {self.start} where it moves, {name}": gain for name, gain in self.over_start.items()}
        whole = {f"over {self.start}, {name}": gain for name, gain in self.whole_over_start.items()}
        return {name: round(gain, 2) for name, gain in {**moving, **whole}.items()}

    def __str__(self) -> str:
        moves = "clips move" if self.clips > 1 else "clip moves"
        by_input = [f"{name} {gain:+.2f} and {self.over_lanczos[name]:+.2f}" for name, gain in self.over_start.items()]
        return (
            f"{self.gain:+.2f} dB over {self.start} and {_mean(self.over_lanczos):+.2f} over Lanczos "
            f"where {self.clips} held-out {moves} ({', '.join(by_input)}); "
            f"{self.whole_gain:+.2f} and {_mean(self.whole_over_lanczos):+.2f} on the whole picture"
        )


def assess(rows: Iterable[ResultRow], *, start: str, tuned: str) -> Acceptance:
    """The acceptance, from the scores of both networks on every clip and input."""
    rows = list(rows)
    whole = _gains([(row, row.gain) for row in rows], start, tuned)
    moving = _gains([(row, row.gain if row.moving_gain is None else row.moving_gain) for row in rows], start, tuned)
    return Acceptance(
        start=start,
        clips=len({row.name for row in rows}),
        over_start=moving[0],
        over_lanczos=moving[1],
        whole_over_start=whole[0],
        whole_over_lanczos=whole[1],
    )


def _gains(
    gains: Iterable[tuple[ResultRow, float]], start: str, tuned: str
) -> tuple[dict[str, float], dict[str, float]]:
    """The mean gains of the tuned network over the start and over Lanczos, by input, from gains over Lanczos."""
    collected: dict[tuple[str, str], list[float]] = {}
    for row, gain in gains:
        collected.setdefault((row.method, row.input), []).append(gain)
    over_lanczos = {name: float(np.mean(own)) for (method, name), own in collected.items() if method == tuned}
    over_start = {name: gain - float(np.mean(collected[start, name])) for name, gain in over_lanczos.items()}
    return over_start, over_lanczos


def _mean(gains: dict[str, float]) -> float:
    return float(np.mean(list(gains.values())))
