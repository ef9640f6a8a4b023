"""Train the weights that ship, by the recipes below.

  python tools/train_zoo.py --data DIR --work DIR [NAME ...]

DIR holds `train/`, with a folder for each set that `sources` names, `val/`, and for the scores `test/`. Each part of a
recipe is a training of `vidsr train` in a folder of its own in --work, and goes on there when it was stopped; the
weights of a name come into vidsr/model/zoo when its last part is done. Names that start from another name's weights
take those of the zoo: without names, all are trained, in an order in which that works.
"""

import argparse
import logging
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from calibrate import complete

from vidsr.engine import Engine
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import Facts, Weights, load_weights, save_weights
from vidsr.quality.evaluation import collect, evaluate_picture
from vidsr.quality.results import means
from vidsr.quality.upscalers import methods
from vidsr.settings import DatasetSettings, DegradeSettings, NetworkSettings, TrainSettings
from vidsr.training.data.dataset_builder import build_dataset
from vidsr.training.data.sources import Source, find_footage
from vidsr.training.progress import TrainProgress
from vidsr.training.run import TrainRun, train_model

ZOO = Path(__file__).resolve().parent.parent / "vidsr" / "model" / "zoo"
VIDEO = "-video"
BEFORE = "before"
"""As the start of a part: the weights of the part before it."""

Recipe = tuple[NetworkSettings | None, list[TrainSettings]]
"""The network, or None where the start brings it, and the trainings, one after the other."""

EVERY = 2000
_LONG = TrainSettings(finish_steps=0, every=EVERY, seed=1, threads=1, fast=True)
_X2 = replace(_LONG, scale=2)
_X3, _X4 = replace(_LONG, scale=3), replace(_LONG, scale=4)


def recipes() -> dict[str, Recipe]:
    """How each name is trained; those that others start from come first."""
    return {**reference(), **narrow(), **small(), **fast(), **srcnn(), **video()}


def reference() -> dict[str, Recipe]:
    """FSRCNN(56, 12, 4)."""
    first = {"patch": 32, "finish_steps": 2_000, "finish_rate": 1e-4}
    x2 = [
        replace(_X2, steps=22_000, rate=7e-4, **first),
        replace(_X2, start=BEFORE, steps=24_000, rate=6e-4),
        replace(_X2, start=BEFORE, steps=36_000, rate=7e-4, seed=7),
    ]
    x3 = [
        replace(_X3, start="fsrcnn-x2", steps=12_000, rate=5e-4, **first),
        replace(_X3, start=BEFORE, steps=12_000, rate=5e-4),
        replace(_X3, start=BEFORE, steps=5_500, rate=4e-4),
        replace(_X3, start=BEFORE, steps=9_000, rate=4e-4, seed=5),
        replace(_X3, start=BEFORE, steps=16_000, rate=6e-4, seed=7),
    ]
    x4 = [replace(_X4, start="fsrcnn-x2", steps=12_000, rate=5e-4, **first)]
    return {"fsrcnn-x2": (NetworkSettings(), x2), "fsrcnn-x3": (None, x3), "fsrcnn-x4": (None, x4)}


def narrow() -> dict[str, Recipe]:
    """FSRCNN(16, 16, 9), the last of whose layers comes later."""
    name = "fsrcnn-narrow-x2"
    x2 = [
        replace(_X2, steps=50_000, rate=8e-4),
        replace(_X2, start=BEFORE, mapping_layers=9, steps=24_000, rate=6e-4),
        replace(_X2, start=BEFORE, steps=40_000, rate=8e-4, seed=7),
    ]
    x3 = [
        replace(_X3, start=name, steps=14_000, rate=6e-4),
        replace(_X3, start=BEFORE, steps=7_000, rate=4e-4),
        replace(_X3, start=BEFORE, steps=9_000, rate=4e-4, seed=5),
        replace(_X3, start=BEFORE, steps=14_000, rate=6e-4, seed=7),
    ]
    x4 = [replace(_X4, start=name, steps=14_000, rate=6e-4)]
    network = NetworkSettings(d=16, s=16, m=8, kernel=6)
    return {name: (network, x2), "fsrcnn-narrow-x3": (None, x3), "fsrcnn-narrow-x4": (None, x4)}


def small() -> dict[str, Recipe]:
    """FSRCNN-s(32, 5, 1)."""
    name = "fsrcnn-s-x2"
    x3 = [
        replace(_X3, start=name, steps=9_000, rate=6e-4),
        replace(_X3, start=BEFORE, steps=18_000, rate=1e-3),
        replace(_X3, start=BEFORE, steps=24_000, rate=1e-3, seed=7),
    ]
    return {
        name: (NetworkSettings(d=32, s=5, m=1), [replace(_X2, steps=36_000, rate=1e-3)]),
        "fsrcnn-s-x3": (None, x3),
        "fsrcnn-s-x4": (None, [replace(_X4, start=name, steps=9_000, rate=6e-4)]),
    }


def fast() -> dict[str, Recipe]:
    """FSRCNN(8, 8, 5), a vector of AVX2 wide."""
    name = "fsrcnn-fast-x2"
    return {
        name: (NetworkSettings(d=8, s=8, m=5, kernel=6), [replace(_X2, steps=36_000, rate=1e-3, patch=40)]),
        "fsrcnn-fast-x3": (None, [replace(_X3, start=name, steps=12_000, rate=8e-4, patch=40)]),
        "fsrcnn-fast-x4": (None, [replace(_X4, start=name, steps=12_000, rate=8e-4, patch=40)]),
    }


def srcnn() -> dict[str, Recipe]:
    """SRCNN 9-1-5 (64, 32), whose patches are as large at every scale where it works."""
    name, x3, x4 = "srcnn-x2", replace(_X3, patch=24), replace(_X4, patch=20)
    return {
        name: (NetworkSettings(family="srcnn"), [replace(_X2, steps=7_000, rate=5e-4, patch=32)]),
        "srcnn-x3": (
            None,
            [
                replace(x3, start=name, steps=2_500, rate=4e-4),
                replace(x3, start=BEFORE, steps=2_000, rate=6e-4),
            ],
        ),
        "srcnn-x4": (
            None,
            [
                replace(x4, start=name, steps=2_500, rate=4e-4),
                replace(x4, start=BEFORE, steps=3_500, rate=6e-4),
            ],
        ),
    }


def video() -> dict[str, Recipe]:
    """The default network, FSRCNN(56, 12, 4) and the fast one for video, each from its clean weights."""
    settings = {
        scale: TrainSettings(scale=scale, steps=steps) for scale, steps in ((2, 10_000), (3, 8_000), (4, 8_000))
    }
    more = {"rate": 4e-4, "clean_share": 0.1, "finish_steps": 0, "every": EVERY, "seed": 1, "threads": 1, "fast": True}
    return {
        f"{family}-x{scale}{VIDEO}": (None, [replace(own, start=f"{family}-x{scale}", **more)])
        for scale, own in settings.items()
        for family in ("fsrcnn-narrow", "fsrcnn", "fsrcnn-fast")
    }


def sources(data: Path) -> tuple[Source, ...]:
    """The training sets: JPEG pictures only reduced, where their block artefacts are gone."""
    clean = [Source(path=data / "train" / name) for name in ("t91", "general100", "gray181", "mcmaster18", "photos")]
    return (*clean, Source(path=data / "train" / "bsds500-train", sizes=(0.8, 0.6)))


def datasets(data: Path, work: Path, scale: int, clips: int) -> tuple[Path, ...]:
    """Two datasets, `clips` clips in all: of sharp images, and of upscaled ones, as soft as much footage."""
    crop = {2: 96, 3: 80, 4: 72}[scale]
    hard, soft = (work / f"dataset-x{scale}-{clips}-{kind}" for kind in ("hard", "soft"))
    enlarged = [replace(each, sizes=(1.0,) if "bsds" in each.path.name else (1.5,)) for each in sources(data)]
    for folder, given, share, seed in ((hard, sources(data), 0.6, 11), (soft, enlarged, 0.4, 12)):
        build_dataset(
            find_footage(given),
            folder,
            DegradeSettings(scale=scale, seed=seed),
            DatasetSettings(clips=round(share * clips), crop=crop),
            processes=len(os.sched_getaffinity(0)),
            on_warning=logging.info,
        )
    return hard, soft


def clips_for(name: str) -> int:
    """How many clips teach a network for video: fewer, where a quarter of the weights is to learn from them."""
    return 4_000 if name.startswith("fsrcnn-fast") else 16_000


def train_name(name: str, recipe: Recipe, data: Path, work: Path) -> None:
    """Train one name to the end and put its weights into the zoo."""
    network, parts = recipe
    before: Path | None = None
    for number, settings in enumerate(parts, 1):
        output = work / f"{name}-{number}"
        start = str(before) if settings.start == BEFORE else settings.start
        run = TrainRun(
            sources=sources(data),
            output=output,
            network=network if network and number == 1 else NetworkSettings(),
            settings=replace(settings, start=start),
            held_out=(Source(path=data / "val"),),
            datasets=datasets(data, work, settings.scale, clips_for(name)) if name.endswith(VIDEO) else (),
        )
        before = output / "model.npz"
        if not before.exists():
            trained = train_model(run, on_warning=logging.warning, on_step=partial(_log_progress, output.name))
            logging.info("%s: %s", output.name, trained)
    if before:
        publish(name, load_weights(before), data)


def publish(name: str, weights: Weights, data: Path) -> None:
    """Put weights into the zoo, with their scores by P1 in the header, ready for int8."""
    engine = Engine(weights, threads=1, precision="f32")
    folders = [data / "val" / "kodak24", data / "test" / "set5", data / "test" / "set14"]
    sets = collect([folder for folder in folders if folder.is_dir()], engine.scale, logging.warning)
    ways = methods({name: engine}, engine.scale)
    rows = [row for each in sets for path in each.pictures for row in evaluate_picture(path, each, engine.scale, ways)]
    own = [row for row in means(rows) if (row.method, row.input) == (name, "P1")]
    facts: Facts = {**weights.facts, "scores": {row.collection: round(row.psnr, 2) for row in own}}
    with atomic_write(ZOO / f"{name}.npz", overwrite=True) as file:
        save_weights(file, replace(complete(weights, data), facts=facts))
    logging.info("%s: %s", name, facts["scores"])


def _log_progress(name: str, progress: TrainProgress) -> None:
    if progress.step % EVERY == 0:
        loss, psnr = progress.loss, progress.psnr or 0.0
        logging.info("%s %d of %d: loss %.5f, %.3f dB", name, progress.step, progress.steps, loss, psnr)


def main() -> None:
    """Train the names that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *recipes()], metavar="NAME")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for name in args.names or recipes():
        train_name(name, recipes()[name], args.data, args.work)


if __name__ == "__main__":
    main()
