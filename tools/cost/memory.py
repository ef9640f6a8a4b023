"""Memory of the command on larger machines: a linear fit through runs with one and two workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cost.pipeline_model import PLANES_PER_WORKER, Setup, StageCosts

_LUMA = 2 / 3  # of a 4:2:0 frame: workers receive luma alone


@dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """Megabytes of all processes of the first node."""

    first_mb: float
    """With one worker."""
    more_mb: float
    """For each further worker, with its planes in flight."""


def fit_memory(rows: Sequence[Mapping[str, object]], size: str, model: str) -> MemoryModel | None:
    """The fit for a size and network; None without runs with one and with two workers."""
    peaks = {
        int(str(row["workers"])): float(str(row["peak_mb"]))
        for row in rows
        if (row["size"], row["model_asked"]) == (size, model)
    }
    if not {1, 2} <= peaks.keys():
        return None
    return MemoryModel(first_mb=peaks[1], more_mb=max(0.0, peaks[2] - peaks[1]))


def predict_memory_mb(memory: MemoryModel, costs: StageCosts, setup: Setup) -> int:
    """Megabytes on the first node: its own workers, and the planes of other nodes, which pass its object store."""
    here = setup.workers // setup.nodes
    planes_mb = PLANES_PER_WORKER * _LUMA * (costs.in_gb + costs.out_gb) * 1000
    return round(memory.first_mb + (here - 1) * memory.more_mb + (setup.workers - here) * planes_mb)
