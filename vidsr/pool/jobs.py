"""What a pool keeps in mind: who sits where, and what was sent to whom."""

from dataclasses import dataclass, field

import ray
from ray.actor import ActorHandle

from vidsr.cpu_affinity import Share
from vidsr.model.weights import Weights
from vidsr.pool.base import Job
from vidsr.pool.worker import Place, Worker, WorkerResult


@dataclass(kw_only=True)
class Seat:
    """A share of the machine, and the actor that has it now."""

    share: Share
    actor: ActorHandle[Worker]
    place: Place
    weights: Weights
    """The network that it has once it has done all that was sent to it."""
    on_trial: bool = False
    """Whether it works at a plane at which a worker died: that one alone, so that no other can be taken for it."""


@dataclass(kw_only=True, eq=False)
class SeatedJob(Job):
    """A plane on its way; its task is kept until the result is here, to be sent again."""

    seat: Seat
    result: "ray.ObjectRef[WorkerResult]" = field(init=False)  # from the moment it is sent
    deaths: int = 0


def send(job: SeatedJob) -> None:
    """An actor works in the order in which it is sent to: the plane finds the network that it was taken under."""
    if job.idle:
        return
    seat = job.seat
    other = None if seat.weights is job.weights else job.weights
    job.result = seat.actor.enlarge.remote(job.task, other)
    seat.weights = job.weights
