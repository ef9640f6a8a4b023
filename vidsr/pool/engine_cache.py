"""Engines that take turns on the same cores: one for each of the last few networks."""

from dataclasses import dataclass

from vidsr.arrays import Plane
from vidsr.cpu import Cpu
from vidsr.engine import Engine
from vidsr.engine.reusing_engine import warm_up
from vidsr.model.weights import Weights, weights_hash
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
        self._cached: dict[str, _CachedEngine] = {}
        """By the hash of the network, the last one used at the end."""
        self._last: _CachedEngine | None = None

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
        if self._last and self._last.weights is weights:  # true of nearly every plane
            return self._last
        key = weights_hash(weights)
        if found := self._cached.pop(key, None):
            found.weights = weights  # the same network comes to another process as another object each time
        else:
            engine = Engine(weights, threads=self.threads, precision=self._precision, cpu=self._cpu)
            found = _CachedEngine(weights=weights, engine=engine)
        self._cached[key] = self._last = found
        if len(self._cached) > NETWORKS_KEPT:
            del self._cached[next(iter(self._cached))]
        return found
