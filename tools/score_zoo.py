"""Score every network of the zoo on folders of pictures, as a Markdown table.

python tools/score_zoo.py IMAGES      one folder a set in IMAGES: set5, set14, ...
"""

import argparse
from pathlib import Path

from vidsr import Engine
from vidsr.model.zoo import load_model, model_names
from vidsr.quality.protocol import Enlarge, Score, bicubic, mean, p1, p2, score


def rows(sets: dict[str, list[Path]]) -> list[list[str]]:
    """The cells of the table: a line for bicubic at each scale, then one for each network of that scale."""
    weights = {name: load_model(name) for name in model_names()}
    table = []
    for scale in sorted({each.architecture.scale for each in weights.values()}):
        table.append([f"bicubic x{scale}", *_cells(sets, scale, bicubic(scale), None)])
        for name, each in weights.items():
            if each.architecture.scale == scale:
                engine = Engine(each)
                table.append([f"`{name}`", *_cells(sets, scale, p1(engine), p2(engine))])
    return table


def _cells(sets: dict[str, list[Path]], scale: int, float_lr: Enlarge, byte_lr: Enlarge | None) -> list[str]:
    cells = []
    for pictures in sets.values():
        exact = mean(score(pictures, scale, float_lr))
        cells.append(f"{exact.psnr:.2f} ({exact.ssim:.4f})")
        rounded: Score | None = mean(score(pictures, scale, byte_lr)) if byte_lr else None
        cells.append(f"{rounded.psnr:.2f}" if rounded else "")
    return cells


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    folders = sorted(folder for folder in parser.parse_args().images.iterdir() if folder.is_dir())
    sets = {folder.name.capitalize(): sorted(folder.glob("*.png")) for folder in folders}
    sets = dict(sorted(sets.items(), key=lambda entry: len(entry[1])))
    print(f"| | {' | '.join(f'{name} | bytes in' for name in sets)} |")
    print(f"|---|{'---|---|' * len(sets)}")
    for row in rows(sets):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
