"""Predict how fast `vidsr upscale` is on machines that are not here, from what tools/scaling.py measured on this one.

  python tools/simulate.py growth.json --output predicted.json --table predicted.md --plot predicted.png

First the simulation is held against what was measured here, then it is asked about 16, 64 and 128 cores, one to four
computers. Each line names the bottleneck: what was busy nearly all of the time.

Assumed, not measured: cores as fast as these; 3.2 GB/s of memory bandwidth a core (a server of 64 cores with eight
channels of DDR4-3200), shared by all; Amdahl's law for the threads of one engine; networks of 10 Gbit/s and 0.2 ms.
The engine's maps are taken to stay in the caches; `no cache` is the other extreme, each map written and read once.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from math import ceil, log
from pathlib import Path

from cost.memory import memory_mb, memory_of
from cost.model import Line, Outcome
from cost.pipeline_model import Costs, Network, Setup, pipeline
from cost.simulator import simulate

MACHINES = ("4", "16", "64", "128", "16x2", "64x2", "64x4")
"""Cores of a node, and how many nodes there are where that is not one."""
THREADS = (1, 2, 4, 8)
MEMORY_GB_S_A_CORE = 3.2
_EDGE, _STEADY = 30, 120
_FULL, _EQUAL = 0.93, 0.035
"""The share of its time from which on a part of the machine is what all wait for, and what makes no difference."""

Row = dict[str, object]


def bottleneck(outcome: Outcome, line: Line) -> str:
    """What was busy nearly all of the time: cores or memory of a node, or a thread, with what it mostly does.

    Of several that are as good as equal all are named, those first of which there is but one.
    """
    full = {f"cores of {node}": share for node, share in outcome.cores.items() if share >= _FULL}
    full |= {f"memory of {node}": share for node, share in outcome.memory.items() if share >= _FULL}
    shares = full or outcome.lanes
    most = max(shares.values()) - _EQUAL
    names = sorted((name for name in shares if shares[name] >= most), key=lambda name: line.servers.get(name, 1))
    return ", ".join(_with_work(name, outcome, line) for name in names)


def _with_work(lane: str, outcome: Outcome, line: Line) -> str:
    inside = {step.name for step in (*line.before, *line.after) if step.lane == lane}
    inside |= {step.name for route in line.routes for step in route.steps if step.lane == lane}
    return f"{lane}: {max(inside, key=lambda name: outcome.steps[name])}" if len(inside) > 1 else lane


def run(costs: Costs, setup: Setup, *, edge: int = _EDGE, steady: int = _STEADY) -> tuple[Outcome, str]:
    """What comes of a setup, and the name of its bottleneck."""
    line = pipeline(costs, setup)
    window, beside = 2 * setup.workers + edge, max(1, setup.workers)
    rounds = ceil(steady / beside)  # whole ones, for the workers may all end at a time
    outcome = simulate(line, 2 * window + rounds * beside + 1, edge=window)
    return outcome, bottleneck(outcome, line)


def checked(grown: Mapping[str, list[Row]]) -> Iterator[Row]:
    """What was measured beside what the simulation says, for every run of the whole command.

    What others took of the machine meanwhile is taken from the simulated machine, too, half a core at the least left.
    """
    costs = costs_of(grown)
    cores = int(grown["machine"]["cores"])  # type: ignore[call-overload]
    for row in grown.get("resolution", []):
        known = costs.get((str(row["size"]), str(row["model_asked"])))
        if known is None:
            continue
        workers = int(str(row["workers"]))
        free = max(0.5, cores - float(str(row["others"])))
        setup = Setup(cores=free, planned_cores=cores, workers=workers, threads=max(1, cores // max(1, workers)))
        outcome, name = run(known, setup)
        measured = float(str(row["fps"]))
        yield {
            "size": row["size"],
            "network": row["model_asked"],
            "workers": workers,
            "free_cores": round(free, 2),
            "peak_mb": row["peak_mb"],
            "measured_fps": measured,
            "simulated_fps": round(outcome.fps, 2),
            "error": round(outcome.fps / measured - 1, 3),
            "bottleneck": name,
        }


def predicted(grown: Mapping[str, list[Row]], *, machines: Sequence[str], network: Network) -> Iterator[Row]:
    """The best way to use every machine, for every size and network that was measured."""
    for (size, model), known in costs_of(grown).items():
        memory = memory_of(grown.get("resolution", []), size, model)
        for machine in machines:
            cores, _, nodes = machine.partition("x")
            empty = Setup(
                cores=int(cores),
                nodes=int(nodes or 1),
                workers=0,
                threads=1,
                bandwidth_gb_s=MEMORY_GB_S_A_CORE * int(cores),
                network=network,
            )
            cached = replace(known, engine_gb=0.0)
            best = max((_tried(cached, setup) for setup in _ways(empty)), key=_merit)
            without, _ = run(known, best[0])
            mb = memory_mb(memory, known, best[0]) if memory else None
            yield {"size": size, "network": model, **_row(best, without), "memory_mb": mb}


def _ways(empty: Setup) -> Iterator[Setup]:
    """Ways to share out the cores: without workers, or with 16 a node at the most, as vidsr plans them."""
    for threads in THREADS:
        if threads <= empty.cores:
            if empty.nodes == 1:
                yield replace(empty, threads=threads)
            yield replace(empty, threads=threads, workers=min(16, int(empty.cores) // threads) * empty.nodes)


def _tried(costs: Costs, setup: Setup) -> tuple[Setup, Outcome, str]:
    return (setup, *run(costs, setup))


def _merit(tried: tuple[Setup, Outcome, str]) -> tuple[float, int]:
    """The faster is the better; where two are as fast to a percent or so, the one that takes fewer cores."""
    setup, outcome, _ = tried
    return round(log(outcome.fps), 2), -setup.workers * setup.threads


def _row(best: tuple[Setup, Outcome, str], without: Outcome) -> Row:
    setup, outcome, name = best
    return {
        "nodes": setup.nodes,
        "cores": int(setup.cores),
        "workers": setup.workers,
        "threads": setup.threads,
        "fps": round(outcome.fps, 1),
        "fps_no_cache": round(without.fps, 1),
        "bottleneck": name,
        "lanes": {lane: round(share, 2) for lane, share in outcome.lanes.items()},
        "cores_busy": {node: round(share, 2) for node, share in outcome.cores.items()},
    }


def costs_of(grown: Mapping[str, list[Row]]) -> dict[tuple[str, str], Costs]:
    """The measured costs by size and network."""
    return {(str(row["size"]), str(row["model_asked"])): Costs(**row["costs"]) for row in grown["stages"]}  # type: ignore[arg-type]


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown; what is a table itself is left out."""
    names = [name for name, value in rows[0].items() if not isinstance(value, dict)]
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line).replace("_", " ") + " |" for line in lines)


def mean_error(rows: Sequence[Row]) -> float:
    """The mean of the errors' sizes."""
    return sum(abs(float(str(row["error"]))) for row in rows) / len(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Check, predict, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="what tools/scaling.py wrote")
    parser.add_argument("--machines", nargs="+", default=MACHINES, metavar="CORES[xNODES]")
    parser.add_argument("--network", nargs=2, type=float, default=(10.0, 0.2), metavar=("GBIT_S", "MS"))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args(arguments)
    grown = json.loads(args.measured.read_text())
    network = Network(gb_s=args.network[0] / 8, latency_s=args.network[1] / 1000)
    check = list(checked(grown))
    rows = list(predicted(grown, machines=args.machines, network=network))
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
