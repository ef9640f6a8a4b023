"""The frames of a video on their way through a pool."""

from collections.abc import Iterable, Iterator

from vidsr.arrays import Plane
from vidsr.flow import with_results
from vidsr.media.frame import Frame
from vidsr.pool import Pool


def upscale_frames(frames: Iterable[Frame], pool: Pool, depth: int) -> Iterator[tuple[Frame, Plane]]:
    """Each frame with its upscaled luma, of `depth` bits; in order, a window of the pool ahead."""
    return with_results(frames, lambda taken: pool.map((frame.luma for frame in taken), depth))
