"""What runs inside a Ray actor: engines that take turns on its own cores."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import ray

from vidsr.arrays import Plane
from vidsr.cpu import Cpu, this_cpu
from vidsr.cpu_affinity import Machine, Share, confine, describe_machine, stray_threads
from vidsr.engine.change_detection import Task, enlarged
from vidsr.engine.precision import PrecisionChoice
from vidsr.model.weights import Weights
from vidsr.pool.engine_cache import Engines
from vidsr.settings import PoolSettings


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an actor came to live."""

    node: str
    pid: int
    machine: Machine
    cpu: Cpu


@dataclass(frozen=True, kw_only=True)
class WorkerResult:
    """What a worker made of a task."""

    plane: Plane
    began_s: float
    """By `time.perf_counter`, when work at it began; `ended_s` likewise."""
    ended_s: float
    choice: PrecisionChoice
    """As `Engine.choice`."""
    warnings: tuple[str, ...]
    """As `Engine.warnings`."""


class Worker:
    """It is started in two steps: first it says where it is, then it is told its share."""

    def place(self) -> Place:
        """The node, the process and what this process may use of the machine."""
        return Place(
            node=ray.get_runtime_context().get_node_id(), pid=os.getpid(), machine=describe_machine(), cpu=this_cpu()
        )

    def start(self, weights: Weights, share: Share, settings: PoolSettings, cpu: Cpu | None) -> None:
        """Make the engine on its cores. The mask comes first: OpenVINO keeps the one it finds at first use.

        `cpu` is what the CPUs of all workers can do, where they differ.
        """
        confine(share.cpus)
        self._share, self._weights, self._checked = share, weights, False
        self._engines = Engines(threads=share.threads, precision=settings.precision, cpu=cpu)
        self._engines(weights)

    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> None:
        """Have networks compiled for planes like this one."""
        for weights in networks:
            self._engines.prepare(weights, plane, depth)
        self._checked = False

    def enlarge(self, task: Task, other: Weights | None) -> WorkerResult:
        """The result of the task; `other` is the network to take from this plane on."""
        began = time.perf_counter()
        if other:
            self._weights, self._checked = other, False
        engine = self._engines(self._weights)
        result = enlarged(engine, task)
        if not self._checked:
            confine(self._share.cpus)  # OpenVINO starts its threads with the first plane: none of them strays
            self._checked = True
        return WorkerResult(
            plane=result,
            began_s=began,
            ended_s=time.perf_counter(),
            choice=engine.choice,
            warnings=tuple(engine.warnings),
        )

    def strays(self) -> list[int]:
        """The threads of this process that may run outside its cores; none, or the plan is not held."""
        return stray_threads(self._share.cpus)
