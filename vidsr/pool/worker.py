"""The Ray actor: engines that take turns on its own cores."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import ray

from vidsr.arrays import Plane
from vidsr.cpu import Cpu, this_cpu
from vidsr.cpu_affinity import CpuShare, Machine, describe_machine, pin_process, unpinned_threads
from vidsr.engine.change_detection import UpdatePlan, run_plan
from vidsr.engine.precision import PrecisionChoice
from vidsr.model.weights import Weights
from vidsr.pool.engine_cache import EngineCache
from vidsr.settings import PoolSettings


@dataclass(frozen=True, kw_only=True)
class WorkerLocation:
    """The node and the process of an actor, and what it may use there."""

    node: str
    pid: int
    machine: Machine
    cpu: Cpu


@dataclass(frozen=True, kw_only=True)
class WorkerResult:
    """The result of a plan."""

    upscaled: Plane
    """As of `run_plan`."""
    began_s: float
    """By `time.perf_counter`; `ended_s` likewise."""
    ended_s: float
    choice: PrecisionChoice
    """As `Engine.choice`."""
    warnings: tuple[str, ...]
    """As `Engine.warnings`."""


class Worker:
    """An actor that is started in two steps: first it reports its location, then it receives its share."""

    def location(self) -> WorkerLocation:
        """Where it runs."""
        node = ray.get_runtime_context().get_node_id()
        return WorkerLocation(node=node, pid=os.getpid(), machine=describe_machine(), cpu=this_cpu())

    def start(self, weights: Weights, share: CpuShare, settings: PoolSettings, cpu: Cpu | None) -> None:
        """Make the engine on its cores. The mask comes first: OpenVINO keeps the one it finds at first use.

        `cpu` has what the CPUs of all workers have in common, where they differ.
        """
        pin_process(share.cpus)
        self._share, self._weights, self._pinned = share, weights, False
        self._engines = EngineCache(threads=share.threads, precision=settings.precision, cpu=cpu)
        self._engines(weights)

    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> None:
        """Compile networks for planes like this one."""
        for weights in networks:
            self._engines.prepare(weights, plane, depth)
        self._pinned = False

    def upscale(self, plan: UpdatePlan, other: Weights | None) -> WorkerResult:
        """The result of the plan; `other` is the network from this plane on, if it changes."""
        began = time.perf_counter()
        if other:
            self._weights, self._pinned = other, False
        engine = self._engines(self._weights)
        upscaled = run_plan(engine, plan)
        if not self._pinned:
            pin_process(self._share.cpus)  # OpenVINO starts its threads with the first plane
            self._pinned = True
        return WorkerResult(
            upscaled=upscaled,
            began_s=began,
            ended_s=time.perf_counter(),
            choice=engine.choice,
            warnings=tuple(engine.warnings),
        )

    def unpinned_threads(self) -> list[int]:
        """The threads of this process that may run outside its cores; none, if the plan is held."""
        return unpinned_threads(self._share.cpus)
