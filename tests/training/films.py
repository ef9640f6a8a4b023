"""Films of places and of what goes on there, for the tests that look for scenes and moments."""

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vidsr.training.data.degradation import blur

Luma = NDArray[np.uint8]
SHAPE = (96, 128)


def place(seed: int) -> Luma:
    """A picture with shapes of all sizes, unlike that of any other seed."""
    random = np.random.default_rng(seed)
    soft = sum(blur(random.normal(size=SHAPE), sigma) * sigma for sigma in (1, 3, 9))
    return np.clip(110 + 45 * soft / np.std(soft), 0, 255).astype(np.uint8)


def lit(picture: Luma, light: float) -> Luma:
    """The picture with so many times the light."""
    return np.clip(picture * light, 0, 255).astype(np.uint8)


def with_car(picture: Luma, column: int, level: int = 235) -> Luma:
    """The picture with something bright, a quarter of it wide, before it."""
    shown = picture.copy()
    shown[40:70, max(0, column) : max(0, column + 32)] = level
    return shown


def write_film(path: Path, pictures: Iterable[Luma], rate: int = 10, options: dict[str, str] | None = None) -> Path:
    """The pictures as a video."""
    with av.open(path, "w") as output:
        video = output.add_stream(
            "libx264", rate=rate, options={"preset": "ultrafast", "crf": "20", **(options or {})}
        )
        video.height, video.width = SHAPE
        video.pix_fmt = "yuv420p"
        for picture in pictures:
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")))
        output.mux(video.encode(None))
    return path
