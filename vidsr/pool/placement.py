"""The placement of workers: nodes compared with this machine, CPUs for each worker, and workers that come later."""

import logging
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import Any

from vidsr.callbacks import ShouldStop
from vidsr.cpu import Cpu, CpuShare, describe_machine, plan_cores
from vidsr.errors import WorkerError
from vidsr.model.weights import Weights
from vidsr.pool.cluster_head import ClusterHead
from vidsr.pool.ray_runtime import START_S, ray, require_start
from vidsr.pool.worker import Worker, WorkerLocation, start_time
from vidsr.settings import PoolSettings
from vidsr.versions import package_versions

log = logging.getLogger(__name__)
NodeAffinitySchedulingStrategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy

PLACE_S = 10.0
"""How long is waited for workers without which others can work, where a cluster's CPUs may be in use for long."""
NODES_POLL_S = 5.0
_HEAD_POLL_S = 1.0
START_TRIES = 3

LOST = (
    ray.exceptions.RayActorError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.LocalRayletDiedError,
)


@dataclass(kw_only=True, eq=False)
class WorkerSlot:
    """An actor with its share of a machine."""

    actor: "ray.actor.ActorHandle[Worker]"
    location: WorkerLocation
    share: CpuShare
    weights: Weights
    """Its network after all that was sent to it."""
    proven: bool = False
    """Whether it has made a result; the first takes longer."""
    on_probation: bool = False
    """Whether it works alone on a plane at which a worker died, so that no other plane can be the suspect."""

    def end(self) -> None:
        """End its process: Ray does not end one that is stopped, a SIGKILL does."""
        ray.kill(self.actor, no_restart=True)
        if self.location.node == ray.get_runtime_context().get_node_id():
            with suppress(OSError):
                if start_time(self.location.pid) == self.location.started:  # else the number is another process's
                    os.kill(self.location.pid, signal.SIGKILL)


@dataclass(kw_only=True, eq=False)
class _Candidate:
    """A worker that starts: first it reports its location, then it receives its share."""

    node: str | None
    """Where it must be; None for anywhere."""
    actor: "ray.actor.ActorHandle[Worker]"
    call: "ray.ObjectRef[Any]"
    slot: WorkerSlot | None = None
    tries: int = 1


class Placement:
    """Starts workers, and refuses those whose results would differ or cannot come, each node with a warning."""

    def __init__(self, settings: PoolSettings, weights: Callable[[], Weights]) -> None:
        self.failure = ""
        """Why the last one was refused, or did not start."""
        self._settings, self._weights = settings, weights
        self._cluster = settings.ray_address is not None
        self._candidates: list[_Candidate] = []
        self._shares: dict[str, list[CpuShare]] = {}
        self._nodes: dict[str, dict[str, Any]] = {}
        self._nodes_read = 0.0
        self.head = ClusterHead()
        self._common: Cpu | None = None
        self._mixed = self._cluster
        self._class = ray.remote(concurrency_groups={"watch": 1})(Worker)  # type: ignore[call-overload]

    def start(self, should_stop: ShouldStop) -> list[WorkerSlot]:
        """The first workers. Raises WorkerError where there are none, on this machine where one does not start.

        Raises Stopped when `should_stop` says so meanwhile.
        """
        nodes = self._first_nodes()
        patient = not self._cluster or len(nodes) * (self._settings.threads or 1) <= self.head.ask(_free_cpus)
        for node in nodes:
            self._add(node)
        self.wait(START_S if patient else PLACE_S, all_of_them=True, should_stop=should_stop)
        self.wait(START_S, should_stop=should_stop)
        present = {each: location for each in self._answered() if (location := self._locate(each))}
        if present:
            self._common = reduce(Cpu.common, (location.cpu for location in present.values()))
            self._mixed |= any(location.cpu != self._common for location in present.values())
        counts = Counter(location.node for location in present.values())
        for location in {location.node: location for location in present.values()}.values():
            self._plan(location, counts[location.node])
        for candidate, location in present.items():
            self._begin(candidate, location)
        slots: list[WorkerSlot] = []
        until = time.monotonic() + START_S
        while not present.keys().isdisjoint(self._candidates) and time.monotonic() < until:
            self.wait(1.0, should_stop=should_stop)
            slots += self.arrived()
        if not slots or (self.failure and not self._cluster):
            raise WorkerError(f"a worker does not start: {self.failure or 'no CPU of the cluster is free'}")
        return slots

    def arrived(self) -> list[WorkerSlot]:
        """The workers that have started since the last call. Raises WorkerError where a cluster has lost its head."""
        if self._cluster:
            self.head.require()
        if self._cluster and self._settings.workers is None:
            self._look_for_nodes()
        slots = []
        for candidate in self._answered():
            if candidate.slot is None:
                if location := self._locate(candidate):
                    self._begin(candidate, location)
            elif self._answer(candidate):
                self._candidates.remove(candidate)
                slots.append(candidate.slot)
        return slots

    def replace(self, slot: WorkerSlot) -> None:
        """Start another worker for one that is lost, on the same node where each node has its own."""
        self._shares.setdefault(slot.location.node, []).append(slot.share)
        self._add(slot.location.node if self._cluster and self._settings.workers is None else None)

    def wait(self, timeout_s: float, *, all_of_them: bool = False, should_stop: ShouldStop = lambda: False) -> bool:
        """Wait for news of a worker that starts, or of all; False when none does. Raises as `arrived`, and Stopped."""
        calls, until = [each.call for each in self._candidates], time.monotonic() + timeout_s
        count = len(calls) if all_of_them else 1
        while calls and (left_s := until - time.monotonic()) > 0:
            if len(ray.wait(calls, num_returns=count, timeout=min(_HEAD_POLL_S, left_s))[0]) >= count:
                break
            require_start(should_stop)
            if self._cluster:
                self.head.require()
        return bool(calls)

    def end(self) -> None:
        """End those that have not arrived."""
        for each in self._candidates:
            ray.kill(each.actor, no_restart=True)

    def _first_nodes(self) -> list[str | None]:
        """The node of each worker; None for anywhere."""
        if self._settings.workers:
            return [None] * self._settings.workers
        if not self._cluster:
            return [None] * len(plan_cores(describe_machine(), threads=self._settings.threads))
        return [*self._new_nodes()] or [None]

    def _new_nodes(self) -> list[str]:
        """The nodes that have joined since the last call, each as often as it has room for a worker."""
        self._nodes_read = time.monotonic()
        alive = {node["NodeID"]: node for node in self.head.ask(ray.nodes) if node["Alive"]}
        new = [node for node in alive if node not in self._nodes]
        self._nodes.update(alive)
        return [node for node in new for _ in range(self._room(node))]

    def _room(self, node: str) -> int:
        return int(self._nodes[node]["Resources"].get("CPU", 0)) // (self._settings.threads or 1)

    def _look_for_nodes(self) -> None:
        if time.monotonic() > self._nodes_read + NODES_POLL_S:
            for node in self._new_nodes():
                self._add(node)

    def _add(self, node: str | None) -> None:
        actor = self._actor(node)
        self._candidates.append(_Candidate(node=node, actor=actor, call=actor.location.remote()))

    def _actor(self, node: str | None) -> "ray.actor.ActorHandle[Worker]":
        place = NodeAffinitySchedulingStrategy(node, soft=False) if node else "SPREAD"
        cpus = (self._settings.threads or 1) if self._cluster else 0
        options = {"num_cpus": cpus, "scheduling_strategy": place, "max_restarts": 0, "max_task_retries": 0}
        return self._class.options(**options, enable_task_events=False).remote()  # type: ignore[no-any-return]

    def _answered(self) -> list[_Candidate]:
        calls = [each.call for each in self._candidates]
        ready = set(ray.wait(calls, num_returns=len(calls), timeout=0)[0]) if calls else set()
        return [each for each in self._candidates if each.call in ready]

    def _answer(self, candidate: _Candidate) -> Any:
        """What it answers; None when it is lost, and either started again or refused."""
        try:
            return ray.get(candidate.call)
        except LOST as error:
            if candidate.tries < START_TRIES and "creation task" not in str(error):
                candidate.actor, candidate.slot = self._actor(candidate.node), None
                candidate.call, candidate.tries = candidate.actor.location.remote(), candidate.tries + 1
            else:
                self._refuse(candidate, self._host(candidate, error), _cause(error))
        except ray.exceptions.ActorUnschedulableError as error:
            self._candidates.remove(candidate)
            self.failure = f"{self._host(candidate, error)} has left the cluster"
        except ray.exceptions.RayError as error:
            self._refuse(candidate, self._host(candidate, error), _cause(error))
        return None

    def _host(self, candidate: _Candidate, error: Exception) -> str:
        if candidate.slot:
            return candidate.slot.location.host
        if candidate.node:
            return str(self._nodes[candidate.node]["NodeManagerHostname"])
        found = re.search(r"\bip=([^,)\s]+)", str(error))
        return found[1] if found else "a node"

    def _refuse(self, candidate: _Candidate, host: str, cause: str) -> None:
        self._candidates.remove(candidate)
        failure = f"{host}: {cause}" if self._cluster else cause
        if failure != self.failure and self._cluster:
            log.warning("%s; it is not used", failure)
        self.failure = failure
        ray.kill(candidate.actor, no_restart=True)

    def _locate(self, candidate: _Candidate) -> WorkerLocation | None:
        """Where a candidate is; None when it is lost, or its results would differ."""
        location: WorkerLocation | None = self._answer(candidate)
        if location is None:
            return None
        ours, theirs = package_versions(), location.versions
        for name in ours.keys() | theirs.keys():
            if ours.get(name) != theirs.get(name):
                cause = f"has {name} {theirs.get(name)}, this machine {ours.get(name)}; install the same on all nodes"
                self._refuse(candidate, location.host, cause)
                return None
        if self._common and not self._common.flags <= location.cpu.flags:
            missing = ", ".join(sorted(self._common.flags - location.cpu.flags)[:3])
            self._refuse(candidate, location.host, f"{location.cpu} lacks {missing}, with which the others began")
            return None
        return location

    def _plan(self, location: WorkerLocation, workers: int) -> None:
        plan = plan_cores(location.machine, workers=workers, threads=self._settings.threads)
        self._shares[location.node] = list(plan)

    def _begin(self, candidate: _Candidate, location: WorkerLocation) -> None:
        """Give it its share and its network."""
        if not self._shares.get(location.node):
            self._plan(location, self._room(location.node) if location.node in self._nodes else 1)
        share, weights = self._shares[location.node].pop(0), self._weights()
        candidate.slot = WorkerSlot(actor=candidate.actor, location=location, share=share, weights=weights)
        # What the CPUs have in common decides; only workers of one machine may go by what `vidsr tune` found there.
        cpu = self._common if self._mixed else None
        candidate.call = candidate.actor.start.remote(weights, share, self._settings, cpu)


def _free_cpus() -> float:
    return float(ray.available_resources().get("CPU", 0))  # type: ignore[no-untyped-call]


def _cause(error: Exception) -> str:
    if isinstance(error, ray.exceptions.RayTaskError):
        return str(error.cause)
    return next(filter(None, map(str.strip, reversed(str(error).split("\n")))), type(error).__name__)
