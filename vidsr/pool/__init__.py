"""Pools: planes in, enlarged planes out, in order, lazily, with a bounded number in flight."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from math import inf
from typing import Protocol

from vidsr.arrays import Plane
from vidsr.cpu_affinity import Machine, describe_machine, plan_cores
from vidsr.engine.precision import PrecisionChoice, check_precision
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model
from vidsr.settings import PoolSettings
from vidsr.stage_timer import Span

QUEUE_DEPTH = 2
"""Planes at a worker: one in work, one that waits, so that it never does."""
FEW_CORES = 4
"""Up to so many are used by threads of this process, unless workers are asked for: there Ray's own work, 6 ms of a
core a frame at 640x360, is felt. Measured on two; three and four by tools/simulate.py alone."""
NETWORKS_KEPT = 4
"""Networks that stay compiled, so that going back to one takes no time."""
SMALL_PLANE_MACS = 250_000_000
"""Multiply-adds of a plane up to which they do on any number of cores: one that goes to a worker and back costs this
process 1 to 1.6 ms, in which four threads of its own enlarge it. (fsrcnn-fast-x2 at 320x240.)"""


class Ticket(Protocol):
    """A plane that was sent."""

    def ready(self) -> bool:
        """Whether `result` would return at once, or has to deal with a worker that was lost."""
        ...

    def result(self) -> Plane:
        """As an item of `Pool.map`."""
        ...


class Pool(Protocol):
    """What the pipeline asks of a pool, and the facts of the run that a report wants."""

    restarts: int
    quarantined: list[int]
    engine_s: float
    choice: PrecisionChoice
    """The precision of the last plane that was upscaled, and why; before the first one that which is expected."""
    warnings: list[str]
    """What engines found wrong on this CPU, a sentence each."""
    latest: Span | None
    """The work at the plane that was handed out last; None where no engine did it."""

    @property
    def reused(self) -> float:
        """The share of what came in, since the last swap, that was as it had been and was not enlarged again."""
        ...

    @property
    def workers(self) -> int:
        """How many planes are enlarged side by side: by processes, or by threads of this one."""
        ...

    @property
    def processes(self) -> int:
        """How many processes do it, 0 for this one."""
        ...

    @property
    def threads(self) -> int:
        """Of each process."""
        ...

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """Each (H, W) plane of `depth` bits, scale times as large, in order.

        Lazy: never more than a window of planes is taken ahead. Raises WorkerError with the index of the plane
        that the pool could not get past, after the results before it.
        """
        ...

    def send(self, plane: Plane, depth: int) -> Ticket:
        """One plane for enlarging, for whoever cannot wait for the next one to come: a live source.

        The results are to be taken in the order of sending, and no `map` may be in progress.
        """
        ...

    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> Callable[[], bool]:
        """Have networks compiled for planes like this one, beside what is in work: what comes says if that is done.

        Planes that are sent before wait for it. The last `NETWORKS_KEPT` networks stay compiled for later swaps.
        """
        ...

    def swap(self, weights: Weights) -> None:
        """Take another network of the same scale for every plane from now on, also in the middle of a `map`.

        Planes that were taken before keep the network that they were taken under, whatever happens to their worker.
        To be called by whoever takes the results, between two of them; the weights that are in use already change
        nothing. Weights are checked when they are made, so that nothing can be wrong with them but the scale: for
        another one this raises ValueError, and changes nothing. Nor does it where int8 was asked for and they have
        no calibration: then it raises ModelError.
        """
        ...


def open_pool(
    model: str | Weights,
    settings: PoolSettings = PoolSettings(),
    *,
    fallback: Callable[[Plane], Plane] | None = None,
    pixels: int | None = None,
) -> AbstractContextManager[Pool]:
    """The pool that the settings ask for, to be closed by `with`; Ray is loaded only for a pool that needs it.

    `model` is a name of the zoo, the path of a weight file, or weights. `fallback` enlarges the plane that killed two
    workers, by default each pixel as it is. `pixels` is the size of the planes to come, where that is known. Raises
    ModelError when the network cannot be computed as the settings ask.
    """
    weights = load_model(model) if isinstance(model, str) else model
    check_precision(settings.precision, weights)  # before a worker is started
    multiplies = inf if pixels is None else pixels * weights.architecture.multiplies
    if runs_in_process(settings, describe_machine(), multiplies=multiplies):
        from vidsr.pool.thread_pool import InProcessPool

        return InProcessPool(weights, settings)
    from vidsr.pool.ray_pool import RayPool

    return RayPool(weights, settings, fallback=fallback or partial(_repeated, scale=weights.architecture.scale))


def runs_in_process(settings: PoolSettings, machine: Machine, *, multiplies: float = inf) -> bool:
    """Whether the settings come to no worker but this process.

    They say so, or leave it open and the machine's cores are few, or so are the `multiplies` of a plane.
    """
    if settings.workers is not None or settings.ray_address is not None:
        return settings.workers == 0
    shares = plan_cores(machine, threads=settings.threads)
    return multiplies <= SMALL_PLANE_MACS or sum(share.threads for share in shares) <= FEW_CORES


def engine_span(began_s: float, ended_s: float, worker: int) -> Span:
    """The work at one plane."""
    return Span(stage="enlarge", began_s=began_s, ended_s=ended_s, lane=worker)


def require_scale(weights: Weights, scale: int) -> None:
    """Raises ValueError when the network enlarges by another scale."""
    if weights.architecture.scale != scale:
        raise ValueError(f"a pool that enlarges {scale} times cannot take {weights.architecture}")


def _repeated(plane: Plane, scale: int) -> Plane:
    return plane.repeat(scale, axis=0).repeat(scale, axis=1)
