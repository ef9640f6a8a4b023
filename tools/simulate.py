"""Predict the speed of `vidsr upscale` on other machines from the measurements of tools/scaling_study.py on this one.

  python tools/simulate.py growth.json --output predicted.json --table predicted.md --plot predicted.png

The simulation is first checked against the measurements, then run for up to 128 cores and four computers. Each line
names the bottleneck: the resource that is busy nearly all of the time.

Assumed, not measured: cores as fast as these; 3.2 GB/s of memory bandwidth per core (a server of 64 cores with eight
channels of DDR4-3200), shared by all; Amdahl's law for the threads of one engine; networks of 10 Gbit/s and 0.2 ms.
The engine's feature maps stay in the caches; `no cache` is the other extreme, each map written and read once.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from math import ceil, log
from pathlib import Path

from cost.memory import fit_memory, predict_memory_mb
from cost.model import Pipeline, SimulationResult
from cost.pipeline_model import NetworkLink, Setup, StageCosts, build_pipeline
from cost.simulator import simulate

MACHINES = ("4", "16", "64", "128", "16x2", "64x2", "64x4")
"""Cores per node, and the number of nodes, 1 by default."""
THREADS = (1, 2, 4, 8)
MEMORY_GB_S_PER_CORE = 3.2
_EDGE, _STEADY = 30, 120
_FULL, _EQUAL = 0.93, 0.035
"""The utilisation from which a node is the bottleneck, and the difference below which two are equal."""

Row = dict[str, object]


def bottleneck(result: SimulationResult, pipeline: Pipeline) -> str:
    """The busiest resource: cores or memory of a node, or a lane with its longest step.

    About equal resources are all named, those with the fewest servers first.
    """
    full = {f"cores of {node}": share for node, share in result.cores.items() if share >= _FULL}
    full |= {f"memory of {node}": share for node, share in result.memory.items() if share >= _FULL}
    shares = full or result.lanes
    threshold = max(shares.values()) - _EQUAL
    names = sorted(
        (name for name in shares if shares[name] >= threshold), key=lambda name: pipeline.servers.get(name, 1)
    )
    return ", ".join(_with_step(name, result, pipeline) for name in names)


def _with_step(lane: str, result: SimulationResult, pipeline: Pipeline) -> str:
    inside = {step.name for step in (*pipeline.before, *pipeline.after) if step.lane == lane}
    inside |= {step.name for route in pipeline.routes for step in route.steps if step.lane == lane}
    return f"{lane}: {max(inside, key=lambda name: result.steps[name])}" if len(inside) > 1 else lane


def simulate_setup(
    costs: StageCosts, setup: Setup, *, edge: int = _EDGE, steady: int = _STEADY
) -> tuple[SimulationResult, str]:
    """The result of a setup, and the name of its bottleneck."""
    pipeline = build_pipeline(costs, setup)
    window, parallel = 2 * setup.workers + edge, max(1, setup.workers)
    rounds = ceil(steady / parallel)  # whole rounds, because all workers may finish at once
    result = simulate(pipeline, 2 * window + rounds * parallel + 1, edge=window)
    return result, bottleneck(result, pipeline)


def check_measurements(measured: Mapping[str, list[Row]]) -> Iterator[Row]:
    """Measured and simulated speed of every run of the command.

    Cores that other processes kept busy are taken from the simulated machine, too; at least half a core remains.
    """
    costs = stage_costs(measured)
    cores = int(measured["machine"]["cores"])  # type: ignore[call-overload]
    for row in measured.get("resolution", []):
        known = costs.get((str(row["size"]), str(row["model_asked"])))
        if known is None:
            continue
        workers = int(str(row["workers"]))
        free = max(0.5, cores - float(str(row["others"])))
        setup = Setup(cores=free, planned_cores=cores, workers=workers, threads=max(1, cores // max(1, workers)))
        result, name = simulate_setup(known, setup)
        measured_fps = float(str(row["fps"]))
        yield {
            "size": row["size"],
            "network": row["model_asked"],
            "workers": workers,
            "free_cores": round(free, 2),
            "peak_mb": row["peak_mb"],
            "measured_fps": measured_fps,
            "simulated_fps": round(result.fps, 2),
            "error": round(result.fps / measured_fps - 1, 3),
            "bottleneck": name,
        }


def predict(measured: Mapping[str, list[Row]], *, machines: Sequence[str], network: NetworkLink) -> Iterator[Row]:
    """The fastest setup on every machine, for every measured size and network."""
    for (size, model), known in stage_costs(measured).items():
        memory = fit_memory(measured.get("resolution", []), size, model)
        for machine in machines:
            cores, _, nodes = machine.partition("x")
            base = Setup(
                cores=int(cores),
                nodes=int(nodes or 1),
                workers=0,
                threads=1,
                bandwidth_gb_s=MEMORY_GB_S_PER_CORE * int(cores),
                network=network,
            )
            cached = replace(known, engine_gb=0.0)
            best = max((_run_setup(cached, setup) for setup in _setups(base)), key=_rank)
            without, _ = simulate_setup(known, best[0])
            mb = predict_memory_mb(memory, known, best[0]) if memory else None
            by_segments = replace(base, workers=base.nodes * int(base.cores), segments=True)
            parts = _run_setup(cached, by_segments)
            row = {"size": size, "network": model, **_row(best, without), "memory_mb": mb}
            yield row | {"segments_fps": round(parts[1].fps, 1), "segments_bottleneck": parts[2]}


def _setups(base: Setup) -> Iterator[Setup]:
    """Numbers of workers and threads: without workers, or with at most 16 per node, as vidsr plans them."""
    for threads in THREADS:
        if threads <= base.cores:
            if base.nodes == 1:
                yield replace(base, threads=threads)
            yield replace(base, threads=threads, workers=min(16, int(base.cores) // threads) * base.nodes)


def _run_setup(costs: StageCosts, setup: Setup) -> tuple[Setup, SimulationResult, str]:
    return (setup, *simulate_setup(costs, setup))


def _rank(candidate: tuple[Setup, SimulationResult, str]) -> tuple[float, int]:
    """Faster is better; within about a percent, fewer cores are better."""
    setup, result, _ = candidate
    return round(log(result.fps), 2), -setup.workers * setup.threads


def _row(best: tuple[Setup, SimulationResult, str], without: SimulationResult) -> Row:
    setup, result, name = best
    return {
        "nodes": setup.nodes,
        "cores": int(setup.cores),
        "workers": setup.workers,
        "threads": setup.threads,
        "fps": round(result.fps, 1),
        "fps_no_cache": round(without.fps, 1),
        "bottleneck": name,
        "lanes": {lane: round(share, 2) for lane, share in result.lanes.items()},
        "cores_busy": {node: round(share, 2) for node, share in result.cores.items()},
    }


def stage_costs(measured: Mapping[str, list[Row]]) -> dict[tuple[str, str], StageCosts]:
    """The measured costs by size and network."""
    return {(str(row["size"]), str(row["model_asked"])): StageCosts(**row["costs"]) for row in measured["stages"]}  # type: ignore[arg-type]


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, without nested tables."""
    names = [name for name, value in rows[0].items() if not isinstance(value, dict)]
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line).replace("_", " ") + " |" for line in lines)


def mean_error(rows: Sequence[Row]) -> float:
    """The mean absolute error."""
    return sum(abs(float(str(row["error"]))) for row in rows) / len(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Check, predict, and write the requested files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="the output of tools/scaling_study.py")
    parser.add_argument("--machines", nargs="+", default=MACHINES, metavar="CORES[xNODES]")
    parser.add_argument("--network", nargs=2, type=float, default=(10.0, 0.2), metavar=("GBIT_S", "MS"))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args(arguments)
    measured = json.loads(args.measured.read_text())
    network = NetworkLink(gb_s=args.network[0] / 8, latency_s=args.network[1] / 1000)
    check = list(check_measurements(measured))
    rows = list(predict(measured, machines=args.machines, network=network))
    text = table(rows)
    if check:
        text = f"{table(check)}\n\nMean error {mean_error(check):.1%}.\n\n{text}"
    print(text)
    if args.output:
        args.output.write_text(json.dumps({"network": asdict(network), "check": check, "predicted": rows}, indent=1))
    if args.table:
        args.table.write_text(text + "\n")
    if args.plot:
        from cost.plot import fps_against_cores

        fps_against_cores(rows, args.plot)


if __name__ == "__main__":
    main()
