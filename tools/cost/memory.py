"""Memory of the command on larger machines: a straight line through what it took with one worker and with two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cost.pipeline_model import PLANES_AT_A_WORKER, Costs, Setup

_LUMA = 2 / 3  # of a 4:2:0 picture: all that workers see


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Megabytes of all processes of the first node."""

    first_mb: float
    """With one worker."""
    more_mb: float
    """For each further one, with the planes on their way to and from it."""


def memory_of(rows: Sequence[Mapping[str, object]], size: str, model: str) -> Memory | None:
    """What the measured runs of a size and network say; None without a run of one worker and one of two."""
    peaks = {
        int(str(row["workers"])): float(str(row["peak_mb"]))
        for row in rows
        if (row["size"], row["model_asked"]) == (size, model)
    }
    if not {1, 2} <= peaks.keys():
        return None
    return Memory(first_mb=peaks[1], more_mb=max(0.0, peaks[2] - peaks[1]))


def memory_mb(memory: Memory, costs: Costs, setup: Setup) -> int:
    """Megabytes on the first node: its own workers, and the planes of all others, which pass through its store."""
    here = setup.workers // setup.nodes
    planes_mb = PLANES_AT_A_WORKER * _LUMA * (costs.in_gb + costs.out_gb) * 1000
    return round(memory.first_mb + (here - 1) * memory.more_mb + (setup.workers - here) * planes_mb)
