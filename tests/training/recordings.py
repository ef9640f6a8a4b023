"""What two streams of one camera record: made of one scene whose every moment is known."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from footage import make_video
from numpy.typing import NDArray

from vidsr.quality.matlab import imresize
from vidsr.training.data.clips import shifted_view
from vidsr.training.data.degradation import blur

Luma = NDArray[np.uint8]

SIZE = (256, 192)
RATE = 25
_TICKS = Fraction(1, 90_000)


@cache
def scene(count: int, seed: int = 0) -> tuple[Luma, ...]:
    """So many frames of a fixed camera: three things that wander before a background."""
    random = np.random.default_rng(seed)
    background, *looks = [_texture(random) for _ in range(4)]
    steps = np.cumsum(random.standard_normal((count, 3, 2)), axis=0)
    paths = random.uniform((20, 20), (SIZE[1] - 20, SIZE[0] - 20), (3, 2)) + np.cumsum(0.15 * steps, axis=0)
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    frames = []
    for places in paths:
        frame = background.copy()
        for place, look in zip(np.abs((places + SIZE[1]) % (2 * SIZE[1]) - SIZE[1]), looks, strict=True):
            inside = np.hypot(y - place[0], x - place[1]) < 22
            frame[inside] = np.roll(look, np.round(place).astype(int), (0, 1))[inside]
        frames.append(frame)
    return tuple(frames)


def _texture(random: np.random.Generator) -> Luma:
    grain = sum(sigma * blur(random.standard_normal(SIZE[::-1]), sigma) for sigma in (1, 2, 5, 12))
    return np.clip(random.uniform(90, 160) + 40 * grain, 20, 230).astype(np.uint8)


def smaller(frames: Sequence[Luma], ratio: float, corner: tuple[float, float] = (0.0, 0.0)) -> list[Luma]:
    """The frames `ratio` times smaller, with their (row, column), in large pixels, as the first corner."""
    moved = [shifted_view(frame, np.array(corner), frame.shape) for frame in frames]
    even = [imresize(frame, 1 / ratio) for frame in moved]
    height, width = (length - length % 2 for length in even[0].shape)
    return [np.clip(np.round(frame[:height, :width]), 0, 255).astype(np.uint8) for frame in even]


def record(path: Path, frames: Sequence[Luma], times: Sequence[float], crf: int) -> Path:
    """A stream of the frames, each at its time in seconds."""
    pictures = []
    for frame in frames:
        chroma = np.full((frame.shape[0] // 2, frame.shape[1]), 128, np.uint8)
        pictures.append(av.VideoFrame.from_ndarray(np.concatenate([frame, chroma]), format="yuv420p"))
    ticks = [round(time / _TICKS) for time in times]
    options = {"crf": str(crf), "preset": "veryfast", "bf": "0", "g": "50", "threads": "1"}
    return make_video(path, pictures, options=options, pts=ticks, time_base=_TICKS)


def record_both(
    folder: Path,
    frames: Sequence[Luma],
    *,
    ratio: float = 2.0,
    corner: tuple[float, float] = (0.0, 0.0),
    main: range,
    sub: range,
    levels: Callable[[Luma], Luma] = lambda frame: frame,
) -> tuple[Path, Path]:
    """The large and the small stream of these frames, each with times of its own."""
    few = smaller([levels(frames[number]) for number in sub], ratio, corner)
    large = record(folder / "main.mp4", [frames[n] for n in main], [(n - main[0]) / RATE for n in main], 12)
    return large, record(folder / "sub.mp4", few, [7.3 + (n - sub[0]) / RATE for n in sub], 28)
