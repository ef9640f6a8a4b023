"""Render pages of text and line drawings to train on: subtitles, signs and slides are in what people enlarge.

  python tools/render_pages.py FOLDER [--count 120]

Nothing but the number of a page decides how it looks. It takes Pillow and the fonts that come with matplotlib.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = sorted((Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob("DejaVu*.ttf"))
SIZE = (480, 360)
VOWELS, CONSONANTS = "aeiouy", "bcdfghjklmnprstvwxz"
Colour = tuple[int, int, int]


def render(number: int) -> Image.Image:
    """The page of a number: a ground, then text in one to three sizes, or drawings, or both."""
    random = np.random.default_rng(number)
    page = _ground(random)
    draw = ImageDraw.Draw(page)
    kind = number % 4
    if kind != 0:
        _write(draw, random, columns=1 + kind % 2)
    if kind in (0, 3):
        _sketch(draw, random)
    return page


def _ground(random: np.random.Generator) -> Image.Image:
    """White, one colour, or a smooth change between two."""
    width, height = SIZE
    first, last = (_colour(random) for _ in range(2))
    if random.random() < 0.6:
        first = last = (255, 255, 255) if random.random() < 0.6 else first
    share = np.linspace(0, 1, width)[None, :, None] * np.ones((height, 1, 1))
    pixels = np.array(first) * (1 - share) + np.array(last) * share
    return Image.fromarray(pixels.astype(np.uint8))


def _write(draw: ImageDraw.ImageDraw, random: np.random.Generator, *, columns: int) -> None:
    ink = _ink(draw, random)
    for column in range(columns):
        left, top = 8 + column * SIZE[0] // columns, int(random.integers(0, 20))
        while top < SIZE[1]:
            font = ImageFont.truetype(FONTS[random.integers(len(FONTS))], int(random.choice([9, 11, 13, 16, 22, 34])))
            for _ in range(int(random.integers(1, 6))):
                draw.text((left, top), _line(random, SIZE[0] // columns - 16, font), ink, font)
                top += int(font.size * random.uniform(1.1, 1.6))
            ink = ink if random.random() < 0.7 else _ink(draw, random)


def _sketch(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    """Lines, boxes, ellipses and gratings, thin and thick, at any angle."""
    for _ in range(int(random.integers(8, 25))):
        ink, width = _ink(draw, random), int(random.choice([1, 1, 2, 3, 6]))
        x, y = sorted(random.integers(0, SIZE[0], 2)), sorted(random.integers(0, SIZE[1], 2))
        box = [int(x[0]), int(y[0]), int(x[1]), int(y[1])]
        shape = random.integers(4)
        if shape == 0:
            draw.rectangle(box, outline=ink, width=width, fill=_colour(random) if random.random() < 0.3 else None)
        elif shape == 1:
            draw.ellipse(box, outline=ink, width=width)
        elif shape == 2:
            draw.line([tuple(map(int, random.integers(0, SIZE))) for _ in range(4)], ink, width)
        else:
            slant, step = int(random.integers(-60, 60)), int(random.integers(3, 12))
            for at in range(box[0], min(box[0] + 120, SIZE[0]), step):
                draw.line([(at, box[1]), (at + slant, min(box[1] + 90, SIZE[1]))], ink, max(1, step // 3))


def _line(random: np.random.Generator, width: int, font: ImageFont.FreeTypeFont) -> str:
    """Invented words, up to the width in pixels."""
    text = ""
    while font.getlength(text) < width - 3 * font.size:
        syllables = [random.choice([*CONSONANTS]) + random.choice([*VOWELS]) for _ in range(random.integers(1, 5))]
        word = "".join(syllables) if random.random() < 0.85 else str(random.integers(10_000))
        text += (word.capitalize() if random.random() < 0.2 else word) + str(
            random.choice([" ", " ", " ", ", ", ". "])
        )
    return text


def _ink(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> Colour:
    """A colour that stands out from the middle of the ground."""
    ground = np.array(draw._image.getpixel((SIZE[0] // 2, SIZE[1] // 2)))
    while True:
        colour = (0, 0, 0) if random.random() < 0.4 else _colour(random)
        if np.abs(ground - colour).max() > 90:
            return colour


def _colour(random: np.random.Generator) -> Colour:
    red, green, blue = random.integers(0, 256, 3).tolist()
    return red, green, blue


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=120)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for number in range(args.count):
        render(number).save(args.folder / f"{number:03}.png")


if __name__ == "__main__":
    main()
