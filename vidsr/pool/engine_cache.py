"""Engines that take turns on the same cores: one for each of the last few networks."""

from dataclasses import dataclass

from vidsr.arrays import Plane
from vidsr.cpu import Cpu
from vidsr.engine import Engine
from vidsr.engine.change_detection import warm
from vidsr.model.weights import Weights
from vidsr.pool import KEPT


@dataclass(kw_only=True)
class _Kept:
    weights: Weights
    engine: Engine
    prepared: tuple[object, ...] = ()
    """The kind of planes that it was warmed up for last."""


class Engines:
    """The engine of each network that comes, kept compiled for the last `KEPT` of them. Not safe for two threads."""

    def __init__(self, *, threads: int, precision: str, cpu: Cpu | None = None) -> None:
        self._threads, self._precision, self._cpu = threads, precision, cpu
        self._kept: list[_Kept] = []

    def __call__(self, weights: Weights) -> Engine:
        """The engine of this network. Raises ModelError when it cannot be computed as was asked."""
        return self._of(weights).engine

    def prepare(self, weights: Weights, plane: Plane, depth: int) -> None:
        """Have it compiled for planes like this one."""
        kept, kind = self._of(weights), (plane.shape, plane.dtype, depth)
        if kept.prepared != kind:
            warm(kept.engine, plane, depth)
            kept.prepared = kind

    def _of(self, weights: Weights) -> _Kept:
        if self._kept and self._kept[-1].weights is weights:  # as of nearly every plane
            return self._kept[-1]
        found = next((kept for kept in self._kept if _same(kept.weights, weights)), None)
        if found is None:
            engine = Engine(weights, threads=self._threads, precision=self._precision, cpu=self._cpu)
            found = _Kept(weights=weights, engine=engine)
        found.weights = weights  # the same network comes to another process as another object each time
        self._kept = [*(kept for kept in self._kept if kept is not found), found][-KEPT:]
        return found


def _same(one: Weights, other: Weights) -> bool:
    return one is other or (one.architecture == other.architecture and _numbers(one) == _numbers(other))


def _numbers(weights: Weights) -> list[dict[str, bytes] | dict[str, float]]:
    """All that a result depends on but the architecture."""
    tensors = {name: tensor.tobytes() for name, tensor in weights.tensors.items()}
    if weights.calibration is None:
        return [tensors]
    return [
        tensors,
        {name: ends.tobytes() for name, ends in weights.calibration.ranges.items()},
        weights.calibration.losses,
    ]
