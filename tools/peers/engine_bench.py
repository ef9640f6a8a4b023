"""Each way alone, without decoder and encoder: how fast it is, and how near it comes to the original."""

import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from peers.backends import SCALE, Image, Way
from vidsr.media.formats import luma_8bit
from vidsr.media.image_reader import read_image, rgb_of
from vidsr.media.reader import Reader
from vidsr.quality.imresize import imresize
from vidsr.quality.results import Score, score
from vidsr.quality.upscalers import in_bytes, reducible
from vidsr.quality.video_protocol import ClipProtocol, score_clip
from vidsr.quality.ycbcr import studio_luma

_PAUSE_S = 0.1  # threads of the way before still spin, PyTorch's above all


def speeds(ways: dict[str, Way], clip: Path, frames: int) -> dict[str, dict[str, float]]:
    """{way: ms a frame, how many times as long as the first way}: every frame by all ways in turn, medians.

    A frame before those that count is enlarged by each way first. The times are compared frame by frame.
    """
    seconds: dict[str, list[float]] = {key: [] for key in ways}
    for number, (luma, colour) in enumerate(_frames(clip, frames + 1)):
        for key, way in ways.items():
            time.sleep(_PAUSE_S)
            began = time.perf_counter()
            way.enlarge(colour if way.colour else luma)
            if number:
                seconds[key].append(time.perf_counter() - began)
    first = next(iter(seconds.values()))
    return {
        key: {
            "ms": round(1e3 * statistics.median(own), 2),
            "times": round(statistics.median(s / f for s, f in zip(own, first, strict=True)), 2),
        }
        for key, own in seconds.items()
    }


def _frames(clip: Path, count: int) -> Iterator[tuple[Image, Image]]:
    """The luma and the BGR of the first frames, as a decoder gives them."""
    with Reader(clip) as reader:
        for frame in islice(reader, count):
            yield luma_8bit(frame.av_frame), np.ascontiguousarray(rgb_of(frame.av_frame)[..., ::-1])


def picture_scores(ways: dict[str, Way], pictures: list[Path]) -> dict[str, dict[str, float]]:
    """{way: mean PSNR and SSIM} by the protocol of the papers with bytes in; what takes colours is given colours."""
    scores: dict[str, list[Score]] = {key: [] for key in ways}
    inner = (slice(SCALE, -SCALE),) * 2
    for path in pictures:
        image = read_image(path)
        original = reducible(studio_luma(image), SCALE)
        for key, way in ways.items():
            made = _of_colours(image, way) if way.colour else way.enlarge(_shrunk(original))
            scores[key].append(score(original[inner], made[inner]))
    return {key: _figures("set", own) for key, own in scores.items()}


def _of_colours(image: Image, way: Way) -> Image:
    """The luma of what the way makes of the reduced picture; a grey picture goes in as three equal channels."""
    if image.ndim == 2:
        return _in_grey(way)(_shrunk(reducible(image, SCALE)))
    channels = [_shrunk(reducible(image[..., channel], SCALE)) for channel in (2, 1, 0)]
    return studio_luma(way.enlarge(np.stack(channels, axis=-1))[..., ::-1])


def _in_grey(way: Way) -> Callable[[Image], Image]:
    return lambda plane: way.enlarge(np.stack([plane] * 3, axis=-1))[..., 0] if way.colour else way.enlarge(plane)


def _shrunk(plane: Image) -> Image:
    return in_bytes(imresize(plane, 1 / SCALE))


def clip_scores(ways: dict[str, Way], clip: Path, frames: int) -> dict[str, dict[str, float]]:
    """{way: mean PSNR and SSIM} of the clip's luma, reduced without a codec and enlarged."""
    scores = score_clip(clip, SCALE, {key: _in_grey(way) for key, way in ways.items()}, ClipProtocol(frames=frames))
    return {key: _figures("clip", [own]) for key, own in scores.items()}


def _figures(of: str, scores: list[Score]) -> dict[str, float]:
    return {
        f"{of}_psnr": round(statistics.fmean(each.psnr for each in scores), 3),
        f"{of}_ssim": round(statistics.fmean(each.ssim for each in scores), 4),
    }
