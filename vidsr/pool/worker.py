"""What runs inside a Ray actor: engines that take turns on its own cores."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import ray

from vidsr.arrays import Plane
from vidsr.cpu_affinity import Machine, Share, confine, describe_machine, stray_threads
from vidsr.engine.change_detection import Task, enlarged
from vidsr.model.weights import Weights
from vidsr.pool.engine_cache import Engines
from vidsr.settings import PoolSettings


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an actor came to live."""

    node: str
    pid: int
    machine: Machine


class Worker:
    """It is started in two steps: first it says where it is, then it is told its share."""

    def place(self) -> Place:
        """The node, the process and what this process may use of the machine."""
        return Place(node=ray.get_runtime_context().get_node_id(), pid=os.getpid(), machine=describe_machine())

    def start(self, weights: Weights, share: Share, settings: PoolSettings) -> None:
        """Make the engine on its cores. The mask comes first: OpenVINO keeps the one it finds at first use."""
        confine(share.cpus)
        self._share, self._weights, self._checked = share, weights, False
        self._engines = Engines(threads=share.threads, precision=settings.precision)
        self._engines(weights)

    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> None:
        """Have networks compiled for planes like this one."""
        for weights in networks:
            self._engines.prepare(weights, plane, depth)
        self._checked = False

    def enlarge(self, task: Task, other: Weights | None) -> tuple[Plane, float, float]:
        """What `enlarged` makes of the task, and by `time.perf_counter` when work at it began and ended.

        `other` is the network to take from this plane on.
        """
        began = time.perf_counter()
        if other:
            self._weights, self._checked = other, False
        result = enlarged(self._engines(self._weights), task)
        if not self._checked:
            confine(self._share.cpus)  # OpenVINO starts its threads with the first plane: none of them strays
            self._checked = True
        return result, began, time.perf_counter()

    def strays(self) -> list[int]:
        """The threads of this process that may run outside its cores; none, or the plan is not held."""
        return stray_threads(self._share.cpus)
