"""How long a plane takes."""

import statistics
import time

import numpy as np

from vidsr.engine import Engine

RUNS = 5


def frame_ms(engine: Engine, size: tuple[int, int]) -> float:
    """Milliseconds for a plane of (width, height), 8 bits: the median of a few, after one that compiles."""
    width, height = size
    plane = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    engine(plane)
    return statistics.median(_ms(engine, plane) for _ in range(RUNS))


def _ms(engine: Engine, plane: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> float:
    began = time.perf_counter()
    engine(plane)
    return 1000 * (time.perf_counter() - began)
