"""Networks made ready for int8: ranges from pictures, and what each precision loses on others."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidsr.engine import Engine
from vidsr.engine.reach import measure_ranges
from vidsr.metrics import psnr
from vidsr.model.calibration import Calibration
from vidsr.model.weights import Weights
from vidsr.quality.imresize import imresize
from vidsr.quality.methods import Luma, by_network, in_bytes, reducible

_SIDE = 128  # of the planes that are measured: much of a picture, and 32 of them still fit into memory
_LOSSY = ("int8", "int7", "bf16")


def calibrated(weights: Weights, pictures: Iterable[Luma], judges: Sequence[Luma]) -> Weights:
    """The weights with ranges from the middle of some (H, W) `pictures`, and their losses on the `judges`.

    What this CPU cannot compute has no loss.
    """
    scale = weights.architecture.scale
    planes = [in_bytes(imresize(_middle(picture, scale), 1 / scale)) for picture in pictures]
    ranges = measure_ranges(weights, planes)
    losses = _losses(replace(weights, calibration=Calibration(ranges=ranges)), judges)
    return replace(weights, calibration=Calibration(ranges=ranges, losses=losses))


def _middle(picture: Luma, scale: int) -> Luma:
    top, left = (max(0, (length - _SIDE * scale) // 2) for length in picture.shape)
    return reducible(picture[top : top + _SIDE * scale, left : left + _SIDE * scale], scale)


def _losses(weights: Weights, judges: Sequence[Luma]) -> dict[str, float]:
    """In dB, by precision: the larger of those on P1 and on P2."""
    engines = {precision: Engine(weights, precision=precision) for precision in ("f32", *_LOSSY)}
    scores = {name: _scores(engine, judges) for name, engine in engines.items() if engine.precision == name}
    return {name: round(float((scores["f32"] - scores[name]).max()), 4) for name in _LOSSY if name in scores}


def _scores(engine: Engine, judges: Sequence[Luma]) -> NDArray[np.float64]:
    """The mean PSNR on P1 and on P2."""
    enlarge, scale = by_network(engine), engine.scale
    inner = (slice(scale, -scale),) * 2
    rows = []
    for original in (reducible(judge, scale) for judge in judges):
        small = imresize(original, 1 / scale)
        rows.append([psnr(original[inner], enlarge(given)[inner]) for given in (small, in_bytes(small))])
    means: NDArray[np.float64] = np.mean(rows, axis=0)
    return means
