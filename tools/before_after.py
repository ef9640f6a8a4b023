"""Draw the README's picture: parts of the example clip as they are stored, by Lanczos, and by the network.

python tools/before_after.py examples/street.mp4 examples/before-after.png
"""

import argparse
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

from vidsr import Engine, Reader
from vidsr.media.scale import Merger

AT_S = 2.0
SCALE = 2
SHOWN = 2  # each pixel of the enlarged picture is this large, so that a screen does not blur it again
CROPS = ((31, 74, 72, 46), (233, 62, 72, 46))  # left, top, width, height in the source
LABELS = ("source", "Lanczos", "vidsr (fsrcnn-x2)")
EDGE, BAND = 8, 26


def rows(clip: Path) -> list[list[Image.Image]]:
    """For each crop the three pictures, equally large."""
    engine, merger = Engine(f"fsrcnn-x{SCALE}"), Merger()
    with Reader(clip) as reader:
        frame = next(f for f in reader if f.picture.pts * f.picture.time_base >= AT_S)
    size = (frame.picture.width * SCALE, frame.picture.height * SCALE)
    ours = _rgb(merger.merge(frame.picture, engine(frame.luma)))
    lanczos = _rgb(merger.fit(frame.picture, size))
    source = _rgb(frame.picture).resize(size, Image.Resampling.NEAREST)
    boxes = [tuple(SCALE * n for n in (x, y, x + w, y + h)) for x, y, w, h in CROPS]
    return [[_shown(picture.crop(box)) for picture in (source, lanczos, ours)] for box in boxes]


def _rgb(picture: av.VideoFrame) -> Image.Image:
    return Image.fromarray(picture.to_ndarray(format="rgb24"))


def _shown(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width * SHOWN, picture.height * SHOWN), Image.Resampling.NEAREST)


def sheet(pictures: list[list[Image.Image]]) -> Image.Image:
    """All pictures in a grid, a label over each column."""
    width, height = pictures[0][0].size
    size = (len(LABELS) * (width + EDGE) + EDGE, len(pictures) * (height + EDGE) + BAND + EDGE)
    paper = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(paper)
    for column, label in enumerate(LABELS):
        x = EDGE + column * (width + EDGE)
        draw.text((x, 4), label, fill="black", font=ImageFont.load_default(16))
        for row, line in enumerate(pictures):
            paper.paste(line[column], (x, BAND + row * (height + EDGE)))
    return paper


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    sheet(rows(args.clip)).quantize(128, dither=Image.Dither.NONE).save(args.picture, optimize=True)


if __name__ == "__main__":
    main()
