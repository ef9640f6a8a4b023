"""Engines that take turns on the same cores: one for each of the last few networks."""

from dataclasses import dataclass

from vidsr.arrays import Plane
from vidsr.cpu import Cpu
from vidsr.engine import Engine
from vidsr.engine.reusing_engine import warm_up
from vidsr.model.weights import Weights
from vidsr.pool import NETWORKS_KEPT


@dataclass(kw_only=True)
class _CachedEngine:
    weights: Weights
    engine: Engine
    prepared: tuple[object, ...] = ()
    """The shape, type and depth of the planes it was last warmed up for."""


class EngineCache:
    """The engine of each network, of `threads` threads, compiled, for the last `NETWORKS_KEPT` networks.

    Not safe for two threads of the caller.
    """

    def __init__(self, *, threads: int, precision: str, cpu: Cpu | None = None) -> None:
        self.threads, self._precision, self._cpu = threads, precision, cpu
        self._cached: list[_CachedEngine] = []

    def __call__(self, weights: Weights) -> Engine:
        """The engine of this network. Raises ModelError when it cannot be computed in the precision asked for."""
        return self._of(weights).engine

    def prepare(self, weights: Weights, plane: Plane, depth: int) -> None:
        """Compile it for planes like this one."""
        cached, kind = self._of(weights), (plane.shape, plane.dtype, depth)
        if cached.prepared != kind:
            warm_up(cached.engine, plane, depth)
            cached.prepared = kind

    def _of(self, weights: Weights) -> _CachedEngine:
        if self._cached and self._cached[-1].weights is weights:  # true of nearly every plane
            return self._cached[-1]
        found = next((cached for cached in self._cached if _equal(cached.weights, weights)), None)
        if found is None:
            engine = Engine(weights, threads=self.threads, precision=self._precision, cpu=self._cpu)
            found = _CachedEngine(weights=weights, engine=engine)
        found.weights = weights  # the same network comes to another process as another object each time
        self._cached = [*(cached for cached in self._cached if cached is not found), found][-NETWORKS_KEPT:]
        return found


def _equal(one: Weights, other: Weights) -> bool:
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
