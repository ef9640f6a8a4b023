"""Score the networks of the zoo for clean pictures, beside bicubic and Lanczos, on folders of them, as Markdown.

python tools/score_zoo.py IMAGES      one folder a set in IMAGES: set5, set14, ...
"""

import argparse
from pathlib import Path

from vidsr import Engine
from vidsr.model.zoo import model_names
from vidsr.quality.evaluation import Collection, collect, evaluate_picture
from vidsr.quality.results import means
from vidsr.quality.upscalers import methods


def lines(sets: list[Collection]) -> list[list[str]]:
    """The cells of the table, a line for each method at each scale."""
    engines = {name: Engine(name, precision="f32") for name in model_names() if not name.endswith("-video")}
    table = []
    for scale in sorted({engine.scale for engine in engines.values()}):
        ways = methods(engines, scale)
        rows = [row for each in sets for path in each.pictures for row in evaluate_picture(path, each, scale, ways)]
        for way in ways:
            own = [row for row in means(rows) if row.method == way]  # of every set P1, then P2
            cells = [f"{row.psnr:.2f} ({row.ssim:.4f})" if row.input == "P1" else f"{row.psnr:.2f}" for row in own]
            table.append([f"`{way}`" if way in engines else f"{way} x{scale}", *cells])
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    folders = sorted(folder for folder in parser.parse_args().images.iterdir() if folder.is_dir())
    sets = sorted(collect(folders, scale=4, note=parser.error), key=lambda each: len(each.pictures))
    print(f"| | {' | '.join(f'{each.name.capitalize()} | bytes in' for each in sets)} |")
    print(f"|---|{'---|---|' * len(sets)}")
    for line in lines(sets):
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
