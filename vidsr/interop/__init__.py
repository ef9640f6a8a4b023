"""Export of networks to other formats: what the files say about themselves, and whether they agree with the engine."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vidsr.engine import Engine
from vidsr.errors import ModelError
from vidsr.model.weights import Weights

NetworkFunction = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(1, 1, H, W) luma in 0..1 to (1, 1, scale*H, scale*W), not clipped."""

MAX_DIFFERENCE = 1.0  # grey levels; rounding in the engine is half of it


def model_metadata(weights: Weights, *, name: str, licence: str, version: str) -> dict[str, str]:
    """Metadata by key: the network, its input and output, and the licence of its weights."""
    architecture = weights.architecture
    scale = architecture.scale
    return {
        "name": name,
        "vidsr": version,
        "family": architecture.family,
        "dimensions": ",".join(map(str, architecture.dimensions)),
        "scale": str(scale),
        "licence": licence,
        "input": "luma, float32 (batch, 1, height, width) of any size, code values over the largest (255 of 8 bits)",
        "output": f"(batch, 1, {scale}*height, {scale}*width) on the same scale, neither clipped nor rounded",
    }


def verify_output(weights: Weights, run: NetworkFunction, *, name: str) -> float:
    """The largest difference of `run` from the engine on noise, in grey levels. Raises ModelError for more than 1."""
    plane = np.random.default_rng(0).integers(16, 236, (37, 45), dtype=np.uint8)
    expected = Engine(weights, precision="f32")(plane).astype(np.float64)
    result = run(plane.astype(np.float32)[None, None] / np.float32(255))
    if result.shape != (1, 1, *expected.shape):
        raise ModelError(f"{name}: the network gives {list(result.shape)} for {list(plane.shape)}")
    difference = float(np.abs(np.clip(255 * result[0, 0].astype(np.float64), 0, 255) - expected).max())
    if not difference <= MAX_DIFFERENCE:  # also refuses NaN
        raise ModelError(f"{name}: the network is {difference:.1f} grey levels from the engine")
    return difference


def flat_response(weights: Weights, level: int) -> float:
    """The mean output for a plane of the constant `level`; a sound network returns about the same level."""
    return float(Engine(weights, precision="f32")(np.full((32, 32), level, np.uint8)).mean())
