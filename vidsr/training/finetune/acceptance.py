"""Whether a fine-tuned network is accepted: its gains on the validation set."""

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
    over_lanczos: dict[str, float]

    @property
    def accepted(self) -> bool:
        """Whether the tuned network is better than the start and than Lanczos."""
        return _mean(self.over_start) >= _MIN_GAIN_DB and _mean(self.over_lanczos) > 0

    def __str__(self) -> str:
        by_input = [f"{name} {gain:+.2f} and {self.over_lanczos[name]:+.2f}" for name, gain in self.over_start.items()]
        return (
            f"{_mean(self.over_start):+.2f} dB over {self.start} and {_mean(self.over_lanczos):+.2f} over Lanczos "
            f"on {self.clips} held-out clip{'s' if self.clips > 1 else ''} ({', '.join(by_input)})"
        )


def assess(rows: Iterable[ResultRow], *, start: str, tuned: str) -> Acceptance:
    """The acceptance, from the scores of both networks on every clip and input."""
    gains: dict[tuple[str, str], list[float]] = {}
    clips = set()
    for row in rows:
        gains.setdefault((row.method, row.input), []).append(row.gain)
        clips.add(row.name)
    over_lanczos = {name: float(np.mean(own)) for (method, name), own in gains.items() if method == tuned}
    over_start = {name: gain - float(np.mean(gains[start, name])) for name, gain in over_lanczos.items()}
    return Acceptance(start=start, clips=len(clips), over_start=over_start, over_lanczos=over_lanczos)


def _mean(gains: dict[str, float]) -> float:
    return float(np.mean(list(gains.values())))
