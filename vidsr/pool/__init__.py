"""Pools: planes in, upscaled planes out, in order, lazily, with a bounded number in flight."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from math import inf
from typing import Protocol

from vidsr.arrays import Plane
from vidsr.callbacks import ShouldStop
from vidsr.cpu import Machine, describe_machine, usable_cores
from vidsr.engine.precision import PrecisionChoice
from vidsr.memory import usable_bytes
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model
from vidsr.settings import PoolSettings
from vidsr.stage_timer import TimedSpan

QUEUE_DEPTH = 2
"""Planes per worker: one in work, and one waiting, so that the worker never waits."""
FEW_CORES = 4
"""Cores up to which threads of this process do, unless workers are asked for: Ray's own work would take 6 ms of a core
per frame at 640x360. Measured on two cores; three and four by tools/simulate.py alone."""
NETWORKS_KEPT = 4
"""Networks that stay compiled, so that a change back to one takes no time."""
SMALL_PLANE_MACS = 250_000_000
"""Multiply-adds per plane up to which threads of this process do on any number of cores: a plane's way to a worker and
back costs 1 to 1.6 ms, in which four threads upscale it (fsrcnn-fast-x2 at 320x240)."""

MAX_SEGMENTS = 64
"""Segments side by side where the memory is unknown."""
_SEGMENT_BYTES, _SEGMENT_BYTES_PER_PIXEL = 205_000_000, 44
"""Measured with x264 at 1280x720 (245 MB) and 3840x2160 (568 MB), for one segment at a time in one process."""


class Ticket(Protocol):
    """A plane that was sent."""

    def ready(self) -> bool:
        """Whether `result` would return at once, or would have to replace a lost worker."""
        ...

    def result(self) -> Plane:
        """As an item of `Pool.map`."""
        ...


class Pool(Protocol):
    """The interface of a pool, and what a report says of its run."""

    restarts: int
    quarantined: list[int]
    engine_s: float
    precision_choice: PrecisionChoice
    """The precision of the last upscaled plane, and why; before the first plane the expected one."""
    warnings: list[str]
    """A sentence per graph that is wrong on a worker's CPU."""
    last_span: TimedSpan | None
    """The time that an engine took for the last result; None where no engine was needed."""

    @property
    def reused(self) -> float:
        """The share of all pixels since the last `set_weights` that was copied from previous results."""
        ...

    @property
    def engines(self) -> int:
        """The number of planes upscaled side by side: by processes, or by threads of this one."""
        ...

    @property
    def workers(self) -> int:
        """The number of worker processes, 0 for this one."""
        ...

    @property
    def threads(self) -> int:
        """Per process."""
        ...

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """Each (H, W) plane of `depth` bits, upscaled to (scale*H, scale*W), in order.

        Lazy: at most a window of planes is taken ahead. Raises WorkerError with the index of a plane that fails, after
        the results before it.
        """
        ...

    def send(self, plane: Plane, depth: int) -> Ticket:
        """Send one plane, for sources that cannot wait for the next one: live cameras.

        Results must be taken in the order of sending, and no `map` may be in progress.
        """
        ...

    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> Callable[[], bool]:
        """Compile networks for planes like this one in the background; the result says whether that is done.

        Planes that are sent before wait for it. The last `NETWORKS_KEPT` networks stay compiled for `set_weights`.
        """
        ...

    def set_weights(self, weights: Weights) -> None:
        """Use another network of the same scale for every plane from now on, also in the middle of a `map`.

        Planes in flight keep the network they came in with, even if their worker is replaced. The caller is the one
        that takes the results, between two of them. Raises ValueError for another scale and ModelError for weights
        without a calibration where int8 was asked for; nothing changes then.
        """
        ...


def open_pool(
    model: str | Weights,
    settings: PoolSettings = PoolSettings(),
    *,
    fallback: Callable[[Plane], Plane] | None = None,
    pixels: int | None = None,
    should_stop: ShouldStop = lambda: False,
) -> AbstractContextManager[Pool]:
    """The pool of the settings, closed by `with`; Ray is loaded only for a pool that needs it.

    `model` is a name of the zoo, the path of a weight file, or weights. `fallback` upscales a plane that killed two
    workers, by default by repeating pixels. `pixels` is the size of the planes, where it is known. Raises ModelError
    when the network cannot be computed in the precision of the settings, and Stopped when `should_stop` says so while
    Ray starts.
    """
    weights = load_model(model) if isinstance(model, str) else model
    multiplies = inf if pixels is None else pixels * weights.architecture.multiplies
    if runs_in_process(settings, describe_machine(), multiplies=multiplies):
        from vidsr.pool.in_process_pool import InProcessPool

        return InProcessPool(weights, settings)
    from vidsr.pool.ray_pool import RayPool

    usual = partial(_repeated, scale=weights.architecture.scale)
    return RayPool(weights, settings, fallback=fallback or usual, should_stop=should_stop)


def segments_in_memory(size: tuple[int, int]) -> int:
    """How many segments of frames of `size`, (width, height), when they are upscaled, fit into memory; 1 at least."""
    room = usable_bytes()
    if room is None:
        return MAX_SEGMENTS
    return max(1, room // segment_bytes_in_memory(size))


def segment_bytes_in_memory(size: tuple[int, int]) -> int:
    """What a segment in work takes."""
    return _SEGMENT_BYTES + _SEGMENT_BYTES_PER_PIXEL * size[0] * size[1]


def runs_in_process(settings: PoolSettings, machine: Machine, *, multiplies: float = inf) -> bool:
    """Whether this process does the work itself.

    The settings say so, or leave it open and the machine's cores, or the `multiplies` per plane, are few.
    """
    if settings.workers is not None or settings.ray_address is not None:
        return settings.workers == 0
    return multiplies <= SMALL_PLANE_MACS or usable_cores(machine, threads=settings.threads) <= FEW_CORES


def engine_span(began_s: float, ended_s: float, worker: int) -> TimedSpan:
    """The time an engine took for one plane."""
    return TimedSpan(stage="upscale", began_s=began_s, ended_s=ended_s, lane=worker)


def _repeated(plane: Plane, scale: int) -> Plane:
    return plane.repeat(scale, axis=0).repeat(scale, axis=1)
