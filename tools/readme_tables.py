"""Write measured tables into the READMEs: quality into vidsr/model/zoo, speed, peers and growth into tools.

python tools/score_zoo.py IMAGES > quality.md
python tools/benchmark.py engine --output speed.json     (and command, and memory)
python tools/compare_peers.py ... --output peers.json
python tools/scaling_study.py ... --output growth.json
python tools/simulate.py growth.json --output predicted.json
python tools/readme_tables.py --quality quality.md --speed speed.json --peers peers.json --growth predicted.json
                                                                                         (or some of them)
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ZOO_README = ROOT / "vidsr/model/zoo/README.md"
TOOLS_README = ROOT / "tools/README.md"


def speed_table(figures: dict[str, dict[str, float]]) -> str:
    """The figures of tools/benchmark.py as Markdown."""
    engine, command, memory = figures["engine"], figures["command"], figures["memory"]
    rows = [
        (
            "engine",
            f"{engine['engine_ms']} ms per frame, {engine['gflops']} GFLOP/s (sgemm: {engine['sgemm_gflops']})",
        ),
        (
            "engines of one thread in parallel, as in the command",
            f"{engine['engines_beside_ms']} ms per frame, {engine['gflops_beside']} GFLOP/s",
        ),
        ("the same layers, `openvino.convert_model`", _times(engine, "plain_openvino")),
        ("the same layers, PyTorch eager", _times(engine, "pytorch")),
        ("engine alone / encoder alone", f"{command['engine_fps']} / {command['encoder_fps']} fps"),
        (
            f"`vidsr upscale --workers {command['workers']}`",
            f"{command['command_fps']} fps, {command['share_of_allowed']:.2f} of the limit that the two set together",
        ),
        ("peak memory, engine, 3840×2160 in", f"{memory['engine_2160p_mb']} MB"),
        ("peak memory, all processes, 1080p to 2160p", f"{memory['command_1080p_to_2160p_mb']} MB"),
        ("memory of 2,000 frames against 200", f"{memory['growth'] + 0:.1%} more"),
    ]
    head = f"| {engine['model']}, {engine['size']} | {engine['threads']} cores, {engine['cpu']} |\n|---|---|\n"
    return head + "\n".join(f"| {name} | {value} |" for name, value in rows)


def _times(engine: dict[str, float], name: str) -> str:
    return f"{engine[f'{name}_ms']} ms: the engine is {engine[f'times_{name}']} times as fast"


def peers_table(figures: dict[str, Any]) -> str:
    """The figures of tools/compare_peers.py as Markdown, by descending PSNR."""
    backends = figures["backends"].values()
    quality = "set" if figures["set"] else "clip"
    head = [
        f"x2, {figures['size']}, {figures['threads']} threads, {figures['cpu']}",
        "ms per frame",
        "relative to vidsr",
        *(f"PSNR (SSIM), {figures[of].partition('.')[0].capitalize()}" for of in ("set", "clip") if figures[of]),
        "fps end to end",
        "steady",
    ]
    lines = [head, ["---"] * len(head)]
    for backend in sorted(backends, key=lambda backend: -backend[f"{quality}_psnr"]):
        name = f"**{backend['name']}**" if backend["ours"] else backend["name"]
        scores = [
            f"{backend[f'{of}_psnr']:.2f} ({backend[f'{of}_ssim']:.4f})" for of in ("set", "clip") if figures[of]
        ]
        whole = [str(backend.get(of, "")) for of in ("command_fps", "steady_fps")]
        lines.append([name, f"{backend['ms']:.1f}", f"{backend['times']:.2f}", *scores, *whole])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def growth_table(figures: dict[str, Any]) -> str:
    """Measured and simulated speed, by tools/simulate.py, as Markdown: a line per size and network."""
    check, predicted = figures["check"], figures["predicted"]
    workers = sorted({row["workers"] for row in check})
    machines = list(dict.fromkeys((row["cores"], row["nodes"]) for row in predicted))
    head = [
        "in",
        "network",
        *(f"{count or 'no'} worker{'s' * (count != 1)}: fps (simulated), peak" for count in workers),
        *(f"{cores} cores" + (f" x {nodes} computers" if nodes > 1 else "") for cores, nodes in machines),
    ]
    lines = [head, ["---"] * len(head)]
    for size, network in dict.fromkeys((row["size"], row["network"]) for row in check):
        checked = [row for row in check if (row["size"], row["network"]) == (size, network)]
        simulated = [row for row in predicted if (row["size"], row["network"]) == (size, network)]
        measured = {
            row["workers"]: f"{row['measured_fps']} ({row['simulated_fps']}), {row['peak_mb']} MB" for row in checked
        }
        cells = [f"{row['fps']:.3g}: {_first_bottleneck(row['bottleneck'])}" for row in simulated]
        lines.append([size, network, *(measured.get(count, "") for count in workers), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _first_bottleneck(bottleneck: str) -> str:
    """The first bottleneck of the list, without the name of its node."""
    return bottleneck.partition(",")[0].partition(" of node")[0]


def insert_table(readme: Path, name: str, table: str) -> None:
    """Replace the table between the marks `<!-- name -->` and `<!-- end -->`. Raises SystemExit without the marks."""
    start, end = f"<!-- {name} -->", "<!-- end -->"
    text = readme.read_text(encoding="utf-8")
    new, count = re.subn(f"{start}.*?{end}", lambda _: f"{start}\n{table.strip()}\n{end}", text, flags=re.DOTALL)
    if not count:
        raise SystemExit(f"{readme}: no {start} ... {end}")
    readme.write_text(new, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables whose files are given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("quality", "speed", "peers", "growth"):
        parser.add_argument(f"--{name}", type=Path)
    args = parser.parse_args(arguments)
    if args.quality:
        insert_table(ZOO_README, "quality", args.quality.read_text(encoding="utf-8"))
    if args.speed:
        insert_table(TOOLS_README, "speed", speed_table(json.loads(args.speed.read_text())))
    if args.peers:
        insert_table(TOOLS_README, "peers", peers_table(json.loads(args.peers.read_text())))
    if args.growth:
        insert_table(TOOLS_README, "growth", growth_table(json.loads(args.growth.read_text())))


if __name__ == "__main__":
    main()
