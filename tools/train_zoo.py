"""Train the weights that ship: FSRCNN(56,12,4) at x2, then x3 and x4 from its body.

  python tools/train_zoo.py --data DIR --work DIR [--threads N] [--scale 2 3 4]

DIR holds `train/`, with a folder for each set that `folders` names, and `val/`. A run that was stopped goes on from
its checkpoints in --work; the weights appear in vidsr/model/zoo when a scale is done.
"""

import argparse
import json
import logging
import time
from functools import partial
from pathlib import Path

import torch

from vidsr.model.architecture import fsrcnn
from vidsr.model.weights import Weights, load_weights, save_weights
from vidsr.training.data import Folder, Pair, Patches, read_pairs
from vidsr.training.loop import train, validation_psnr
from vidsr.training.network import Network
from vidsr.training.schedule import Schedule

ZOO = Path(__file__).resolve().parent.parent / "vidsr" / "model" / "zoo"
SEED = 1
FROM_NOTHING = (
    Schedule(steps=22_000, rate=7e-4, patch=32),
    Schedule(steps=2_000, rate=1e-4, loss="mse", patch=64, average=0.998),
)
FROM_ANOTHER_SCALE = (
    Schedule(steps=2_000, rate=1e-3, patch=32, part="tail"),
    Schedule(steps=12_000, rate=5e-4, patch=32),
    Schedule(steps=2_000, rate=1e-4, loss="mse", patch=64, average=0.998),
)


def folders(data: Path) -> list[Folder]:
    """The training sets: JPEG pictures only reduced, where their block artefacts are gone."""
    clean = [Folder(path=data / "train" / name) for name in ("t91", "general100", "gray181", "mcmaster18", "photos")]
    return [*clean, Folder(path=data / "train" / "bsds500-train", sizes=(0.8, 0.6))]


def train_scale(scale: int, data: Path, work: Path) -> None:
    """Train one scale to the end and put weights and card into the zoo."""
    began = time.monotonic()
    pairs = [pair for folder in folders(data) for pair in read_pairs(folder, scale)]
    held_out = list(read_pairs(Folder(path=data / "val", sizes=(1.0,)), scale))
    logging.info("x%d: %d pairs, %d held out", scale, len(pairs), len(held_out))
    network = Network(fsrcnn(56, 12, 4, scale)).to(memory_format=torch.channels_last)
    start = ZOO / "fsrcnn-x2.npz"
    if scale != 2:
        body = load_weights(start).tensors
        tail = network.architecture.tail.name
        network.load_tensors({name: value for name, value in body.items() if not name.startswith(tail)})
    schedules = FROM_NOTHING if scale == 2 else FROM_ANOTHER_SCALE
    score: partial[float] = partial(validation_psnr, pairs=held_out)
    for number, schedule in enumerate(schedules):
        checkpoint = work / f"fsrcnn-x{scale}-{number}.pt"
        patches = Patches(pairs, network.architecture, patch=schedule.patch, batch=schedule.batch)
        network = train(network, patches, schedule, checkpoint=checkpoint, seed=SEED, validate=score).average
    write(network, scale, pairs, schedules, score(network), time.monotonic() - began)


def write(
    network: Network, scale: int, pairs: list[Pair], schedules: tuple[Schedule, ...], psnr: float, seconds: float
) -> None:
    """The weight file, with what is known of it in its header."""
    facts = {
        "start": "random" if scale == 2 else "fsrcnn-x2",
        "pairs": len(pairs),
        "steps": sum(schedule.steps for schedule in schedules),
        "seed": SEED,
        "kodak24_psnr": round(psnr, 3),
    }
    weights = Weights(architecture=network.architecture, tensors=network.tensors(), facts=facts)
    save_weights(ZOO / f"fsrcnn-x{scale}.npz", weights)
    logging.info("x%d done in %.0f s: %s", scale, seconds, json.dumps(facts))


def main() -> None:
    """Train the scales that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scale", type=int, nargs="+", default=[2, 3, 4])
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    args.work.mkdir(parents=True, exist_ok=True)
    for scale in args.scale:
        train_scale(scale, args.data, args.work)


if __name__ == "__main__":
    main()
