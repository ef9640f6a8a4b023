"""Speed and quality of each backend, without decoder and encoder."""

import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from peers.backends import SCALE, Backend, Image
from vidsr.media.formats import luma_8bit
from vidsr.media.image_reader import read_image, rgb_of
from vidsr.media.reader import Reader
from vidsr.quality.matlab import imresize, studio_luma
from vidsr.quality.metrics import ClipProtocol, Score, score, score_clip
from vidsr.quality.upscalers import crop_to_multiple, to_uint8

_PAUSE_S = 0.1  # threads of the previous backend still spin, PyTorch's above all


def measure_speed(backends: dict[str, Backend], clip: Path, frames: int) -> dict[str, dict[str, float]]:
    """{backend: ms per frame, and time relative to the first backend}; medians over frames.

    Every frame is upscaled by all backends in turn, and times are compared frame by frame. A first frame warms up.
    """
    seconds: dict[str, list[float]] = {key: [] for key in backends}
    for number, (luma, colour) in enumerate(_frames(clip, frames + 1)):
        for key, backend in backends.items():
            time.sleep(_PAUSE_S)
            began = time.perf_counter()
            backend.upscale(colour if backend.colour else luma)
            if number:
                seconds[key].append(time.perf_counter() - began)
    first = next(iter(seconds.values()))
    return {
        key: {
            "ms": round(1e3 * statistics.median(values), 2),
            "times": round(statistics.median(s / f for s, f in zip(values, first, strict=True)), 2),
        }
        for key, values in seconds.items()
    }


def _frames(clip: Path, count: int) -> Iterator[tuple[Image, Image]]:
    """The luma and the BGR image of the first decoded frames."""
    with Reader(clip) as reader:
        for frame in islice(reader, count):
            yield luma_8bit(frame.av_frame), np.ascontiguousarray(rgb_of(frame.av_frame)[..., ::-1])


def image_scores(backends: dict[str, Backend], images: list[Path]) -> dict[str, dict[str, float]]:
    """{backend: mean PSNR and SSIM} by P2 of vidsr.quality.metrics; colour backends receive colours."""
    scores: dict[str, list[Score]] = {key: [] for key in backends}
    inner = (slice(SCALE, -SCALE),) * 2
    for path in images:
        image = read_image(path)
        original = crop_to_multiple(studio_luma(image), SCALE)
        for key, backend in backends.items():
            upscaled = _luma_of_colours(image, backend) if backend.colour else backend.upscale(_reduce(original))
            scores[key].append(score(original[inner], upscaled[inner]))
    return {key: _mean_scores("set", values) for key, values in scores.items()}


def _luma_of_colours(image: Image, backend: Backend) -> Image:
    """The luma of the upscaled colour image; a grey image is passed as three equal channels."""
    if image.ndim == 2:
        return _grey_upscaler(backend)(_reduce(crop_to_multiple(image, SCALE)))
    channels = [_reduce(crop_to_multiple(image[..., channel], SCALE)) for channel in (2, 1, 0)]
    return studio_luma(backend.upscale(np.stack(channels, axis=-1))[..., ::-1])


def _grey_upscaler(backend: Backend) -> Callable[[Image], Image]:
    if not backend.colour:
        return backend.upscale
    return lambda plane: backend.upscale(np.stack([plane] * 3, axis=-1))[..., 0]


def _reduce(plane: Image) -> Image:
    return to_uint8(imresize(plane, 1 / SCALE))


def clip_scores(backends: dict[str, Backend], clip: Path, frames: int) -> dict[str, dict[str, float]]:
    """{backend: mean PSNR and SSIM} of the clip's luma, reduced without a codec and upscaled."""
    upscalers = {key: _grey_upscaler(backend) for key, backend in backends.items()}
    scores = score_clip(clip, SCALE, upscalers, ClipProtocol(frames=frames))
    return {key: _mean_scores("clip", [values]) for key, values in scores.items()}


def _mean_scores(prefix: str, scores: list[Score]) -> dict[str, float]:
    return {
        f"{prefix}_psnr": round(statistics.fmean(each.psnr for each in scores), 3),
        f"{prefix}_ssim": round(statistics.fmean(each.ssim for each in scores), 4),
    }
