"""The Ray actor: engines that take turns on its own cores."""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ray

from vidsr.arrays import Plane
from vidsr.cpu import Cpu, CpuShare, Machine, describe_machine, pin_process, this_cpu, unpinned_threads
from vidsr.engine.change_detection import UpdatePlan
from vidsr.engine.precision import PrecisionChoice
from vidsr.engine.reusing_engine import run_plan
from vidsr.errors import Stopped
from vidsr.model.weights import Weights
from vidsr.pool.engine_cache import EngineCache
from vidsr.segments.plan import PlannedSegment
from vidsr.segments.work import SegmentEngine, SegmentJob, UpscaledSegment, upscale_segment
from vidsr.settings import PoolSettings
from vidsr.versions import package_versions


@dataclass(frozen=True, kw_only=True)
class WorkerLocation:
    """The node and the process of an actor, and what it may use there."""

    node: str
    host: str
    pid: int
    started: str
    """As of `start_time`."""
    machine: Machine
    cpu: Cpu
    versions: dict[str, str]
    """As of `package_versions`."""

    def __str__(self) -> str:
        return f"worker {self.pid} on {self.host}"


@dataclass(frozen=True, kw_only=True)
class WorkerResult:
    """The result of a plan."""

    upscaled: Plane
    """As of `run_plan`."""
    began_s: float
    """By `time.perf_counter`; `ended_s` likewise."""
    ended_s: float
    precision_choice: PrecisionChoice
    """As `Engine.precision_choice`."""
    warnings: tuple[str, ...]
    """As `Engine.warnings`."""


def start_time(pid: int) -> str:
    """When a process began, in ticks since boot: with its number it is unique. Raises OSError where there is none."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


class Worker:
    """An actor that is started in two steps: first it reports its location, then it receives its share."""

    def location(self) -> WorkerLocation:
        """Where it runs."""
        return WorkerLocation(
            node=ray.get_runtime_context().get_node_id(),
            host=socket.gethostname(),
            pid=os.getpid(),
            started=start_time(os.getpid()),
            machine=describe_machine(),
            cpu=this_cpu(),
            versions=package_versions(),
        )

    @ray.method(concurrency_group="watch")
    def busy_s(self) -> float:
        """The seconds for which it has worked on its plane, or on a frame of its segment; 0 without one."""
        return time.perf_counter() - self._since if self._since else 0.0

    def start(self, weights: Weights, share: CpuShare, settings: PoolSettings, cpu: Cpu | None) -> bool:
        """Make the engine on its cores. The mask comes first: OpenVINO keeps the one it finds at first use.

        `cpu` has what the CPUs of all workers have in common, where they differ.
        """
        pin_process(share.cpus)
        self._share, self._weights, self._pinned = share, weights, False
        self._since, self._call, self._dropped = 0.0, 0, -1
        self._engines = EngineCache(threads=share.threads, precision=settings.precision, cpu=cpu)
        self._engines(weights)
        return True

    def prepare(self, networks: Sequence[Weights], plane: Plane, depth: int) -> None:
        """Compile networks for planes like this one."""
        for weights in networks:
            self._engines.prepare(weights, plane, depth)
        self._pinned = False

    def upscale(self, plan: UpdatePlan, other: Weights | None) -> WorkerResult:
        """The result of the plan; `other` is the network from this plane on, if it changes."""
        began = self._since = time.perf_counter()
        if other:
            self._weights, self._pinned = other, False
        engine = self._engines(self._weights)
        upscaled = run_plan(engine, plan)
        if not self._pinned:
            pin_process(self._share.cpus)  # OpenVINO starts its threads with the first plane
            self._pinned = True
        self._since = 0.0
        return WorkerResult(
            upscaled=upscaled,
            began_s=began,
            ended_s=time.perf_counter(),
            precision_choice=engine.precision_choice,
            warnings=tuple(engine.warnings),
        )

    def upscale_segment(
        self, job: SegmentJob, weights: Weights, segment: PlannedSegment, call: int
    ) -> UpscaledSegment:
        """The result of a segment; `call` is any number for `drop`. Raises Stopped where it is dropped meanwhile."""
        self._since, self._call = time.perf_counter(), call
        try:
            engine = SegmentEngine(self._engines(weights))
            return upscale_segment(job, segment, engine, on_frame=self._note_frame)
        finally:
            self._since = 0.0

    @ray.method(concurrency_group="watch")
    def drop(self, call: int) -> None:
        """End the work on a segment with its next frame."""
        self._dropped = call

    def _note_frame(self) -> None:
        if self._call == self._dropped:
            raise Stopped("another worker was faster")
        self._since = time.perf_counter()
        if not self._pinned:
            pin_process(self._share.cpus)  # OpenVINO starts its threads with the first plane
            self._pinned = True

    def unpinned_threads(self) -> list[int]:
        """The threads of this process that may run outside its cores; none, if the plan is held."""
        return unpinned_threads(self._share.cpus)
