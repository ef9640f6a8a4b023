"""Write one clip of a video or an image, degraded and downscaled as by `vidsr dataset`: to look at; luma only.

  vidsr degrade camera.mp4 degraded.mkv --seed 7
  vidsr degrade photo.png coarse.mkv --codecs x264:1 --codec-share 1 --x264-crf 35 --noise-share 0

Each seed draws another position of the video and another degradation, which is printed. A range of one number and a
share of 0 or 1 leave nothing to chance.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from vidsr.cli.options import Parser, add_options, settings
from vidsr.media.luma_video import write_luma_video
from vidsr.settings import DegradeSettings
from vidsr.training.data.clips import full_frame_clip
from vidsr.training.data.degradation import degrade, draw_count, draw_recipe


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", type=Path, help="a video or an image")
    parser.add_argument("target", metavar="TARGET", type=Path, help="the degraded clip, an .mkv (lossless FFV1)")
    for title in ("clip", "camera", "codec"):
        add_options(parser.add_argument_group(title), DegradeSettings, part=title)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing target")


def run(args: argparse.Namespace) -> int:
    """Degrade, write, and print the recipe."""
    degradation = settings(DegradeSettings, args)
    random = np.random.default_rng(degradation.seed)
    recipe, frames = draw_recipe(degradation, random), draw_count(degradation.frames, random)
    clip = full_frame_clip(args.source, frames, degradation, random)
    lr = degrade(clip.planes, recipe, scale=degradation.scale, random=random, rate=clip.rate)
    write_luma_video(args.target, lr, clip.rate, source=args.source, overwrite=args.overwrite)
    height, width = (length // degradation.scale for length in clip.planes[0].shape)
    frames = len(clip.planes)  # the video may have fewer
    if args.json:
        facts = {"target": str(args.target), "frames": frames, "size": [width, height], "start_s": clip.start_s}
        print(json.dumps({**facts, **dataclasses.asdict(recipe)}))
    else:
        print(f"{args.target}: {frames} frames from {clip.start_s:.2f} s, {width}x{height}: {recipe}")
    return 0
