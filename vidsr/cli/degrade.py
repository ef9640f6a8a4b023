"""`vidsr degrade`: a clip as a camera with a codec would have delivered it, to be looked at."""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from vidsr.cli.options import Commands, Help, add_options, add_output, settings
from vidsr.media.luma_video import write_luma_video
from vidsr.settings import DegradeSettings
from vidsr.training.data.clips import whole_shot
from vidsr.training.data.degradation import degrade, draw_count, draw_recipe

_EXAMPLE = """Write a degraded clip of a video or a picture, as networks for video learn from: smaller, its luma alone.

  vidsr degrade camera.mp4 degraded.mkv --seed 7
  vidsr degrade photo.png coarse.mkv --codecs x264:1 --codec-share 1 --x264-crf 35 --noise-share 0

Each seed draws another place of the video, and something else that is done to it, which is printed; a range of one
number and a share of 0 or 1 leave nothing to chance.
"""
_CLIP = {
    "scale": ("N", "2, 3 or 4: how many times smaller"),
    "frames": ("N-N", "how many frames"),
    "still_share": ("PART", "how often nothing moves in a clip made of a picture"),
    "first_share": ("PART", "how often a training takes the first frame of a clip; changes nothing here"),
    "seed": ("N", "decides every draw"),
}
CAMERA = {
    "blur_share": ("PART", "how often it is blurred"),
    "blur": ("S-S", "sigma in full-size pixels"),
    "kernels": ("NAME:N,...", "how it is reduced"),
    "noise_share": ("PART", "how often it has noise"),
    "noise": ("S-S", "sigma in grey levels at white"),
    "denoise_share": ("PART", "how often it is smoothed between edges"),
    "denoise": ("S-S", "grey levels that are taken for noise"),
    "sharpen_share": ("PART", "how often it is sharpened"),
    "sharpen": ("A-A", "how much"),
}
CODEC = {
    "codec_share": ("PART", "how often it is encoded"),
    "codecs": ("NAME:N,...", "with what"),
    "x264_crf": ("N-N", "CRF of x264"),
    "x265_crf": ("N-N", "CRF of x265"),
    "mjpeg_quality": ("N-N", "quality of JPEG"),
    "rate_mbps": ("R-R", "megabits a second of 640x360; of other sizes in proportion"),
    "gop": ("N-N", "frames from one key frame to the next"),
    "second_share": ("PART", "how often it is encoded once more"),
}


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "a clip as a camera with a codec would deliver it"
    parser = commands.add_parser("degrade", help=text, description=_EXAMPLE, formatter_class=Help)
    parser.add_argument("source", metavar="SOURCE", type=Path, help="a video or a picture")
    parser.add_argument("target", metavar="TARGET", type=Path, help="the degraded clip, an .mkv (FFV1, without loss)")
    for title, fields in (("clip", _CLIP), ("camera", CAMERA), ("codec", CODEC)):
        add_options(parser.add_argument_group(title), DegradeSettings, fields=fields)
    parser.add_argument("--overwrite", action="store_true", help="replace a target that exists")
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Degrade, write, and say what was done."""
    asked = settings(DegradeSettings, args)
    random = np.random.default_rng(asked.seed)
    recipe, frames = draw_recipe(asked, random), draw_count(asked.frames, random)
    shot = whole_shot(args.source, frames, asked, random)
    small = degrade(shot.planes, recipe, scale=asked.scale, random=random, rate=shot.rate)
    write_luma_video(args.target, small, shot.rate, source=args.source, overwrite=args.overwrite)
    height, width = (length // asked.scale for length in shot.planes[0].shape)
    frames = len(shot.planes)  # the film may have had fewer
    if args.json:
        facts = {"target": str(args.target), "frames": frames, "size": [width, height], "start_s": shot.start_s}
        print(json.dumps({**facts, **dataclasses.asdict(recipe)}))
    else:
        print(f"{args.target}: {frames} frames from {shot.start_s:.2f} s, {width}x{height}: {recipe}")
    return 0
