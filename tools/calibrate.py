"""Make networks ready for int8: write into their files how far their layers reach, and what each precision loses.

python tools/calibrate.py IMAGES [MODEL...]      IMAGES/train/*/ and IMAGES/val/kodak24 (see train_zoo.py)

A model is a name of the zoo or an .npz file; without one, all of the zoo. A file is replaced; its tensors stay.
"""

import argparse
from pathlib import Path

from vidsr.media.landing import whole_file
from vidsr.model.weights import save_weights
from vidsr.model.zoo import load_model, model_names, model_path
from vidsr.quality.calibrating import calibrated
from vidsr.quality.protocol import read_luma

PICTURES = {"bsds500-train": 8, "general100": 8, "photos": 6, "gray181": 4, "t91": 4}
"""How many of each folder the ranges are measured on, spread over its names."""


def chosen(train: Path) -> list[Path]:
    """The pictures to measure ranges on."""
    files = {name: sorted((train / name).iterdir()) for name in PICTURES}
    return [file for name, count in PICTURES.items() for file in files[name][:: len(files[name]) // count][:count]]


def main() -> None:
    """Calibrate, and say what was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=model_names())
    args = parser.parse_args()
    pictures = [read_luma(path) for path in chosen(args.images / "train")]
    judges = [read_luma(path) for path in sorted((args.images / "val" / "kodak24").iterdir())]
    for model in args.models:
        ready = calibrated(load_model(model), pictures, judges)
        with whole_file(model_path(model), overwrite=True) as file:
            save_weights(file, ready)
        losses = ready.calibration.losses if ready.calibration else {}
        print(f"{model}: {', '.join(f'{name} {-loss:+.3f} dB' for name, loss in losses.items())}", flush=True)


if __name__ == "__main__":
    main()
