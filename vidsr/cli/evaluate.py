"""Measure the quality of networks beside bicubic and Lanczos: of images and clips, reduced and upscaled again.

  vidsr evaluate set5/ set14/
  vidsr evaluate --crf none,18,23,28,33 camera.mp4 film.mkv
  vidsr evaluate --model tuned.npz --crf 28 --min-gain 0.2 clips/

Images are measured as in the papers, reduced in full precision (P1) and in bytes (P2); clips in bytes, encoded in
between. "worst" is the lowest gain over Lanczos of a single image or clip; "flicker" the mean change from frame to
frame, in grey levels, where the source is still, and "(source)" that of the source itself. "loss" is the loss by
--reuse against the same network without it, "reused" the share of pixels copied from the previous output.
"""

import argparse
import dataclasses
import itertools
import json
import logging
from pathlib import Path
from typing import BinaryIO

from vidsr.cli.options import Parser, add_options, decibels, model_label, setting, settings
from vidsr.cli.output import aligned, png_file, print_message, progress_bar
from vidsr.cpu import this_cpu
from vidsr.engine import Engine
from vidsr.engine.autotune import frame_ms
from vidsr.engine.reusing_engine import ReusingEngine
from vidsr.errors import DAMAGED, ModelError
from vidsr.media.encoders import encoder_options
from vidsr.model.architecture import SCALES
from vidsr.model.zoo import load_model, model_names
from vidsr.quality.evaluation import Collection, ResultRow, collect, evaluate_clip, evaluate_image, means
from vidsr.quality.metrics import ClipProtocol
from vidsr.quality.upscalers import make_upscalers, network_upscaler, reuse_label, reusing_engines
from vidsr.settings import PRECISIONS, EncodeSettings, PoolSettings, UpscaleSettings

log = logging.getLogger(__name__)

_PLOTTED = (640, 360)

Engines = dict[str, Engine]


def crf_list(text: str) -> list[int | None]:
    """[None, 23] from "none,23". Raises ValueError for anything else."""
    return [None if part == "none" else int(part) for part in text.split(",")]


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", type=Path, help="images, clips, or folders of them")
    group = parser.add_argument_group("networks")
    group.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a name of the zoo or an .npz file; repeatable (default: all)",
    )
    group.add_argument(
        "--precision", choices=PRECISIONS, default=PoolSettings.precision, help="as in `vidsr upscale` (default: auto)"
    )
    help_ = "as in `vidsr upscale` (default: 1)"
    group.add_argument("--strength", metavar="N", type=float, default=UpscaleSettings.strength, help=help_)
    group.add_argument("--scale", type=int, choices=SCALES, help="2, 3 or 4 (default: that of the models, or 2)")
    group = parser.add_argument_group("clips")
    group.add_argument(
        "--crf",
        metavar="N,...",
        type=crf_list,
        default="none",
        help="encode with each of these CRF; none: no codec (default: none)",
    )
    add_options(group, EncodeSettings, omit=("crf", "bitrate", "pixel_format"))
    help_ = f"frames at most from the start of each clip (default: {ClipProtocol.frames})"
    group.add_argument("--frames", metavar="N", type=int, default=ClipProtocol.frames, help=help_)
    help_ = "also measure networks with this --reuse; 0: not (default: 0)"
    group.add_argument("--reuse", metavar="N", type=int, default=0, help=help_)
    group = parser.add_argument_group("result")
    group.add_argument("--each", action="store_true", help="print a row per image and clip as well")
    group.add_argument(
        "--min-gain", metavar="DB", type=decibels, help="exit 7 when the mean gain of a network is lower"
    )
    group.add_argument("--plot", metavar="FILE", type=Path, help="draw gain against time as a PNG")
    group.add_argument("--overwrite", action="store_true", help="replace an existing PNG")


def run(args: argparse.Namespace) -> int:
    """Measure, print, and check --min-gain."""
    protocols, reuse, engines = _protocols(args), setting(PoolSettings, "reuse", args), _engines(args)
    scales = sorted({engine.scale for engine in engines.values()})
    collections = collect(args.sources, scales[-1], on_warning=log.warning)
    if args.plot:
        with png_file(args.plot, source=args.sources[0], overwrite=args.overwrite) as drawing:
            rows = _score_all(collections, engines, protocols, reuse, quiet=args.quiet)
            _plot(means(rows), engines, drawing)
    else:
        rows = _score_all(collections, engines, protocols, reuse, quiet=args.quiet)
    _print(rows, args)
    return _check_gains(means(rows), engines, args.min_gain)


def _protocols(args: argparse.Namespace) -> dict[str, ClipProtocol]:
    """The protocols by the names of their inputs. Raises what the encoder refuses before any work."""
    protocols = {}
    for crf in args.crf:
        encode = None
        if crf is not None:
            encode = settings(EncodeSettings, argparse.Namespace(**vars(EncodeSettings()) | vars(args) | {"crf": crf}))
            encoder_options(encode)
        name = "none" if crf is None else f"crf {crf}"
        protocols[name] = settings(ClipProtocol, argparse.Namespace(frames=args.frames, encode=encode))
    return protocols


def _engines(args: argparse.Namespace) -> Engines:
    names = args.model or [name for name in model_names() if load_model(name).architecture.scale == (args.scale or 2)]
    strength, engines = setting(UpscaleSettings, "strength", args), {}
    for name in names:
        engine = Engine(load_model(name, args.scale), precision=args.precision, strength=strength)
        engines[model_label(name, engine.scale)] = engine
    if not engines:
        raise ModelError(f"no network of the zoo has scale {args.scale}")
    return engines


def _score_all(
    collections: list[Collection], engines: Engines, protocols: dict[str, ClipProtocol], reuse: int, *, quiet: bool
) -> list[ResultRow]:
    rows = []
    scales = sorted({engine.scale for engine in engines.values()})
    files = sum(len(collection.images) + len(collection.clips) for collection in collections)
    numbers = itertools.count(1)
    with progress_bar(None, "files", quiet=quiet) as on_progress:
        for scale in scales:
            ways = make_upscalers(engines, scale)
            for collection in collections:
                for path in collection.images:
                    rows += evaluate_image(path, collection, scale, ways)
                    on_progress(next(numbers), files * len(scales))
                for path in collection.clips:
                    for given, protocol in protocols.items():
                        # new engines per clip: no output of the previous clip is reused
                        own = reusing_engines(engines, scale, reuse) if reuse else {}
                        every = ways | {name: network_upscaler(engine) for name, engine in own.items()}
                        found = evaluate_clip(path, collection, scale, every, {given: protocol})
                        rows += [_with_reused(row, own) for row in found]
                    on_progress(next(numbers), files * len(scales))
    return rows


def _with_reused(row: ResultRow, engines: dict[str, ReusingEngine]) -> ResultRow:
    engine = engines.get(row.method)
    return dataclasses.replace(row, reused=engine.reused) if engine else row


def _print(rows: list[ResultRow], args: argparse.Namespace) -> None:
    overall = means(rows)
    if args.json:
        found = {"each": rows, "means": overall}
        print(json.dumps({name: [dataclasses.asdict(row) for row in each] for name, each in found.items()}))
        return
    shown = [*(rows if args.each else []), *overall]
    losses = _losses(shown, args.reuse)
    columns = 9 + 2 * any(row.flicker is not None for row in shown) + 2 * bool(losses)
    head = ["set", "", "scale", "input", "method", "PSNR-Y", "SSIM", "gain", "worst"]
    loss = ["loss", "reused"] if losses else []
    lines = [[*head, *loss, "flicker", "(source)"]]
    for number, row in enumerate(shown):
        numbers = [f"{row.psnr:.2f}", f"{row.ssim:.4f}", f"{row.gain:+.2f}", f"{row.worst:+.2f}"]
        loss = ["", ""] if losses else []
        if number in losses:
            loss = [f"{losses[number]:.3f}", "" if row.reused is None else f"{row.reused:.0%}"]
        flicker = ["" if f is None else f"{f:.2f}" for f in (row.flicker, row.original_flicker)]
        lines.append([row.collection, row.name, f"x{row.scale}", row.input, row.method, *numbers, *loss, *flicker])
    print(aligned([line[:columns] for line in lines], text_columns=5))


def _losses(rows: list[ResultRow], reuse: int) -> dict[int, float]:
    """The loss in dB by reuse, by row number."""
    whole = {
        (row.collection, row.name, row.scale, row.input, reuse_label(row.method, reuse)): row.psnr for row in rows
    }
    keys = [(row.collection, row.name, row.scale, row.input, row.method) for row in rows]
    return {number: whole[key] - rows[number].psnr for number, key in enumerate(keys) if key in whole}


def _plot(overall: list[ResultRow], engines: Engines, drawing: BinaryIO) -> None:
    from vidsr.plots import quality_against_time

    gains = {name: [row.gain for row in overall if row.method == name] for name in engines}
    dots = {
        model_label(Path(name).stem, engine.scale): (frame_ms(engine, _PLOTTED), sum(gains[name]) / len(gains[name]))
        for name, engine in engines.items()
    }
    inputs = dict.fromkeys(f"{row.collection} {row.input}" for row in overall)
    quality_against_time(
        dots,
        drawing,
        title="mean of " + ", ".join(inputs),
        ms_label="ms a frame of {}x{} on {}".format(*_PLOTTED, this_cpu()),
        gain_label="PSNR-Y over Lanczos, dB",
    )


def _check_gains(overall: list[ResultRow], engines: Engines, min_gain: float | None) -> int:
    """The exit code; prints the networks below `min_gain`."""
    below = [row for row in overall if row.method in engines and min_gain is not None and row.gain < min_gain]
    for row in below:
        print_message(
            f"{row.method}: {row.gain:+.2f} dB over Lanczos on {row.collection} ({row.input}) is below {min_gain:+g}"
        )
    return DAMAGED if below else 0
