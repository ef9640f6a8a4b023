"""Make the networks of the zoo ready for int8: how far their layers reach, and what each precision loses.

python tools/calibrate.py IMAGES [NAME...]      IMAGES/train/*/ and IMAGES/val/kodak24 (see train_zoo.py)

Without a name it is all of the zoo. A file is replaced; its tensors stay, and what bf16 loses where this CPU has none.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import Weights, save_weights
from vidsr.model.zoo import load_model, model_names, model_path
from vidsr.quality.image_protocol import read_luma
from vidsr.quality.int8_calibration import calibrated, judge_of

PICTURES = {"bsds500-train": 8, "general100": 8, "photos": 6, "gray181": 4, "t91": 4}
"""How many of each folder the ranges are measured on, spread over its names."""


def complete(weights: Weights, images: Path) -> Weights:
    """The weights with the calibration that a file of the zoo has."""
    scale = weights.architecture.scale
    pictures = [read_luma(path) for path in chosen(images / "train")]
    judges = [judge_of(read_luma(path), scale) for path in sorted((images / "val" / "kodak24").iterdir())]
    ready = calibrated(weights, [judge_of(picture, scale)[0] for picture in pictures], judges)
    assert ready.calibration
    before = weights.calibration.losses if weights.calibration else {}
    return replace(ready, calibration=replace(ready.calibration, losses={**before, **ready.calibration.losses}))


def chosen(train: Path) -> list[Path]:
    """The pictures to measure ranges on."""
    files = {name: sorted((train / name).iterdir()) for name in PICTURES}
    return [file for name, count in PICTURES.items() for file in files[name][:: len(files[name]) // count][:count]]


def main() -> None:
    """Calibrate, and say what was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", default=model_names())
    args = parser.parse_args()
    for name in args.names:
        ready = complete(load_model(name), args.images)
        with atomic_write(model_path(name), overwrite=True) as file:
            save_weights(file, ready)
        losses = ready.calibration.losses if ready.calibration else {}
        print(f"{name}: {', '.join(f'{each} {-loss:+.3f} dB' for each, loss in losses.items())}", flush=True)


if __name__ == "__main__":
    main()
