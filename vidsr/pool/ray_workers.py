"""Ray's processes, each on its own cores: started, replaced and ended for the pools that use them."""

from contextlib import ExitStack, suppress
from typing import Self

from vidsr.callbacks import ShouldStop
from vidsr.errors import WorkerError
from vidsr.memory import usable_bytes
from vidsr.model.weights import Weights
from vidsr.pool.placement import Placement, WorkerSlot
from vidsr.pool.ray_runtime import ray_session
from vidsr.settings import PoolSettings

_WORKER_BYTES = 80_000_000
"""Of memory that a worker takes at the least: Python, NumPy, OpenVINO and the network of a small frame."""


def require_memory(settings: PoolSettings, free_bytes: int | None) -> None:
    """Raises WorkerError where the workers do not fit into this machine's memory: they would take others', too."""
    if settings.ray_address is not None or not settings.workers or free_bytes is None:
        return
    if settings.workers > max(1, free_bytes // _WORKER_BYTES):
        needed, free = settings.workers * _WORKER_BYTES / 1e9, free_bytes / 1e9
        raise WorkerError(
            f"{settings.workers} workers need {needed:.1f} GB of memory or more, and {free:.1f} GB are free; use fewer"
        )


class RayWorkers:
    """Workers for any number of pools, one after the other; closed by `with`.

    `slots` are those that live, and `weights` is the network that new ones begin with. Raises WorkerError when none
    starts, and Stopped when `should_stop` says so before that.
    """

    def __init__(self, weights: Weights, settings: PoolSettings, should_stop: ShouldStop = lambda: False) -> None:
        self.weights, self.settings = weights, settings
        self._should_stop = should_stop
        self.slots: list[WorkerSlot] = []
        self.placement = Placement(settings, lambda: self.weights)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        require_memory(self.settings, usable_bytes())
        with ExitStack() as stack:
            self.ray_lives = stack.enter_context(ray_session(self.settings.ray_address, self._should_stop))
            stack.callback(self._stop)
            self.slots = self.placement.start(self._should_stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def is_alive(self) -> bool:
        """Whether Ray and some of the workers live, as far as is known."""
        return bool(self.slots) and not self.placement.head.is_lost and self.ray_lives()

    @property
    def threads(self) -> int:
        """Of each worker."""
        return self.slots[0].share.threads if self.slots else 1

    def take_arrived(self) -> list[WorkerSlot]:
        """The workers that have started since the last call, which are among `slots` now."""
        arrived = self.placement.arrived()
        self.slots += arrived
        return arrived

    def replace(self, lost: WorkerSlot) -> None:
        """End a worker, and start another one."""
        self.retire(lost)
        self.placement.replace(lost)

    def retire(self, slot: WorkerSlot) -> None:
        """End a worker."""
        self.slots.remove(slot)
        slot.end()

    def _stop(self) -> None:
        if self.placement.head.is_lost or not self.ray_lives():
            return
        for end in (self.placement.end, *(slot.end for slot in self.slots)):
            with suppress(Exception):  # the cluster may be gone, and our processes with it
                end()
