"""Whether a network that went out, or came in, does what it should."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vidsr.engine import Engine
from vidsr.errors import ModelError
from vidsr.model.weights import Weights

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(1, 1, H, W) luma in 0..1 to (1, 1, scale*H, scale*W), not clipped."""

CLOSE = 1.0  # grey levels: the engine rounds, which is half of it


def check_same(weights: Weights, run: Run, *, name: str) -> float:
    """How far `run` is from the engine on a plane of noise, in grey levels of 255.

    Raises ModelError, of `name`, when it is further than `CLOSE`.
    """
    plane = np.random.default_rng(0).integers(16, 236, (37, 45), dtype=np.uint8)
    expected = Engine(weights, precision="f32")(plane).astype(np.float64)
    result = run(plane.astype(np.float32)[None, None] / np.float32(255))
    if result.shape != (1, 1, *expected.shape):
        raise ModelError(f"{name}: the network gives {list(result.shape)} for {list(plane.shape)}")
    distance = float(np.abs(np.clip(255 * result[0, 0].astype(np.float64), 0, 255) - expected).max())
    if not distance <= CLOSE:  # a NaN is no smaller
        raise ModelError(f"{name}: the network is {distance:.1f} grey levels from the engine")
    return distance


def flat_level(weights: Weights, level: int = 128) -> float:
    """What the network makes of a plane that is `level` everywhere, in the mean: about the same, if it is sound."""
    return float(Engine(weights, precision="f32")(np.full((32, 32), level, np.uint8)).mean())
