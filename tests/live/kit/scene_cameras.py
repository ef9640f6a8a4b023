"""Two RTSP streams of one scene, as a camera sends them: a main stream and a source half as large."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.recordings import SIZE, scene, smaller

from kit.cameras import Camera, camera

Luma = NDArray[np.uint8]

FPS = 20
SUB_SIZE = (SIZE[0] // 2, SIZE[1] // 2)


@cache
def planes(seed: int = 0) -> tuple[Luma, ...]:
    """Six seconds of a scene, unlike that of any other seed; a camera shows them to and fro."""
    return tuple(scene(6 * FPS, seed))


def frozen(frames: Sequence[Luma]) -> list[Luma]:
    """The first frame, and the grain of a sensor."""
    random = np.random.default_rng(0)
    return [np.clip(frames[0] + random.integers(-1, 2, frames[0].shape), 0, 255).astype(np.uint8) for _ in range(25)]


def black(frames: Sequence[Luma]) -> list[Luma]:
    """A lens that is covered."""
    return [np.full_like(frames[0], 16)] * 2


@contextmanager
def stream(folder: Path, name: str, frames: Sequence[Luma], *, fps: int = FPS) -> Iterator[Camera]:
    """A running camera that shows these planes."""
    path = folder / f"{name}.luma"
    path.write_bytes(b"".join(frame.tobytes() for frame in frames))
    height, width = frames[0].shape
    with camera("--frames", str(path), "--size", f"{width}x{height}", "--key-int", "10", fps=fps) as result:
        yield result


@contextmanager
def source_and_main(folder: Path, *, seed: int = 0, fps: int = FPS) -> Iterator[tuple[Camera, Camera]]:
    """The source and the main stream of a scene."""
    frames = planes(seed)
    with (
        stream(folder, f"source-{seed}", smaller(frames, 2.0), fps=fps) as source,
        stream(folder, f"main-{seed}", frames, fps=fps) as large,
    ):
        yield source, large
