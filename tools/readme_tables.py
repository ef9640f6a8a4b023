"""Put measured tables into the README.

python tools/score_zoo.py IMAGES > quality.md
python tools/benchmark.py engine --output speed.json     (and command, and memory)
python tools/compare_peers.py ... --output peers.json
python tools/scaling.py ... --output growth.json
python tools/simulate.py growth.json --output predicted.json
python tools/readme_tables.py --quality quality.md --speed speed.json --peers peers.json --growth predicted.json
                                                                                         (or some of them)
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parent.parent / "README.md"


def speed_table(figures: dict[str, dict[str, float]]) -> str:
    """What tools/benchmark.py measured, as Markdown."""
    engine, command, memory = figures["engine"], figures["command"], figures["memory"]
    rows = [
        ("engine", f"{engine['engine_ms']} ms a frame, {engine['gflops']} GFLOP/s (sgemm: {engine['sgemm_gflops']})"),
        (
            "engines of one thread side by side, as the command has them",
            f"{engine['engines_beside_ms']} ms a frame, {engine['gflops_beside']} GFLOP/s",
        ),
        ("the same layers, `openvino.convert_model`", _times(engine, "plain_openvino")),
        ("the same layers, PyTorch eager", _times(engine, "pytorch")),
        ("engine alone / encoder alone", f"{command['engine_fps']} / {command['encoder_fps']} fps"),
        (
            f"`vidsr upscale --workers {command['workers']}`",
            f"{command['command_fps']} fps, {command['share_of_allowed']:.2f} of what the two allow together",
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
    """What tools/compare_peers.py measured, as Markdown, the best picture first."""
    ways = figures["ways"].values()
    quality = "set" if figures["set"] else "clip"
    head = [
        f"x2, {figures['size']}, {figures['threads']} threads, {figures['cpu']}",
        "ms a frame",
        "times vidsr's",
        *(f"PSNR (SSIM), {figures[of].partition('.')[0].capitalize()}" for of in ("set", "clip") if figures[of]),
        "fps of the command",
        "steady",
    ]
    lines = [head, ["---"] * len(head)]
    for way in sorted(ways, key=lambda way: -way[f"{quality}_psnr"]):
        name = f"**{way['name']}**" if way["ours"] else way["name"]
        scores = [f"{way[f'{of}_psnr']:.2f} ({way[f'{of}_ssim']:.4f})" for of in ("set", "clip") if figures[of]]
        whole = [str(way.get(of, "")) for of in ("command_fps", "steady_fps")]
        lines.append([name, f"{way['ms']:.1f}", f"{way['times']:.2f}", *scores, *whole])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def growth_table(figures: dict[str, Any]) -> str:
    """What tools/simulate.py says, beside what was measured, as Markdown: a line for each size and network."""
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
        here = [row for row in check if (row["size"], row["network"]) == (size, network)]
        beyond = [row for row in predicted if (row["size"], row["network"]) == (size, network)]
        measured = {
            row["workers"]: f"{row['measured_fps']} ({row['simulated_fps']}), {row['peak_mb']} MB" for row in here
        }
        modelled = [f"{row['fps']:.3g}: {_waited_for(row['bottleneck'])}" for row in beyond]
        lines.append([size, network, *(measured.get(count, "") for count in workers), *modelled])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _waited_for(bottleneck: str) -> str:
    """The first that is named; where it is the cores or the memory of a node, that alone."""
    return bottleneck.partition(",")[0].partition(" of node")[0]


def inserted(text: str, name: str, table: str) -> str:
    """The text with the table between its two marks."""
    mark = f"<!-- {name} -->"
    return re.sub(f"{mark}.*?<!-- end -->", lambda _: f"{mark}\n{table.strip()}\n<!-- end -->", text, flags=re.DOTALL)


def main() -> None:
    """Rewrite the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("quality", "speed", "peers", "growth"):
        parser.add_argument(f"--{name}", type=Path)
    args = parser.parse_args()
    text = README.read_text()
    if args.quality:
        text = inserted(text, "quality", args.quality.read_text())
    if args.speed:
        text = inserted(text, "speed", speed_table(json.loads(args.speed.read_text())))
    if args.peers:
        text = inserted(text, "peers", peers_table(json.loads(args.peers.read_text())))
    if args.growth:
        text = inserted(text, "growth", growth_table(json.loads(args.growth.read_text())))
    README.write_text(text)


if __name__ == "__main__":
    main()
