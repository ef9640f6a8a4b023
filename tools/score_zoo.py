"""Score the networks of the zoo for clean images, with bicubic and Lanczos, on image sets, as Markdown.

python tools/score_zoo.py IMAGES      a folder per set in IMAGES: set5, set14, ...
"""

import argparse
from pathlib import Path

from vidsr import Engine
from vidsr.model.zoo import model_names
from vidsr.quality.evaluation import Collection, collect, evaluate_image, means
from vidsr.quality.upscalers import make_upscalers


def table_rows(sets: list[Collection]) -> list[list[str]]:
    """The cells of the table, a row per method and scale."""
    engines = {
        name: Engine(name, precision="f32") for name in model_names() if not name.endswith(("-video", "-coarse"))
    }
    table = []
    for scale in sorted({engine.scale for engine in engines.values()}):
        upscalers = make_upscalers(engines, scale)
        rows = [row for each in sets for path in each.images for row in evaluate_image(path, each, scale, upscalers)]
        for method in upscalers:
            own = [row for row in means(rows) if row.method == method]  # per set P1, then P2
            cells = [f"{row.psnr:.2f} ({row.ssim:.4f})" if row.input == "P1" else f"{row.psnr:.2f}" for row in own]
            table.append([f"`{method}`" if method in engines else f"{method} x{scale}", *cells])
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    folders = sorted(folder for folder in parser.parse_args().images.iterdir() if folder.is_dir())
    sets = sorted(collect(folders, scale=4, on_warning=parser.error), key=lambda each: len(each.images))
    print(f"| | {' | '.join(f'{each.name.capitalize()} | bytes in' for each in sets)} |")
    print(f"|---|{'---|---|' * len(sets)}")
    for line in table_rows(sets):
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
