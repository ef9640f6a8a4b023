"""Calibrate the networks of the zoo for int8: activation ranges, and the loss of each precision.

python tools/calibrate.py IMAGES [NAME...]      IMAGES/train/*/ and IMAGES/val/kodak24 (see train_zoo.py)

The default is all networks of the zoo. The weight files are replaced with the same tensors. The bf16 loss is the
largest of all CPUs that it was measured on: kernels round differently, and some CPUs have no bf16.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import Weights, save_weights
from vidsr.model.zoo import load_model, model_names, model_path
from vidsr.quality.int8_calibration import calibrate, validation_pair
from vidsr.quality.metrics import read_luma

IMAGES = {"bsds500-train": 8, "general100": 8, "photos": 6, "gray181": 4, "t91": 4}
"""Images per folder that the ranges are measured on, at equal distances in the order of their names."""


def calibrate_for_zoo(weights: Weights, images: Path) -> Weights:
    """The weights with ranges from the training images and losses on Kodak."""
    scale = weights.architecture.scale
    range_images = [read_luma(path) for path in range_image_paths(images / "train")]
    pairs = [validation_pair(read_luma(path), scale) for path in sorted((images / "val" / "kodak24").iterdir())]
    ready = calibrate(weights, [validation_pair(luma, scale)[0] for luma in range_images], pairs)
    assert ready.calibration
    losses = ready.calibration.losses
    if weights.calibration and "bf16" in weights.calibration.losses:
        losses = {**losses, "bf16": max(weights.calibration.losses["bf16"], losses.get("bf16", 0))}
    return replace(ready, calibration=replace(ready.calibration, losses=losses))


def range_image_paths(train: Path) -> list[Path]:
    """The images to measure ranges on."""
    files = {name: sorted((train / name).iterdir()) for name in IMAGES}
    return [file for name, count in IMAGES.items() for file in files[name][:: len(files[name]) // count][:count]]


def main() -> None:
    """Calibrate, and print the losses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", default=model_names())
    args = parser.parse_args()
    for name in args.names:
        ready = calibrate_for_zoo(load_model(name), args.images)
        with atomic_write(model_path(name), overwrite=True) as file:
            save_weights(file, ready)
        losses = ready.calibration.losses if ready.calibration else {}
        print(f"{name}: {', '.join(f'{each} {-loss:+.3f} dB' for each, loss in losses.items())}", flush=True)


if __name__ == "__main__":
    main()
