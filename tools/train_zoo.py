"""Train the weights of the zoo by the recipes below.

  python tools/train_zoo.py --data DIR --work DIR [NAME ...]

DIR holds `train/`, with a folder per set that `sources` names, `val/`, and `test/` for the scores. Each stage of a
recipe is a run of `vidsr train` in its own folder in --work, and is resumed there after an interruption. The weights
of a name go into vidsr/model/zoo after its last stage. Names that start from the weights of another name read them
from the zoo; the default is all names, in an order that respects this.
"""

import argparse
import logging
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from calibrate import calibrate_for_zoo

from vidsr.engine import Engine
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import Facts, Weights, load_weights, save_weights
from vidsr.quality.evaluation import collect, evaluate_image, means
from vidsr.quality.upscalers import make_upscalers
from vidsr.settings import DatasetSettings, DegradeSettings, NetworkSettings, TrainSettings
from vidsr.training.data.dataset_builder import build_dataset
from vidsr.training.data.sources import Source, find_footage
from vidsr.training.run import TrainProgress, TrainRun, train_model

ZOO = Path(__file__).resolve().parent.parent / "vidsr" / "model" / "zoo"
VIDEO, COARSE = "-video", "-coarse"
BEFORE = "before"
"""As the start of a stage: the weights of the previous stage."""

Recipe = tuple[NetworkSettings | None, list[TrainSettings]]
"""The network, or None where it comes from the start weights, and the settings of the training stages in order."""

EVERY = 2000
_COARSE = {"x264_crf": "26-40", "x265_crf": "28-40", "codec_share": 1.0}
"""Of the degradation that weights for a coarse quantiser learn from, what is not as usual."""
_LONG = TrainSettings(finish_steps=0, every=EVERY, seed=1, threads=1, fast=True)
_ENCODED = {"rate": 4e-4, "finish_steps": 0, "every": EVERY, "seed": 1, "threads": 1, "fast": True}
_X2 = replace(_LONG, scale=2)
_X3, _X4 = replace(_LONG, scale=3), replace(_LONG, scale=4)


def recipes() -> dict[str, Recipe]:
    """The recipe of each name; names that others start from come first."""
    return {**reference(), **narrow(), **small(), **fast(), **wide(), **srcnn(), **video(), **coarse()}


def reference() -> dict[str, Recipe]:
    """FSRCNN(56, 12, 4)."""
    first = {"patch": 32, "finish_steps": 2_000, "finish_rate": 1e-4}
    x2 = [
        replace(_X2, steps=22_000, rate=7e-4, **first),
        replace(_X2, initial_model=BEFORE, steps=24_000, rate=6e-4),
        replace(_X2, initial_model=BEFORE, steps=36_000, rate=7e-4, seed=7),
    ]
    x3 = [
        replace(_X3, initial_model="fsrcnn-x2", steps=12_000, rate=5e-4, **first),
        replace(_X3, initial_model=BEFORE, steps=12_000, rate=5e-4),
        replace(_X3, initial_model=BEFORE, steps=5_500, rate=4e-4),
        replace(_X3, initial_model=BEFORE, steps=9_000, rate=4e-4, seed=5),
        replace(_X3, initial_model=BEFORE, steps=16_000, rate=6e-4, seed=7),
    ]
    x4 = [replace(_X4, initial_model="fsrcnn-x2", steps=12_000, rate=5e-4, **first)]
    return {"fsrcnn-x2": (NetworkSettings(), x2), "fsrcnn-x3": (None, x3), "fsrcnn-x4": (None, x4)}


def narrow() -> dict[str, Recipe]:
    """FSRCNN(16, 16, 9); its last mapping layer is added in the second stage."""
    name = "fsrcnn-narrow-x2"
    x2 = [
        replace(_X2, steps=50_000, rate=8e-4),
        replace(_X2, initial_model=BEFORE, mapping_layers=9, steps=24_000, rate=6e-4),
        replace(_X2, initial_model=BEFORE, steps=40_000, rate=8e-4, seed=7),
    ]
    x3 = [
        replace(_X3, initial_model=name, steps=14_000, rate=6e-4),
        replace(_X3, initial_model=BEFORE, steps=7_000, rate=4e-4),
        replace(_X3, initial_model=BEFORE, steps=9_000, rate=4e-4, seed=5),
        replace(_X3, initial_model=BEFORE, steps=14_000, rate=6e-4, seed=7),
    ]
    x4 = [replace(_X4, initial_model=name, steps=14_000, rate=6e-4)]
    network = NetworkSettings(d=16, s=16, m=8, kernel=6)
    return {name: (network, x2), "fsrcnn-narrow-x3": (None, x3), "fsrcnn-narrow-x4": (None, x4)}


def small() -> dict[str, Recipe]:
    """FSRCNN-s(32, 5, 1)."""
    name = "fsrcnn-s-x2"
    x3 = [
        replace(_X3, initial_model=name, steps=9_000, rate=6e-4),
        replace(_X3, initial_model=BEFORE, steps=18_000, rate=1e-3),
        replace(_X3, initial_model=BEFORE, steps=24_000, rate=1e-3, seed=7),
    ]
    return {
        name: (NetworkSettings(d=32, s=5, m=1), [replace(_X2, steps=36_000, rate=1e-3)]),
        "fsrcnn-s-x3": (None, x3),
        "fsrcnn-s-x4": (None, [replace(_X4, initial_model=name, steps=9_000, rate=6e-4)]),
    }


def fast() -> dict[str, Recipe]:
    """FSRCNN(8, 8, 5), as wide as an AVX2 vector."""
    name = "fsrcnn-fast-x2"
    return {
        name: (NetworkSettings(d=8, s=8, m=5, kernel=6), [replace(_X2, steps=36_000, rate=1e-3, patch=40)]),
        "fsrcnn-fast-x3": (None, [replace(_X3, initial_model=name, steps=12_000, rate=8e-4, patch=40)]),
        "fsrcnn-fast-x4": (None, [replace(_X4, initial_model=name, steps=12_000, rate=8e-4, patch=40)]),
    }


def wide() -> dict[str, Recipe]:
    """FSRCNN(32, 32, 8), for CPUs with AMX: three times the work of the narrow one."""
    name = "fsrcnn-wide-x2"
    return {
        name: (NetworkSettings(d=32, s=32, m=8, kernel=6), [replace(_X2, steps=28_000, rate=7e-4)]),
        "fsrcnn-wide-x3": (None, [replace(_X3, initial_model=name, steps=7_000, rate=6e-4)]),
        "fsrcnn-wide-x4": (None, [replace(_X4, initial_model=name, steps=7_000, rate=6e-4)]),
    }


def srcnn() -> dict[str, Recipe]:
    """SRCNN 9-1-5 (64, 32); smaller patches at larger scales, as it works on upscaled patches."""
    name, x3, x4 = "srcnn-x2", replace(_X3, patch=24), replace(_X4, patch=20)
    return {
        name: (NetworkSettings(family="srcnn"), [replace(_X2, steps=7_000, rate=5e-4, patch=32)]),
        "srcnn-x3": (
            None,
            [
                replace(x3, initial_model=name, steps=2_500, rate=4e-4),
                replace(x3, initial_model=BEFORE, steps=2_000, rate=6e-4),
            ],
        ),
        "srcnn-x4": (
            None,
            [
                replace(x4, initial_model=name, steps=2_500, rate=4e-4),
                replace(x4, initial_model=BEFORE, steps=3_500, rate=6e-4),
            ],
        ),
    }


def video() -> dict[str, Recipe]:
    """The networks for video, from their weights for clean images."""
    settings = {
        scale: TrainSettings(scale=scale, steps=steps) for scale, steps in ((2, 10_000), (3, 8_000), (4, 8_000))
    }
    more = {**_ENCODED, "clean_share": 0.1}
    usual = {
        f"{family}-x{scale}{VIDEO}": (None, [replace(own, initial_model=f"{family}-x{scale}", **more)])
        for scale, own in settings.items()
        for family in ("fsrcnn-narrow", "fsrcnn", "fsrcnn-fast")
    }
    wide = {
        f"fsrcnn-wide-x{scale}{VIDEO}": (
            None,
            [TrainSettings(scale=scale, steps=steps, initial_model=f"fsrcnn-wide-x{scale}", **more)],
        )
        for scale, steps in ((2, 5_000), (3, 4_000), (4, 4_000))
    }
    return {**usual, **wide}


def coarse() -> dict[str, Recipe]:
    """The networks for video of a coarse quantiser, from their weights for video."""
    return {
        f"{family}-x{scale}{COARSE}": (
            None,
            [
                TrainSettings(
                    scale=scale, steps=steps, initial_model=f"{family}-x{scale}{VIDEO}", clean_share=0, **_ENCODED
                )
            ],
        )
        for family, steps in (("fsrcnn-narrow", 4_000), ("fsrcnn-fast", 4_000), ("fsrcnn-wide", 2_400))
        for scale in (2, 3, 4)
    }


def sources(data: Path) -> tuple[Source, ...]:
    """The training sets; JPEG images are used reduced only, which removes their block artefacts."""
    clean = [Source(path=data / "train" / name) for name in ("t91", "general100", "gray181", "mcmaster18", "photos")]
    return (*clean, Source(path=data / "train" / "bsds500-train", sizes=(0.8, 0.6)))


def datasets(name: str, data: Path, work: Path, scale: int) -> tuple[Path, ...]:
    """The two datasets of a network for video: of sharp images, and of upscaled ones, as soft as much footage."""
    clips, crop = clips_for(name), {2: 96, 3: 80, 4: 72}[scale]
    end, first_seed, degrade = ("", 11, {}) if name.endswith(VIDEO) else (COARSE, 21, _COARSE)
    hard, soft = (work / f"dataset-x{scale}{end}-{clips}-{kind}" for kind in ("hard", "soft"))
    enlarged = [replace(each, sizes=(1.0,) if "bsds" in each.path.name else (1.5,)) for each in sources(data)]
    for folder, given, share, seed in ((hard, sources(data), 0.6, first_seed), (soft, enlarged, 0.4, first_seed + 1)):
        build_dataset(
            find_footage(given),
            folder,
            DegradeSettings(scale=scale, seed=seed, **degrade),
            DatasetSettings(clips=round(share * clips), crop=crop),
            processes=len(os.sched_getaffinity(0)),
            on_warning=logging.info,
        )
    return hard, soft


def clips_for(name: str) -> int:
    """The number of training clips of a network for video; fewer for the fast one, with its quarter of the weights."""
    if name.endswith(COARSE) or name in (f"fsrcnn-wide-x3{VIDEO}", f"fsrcnn-wide-x4{VIDEO}"):
        return 8_000
    return 4_000 if name.startswith("fsrcnn-fast") else 16_000


def train_name(name: str, recipe: Recipe, data: Path, work: Path) -> None:
    """Train all stages of one name and put its weights into the zoo."""
    network, stages = recipe
    before: Path | None = None
    for number, settings in enumerate(stages, 1):
        output = work / f"{name}-{number}"
        start = str(before) if settings.initial_model == BEFORE else settings.initial_model
        run = TrainRun(
            sources=sources(data),
            output=output,
            network=network if network and number == 1 else NetworkSettings(),
            settings=replace(settings, initial_model=start),
            held_out=(Source(path=data / "val"),),
            datasets=datasets(name, data, work, settings.scale) if name.endswith((VIDEO, COARSE)) else (),
        )
        before = output / "model.npz"
        if not before.exists():
            trained = train_model(run, on_warning=logging.warning, on_step=partial(_log_progress, output.name))
            logging.info("%s: %s", output.name, trained)
    if before:
        publish(name, load_weights(before), data)


def publish(name: str, weights: Weights, data: Path) -> None:
    """Put weights into the zoo, calibrated for int8, with their P1 scores among the facts."""
    engine = Engine(weights, threads=1, precision="f32")
    folders = [data / "val" / "kodak24", data / "test" / "set5", data / "test" / "set14"]
    sets = collect([folder for folder in folders if folder.is_dir()], engine.scale, logging.warning)
    upscalers = make_upscalers({name: engine}, engine.scale)
    rows = [
        row for each in sets for path in each.images for row in evaluate_image(path, each, engine.scale, upscalers)
    ]
    own = [row for row in means(rows) if (row.method, row.input) == (name, "P1")]
    facts: Facts = {**weights.facts, "scores": {row.collection: round(row.psnr, 2) for row in own}}
    with atomic_write(ZOO / f"{name}.npz", overwrite=True) as file:
        save_weights(file, replace(calibrate_for_zoo(weights, data), facts=facts))
    logging.info("%s: %s", name, facts["scores"])


def _log_progress(name: str, progress: TrainProgress) -> None:
    if progress.step % EVERY == 0:
        loss, psnr = progress.loss, progress.psnr or 0.0
        logging.info("%s %d of %d: loss %.5f, %.3f dB", name, progress.step, progress.steps, loss, psnr)


def main() -> None:
    """Train the requested names in turn."""
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
