"""The frames of a video on their way through a pool."""

from collections import deque
from collections.abc import Iterable, Iterator

from vidsr.arrays import Plane
from vidsr.media.frame import Frame
from vidsr.pool import Pool


def upscale_frames(frames: Iterable[Frame], pool: Pool, depth: int) -> Iterator[tuple[Frame, Plane]]:
    """Each frame with its upscaled luma, of `depth` bits; in order, a window of the pool ahead."""
    waiting: deque[Frame] = deque()  # not itertools.tee, which keeps 57 frames longer than needed

    def lumas() -> Iterator[Plane]:
        for frame in frames:
            waiting.append(frame)
            yield frame.luma

    for luma in pool.map(lumas(), depth):
        yield waiting.popleft(), luma
